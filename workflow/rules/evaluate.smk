"""Samples and grades: generation costs device hours, grading costs seconds, so they are two rules.

REQUIRED INPUTS: exported runs (none for the untrained model), prepared models and benchmarks
OUTPUTS: results/{study}/samples/{run}/{benchmark}.parquet, results/{study}/grades/{run}/{benchmark}.parquet
"""


rule generate_samples:
    """Sample k completions per problem; continues after the last finished one."""
    input:
        config=STUDY.config("generate/{benchmark}"),
        model=model_of,
        data=benchmark_data_of,
        adapter=adapter_of,
    output:
        STUDY.samples("{run}", "{benchmark}"),
    log:
        "logs/{study}/generate/{run}/{benchmark}.log",
    benchmark:
        "logs/benchmarks/{study}/generate/{run}/{benchmark}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: compute_of(wildcards).threads
    resources:
        checkpoints=SELECTION.checkpoints,  # no parameter: another folder is no reason to run a job again
        gpu=gpus_of,
        mem_mb=lambda wildcards: compute_of(wildcards).memory_mb,
        runtime=lambda wildcards: compute_of(wildcards).generate_minutes,
    params:
        adapter=lambda wildcards, input: repeated("--adapter", [input.adapter] if input.adapter else []),
    message:
        "Sampling {wildcards.run} on {wildcards.benchmark}"
    shell:
        """
        rlvr generate {input.config:q} \
            --model {input.model:q} \
            --data {input.data:q} \
            {params.adapter:q} \
            --checkpoints {resources.checkpoints:q}/{wildcards.study}/generate/{wildcards.run}/{wildcards.benchmark} \
            -o {output:q} 2>&1 | tee {log:q}
        """


rule grade_samples:
    """Grade stored samples, by default with the verifier of the rewards; again when the grader has changed."""
    input:
        config=STUDY.config("grade/{benchmark}"),
        samples=STUDY.samples("{run}", "{benchmark}"),
        data=benchmark_data_of,
    output:
        STUDY.grades("{run}", "{benchmark}"),
    log:
        "logs/{study}/grade/{run}/{benchmark}.log",
    benchmark:
        "logs/benchmarks/{study}/grade/{run}/{benchmark}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **LIGHT,
    params:
        version=grader_version_of,
    message:
        "Grading {wildcards.run} on {wildcards.benchmark}"
    shell:
        """
        rlvr grade {input.config:q} \
            --samples {input.samples:q} \
            --data {input.data:q} \
            -o {output:q} >{log:q} 2>&1
        """
