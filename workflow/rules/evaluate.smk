"""Answers and verdicts: generation costs device hours, grading costs seconds, so they are two rules.

REQUIRED INPUTS: exported runs (none for the untrained model), prepared models and benchmarks
OUTPUTS: results/{study}/samples/{run}/{benchmark}.parquet, results/{study}/grades/{run}/{benchmark}.parquet
"""


rule generate_samples:
    """Draw k answers to every problem of a benchmark; continues from checkpoints/{study}/generate/{run}/{benchmark}."""
    input:
        cell="results/{study}/configs/generate/{benchmark}.json",
        model=model_of,
        data=benchmark_data_of,
        adapter=adapter_of,
    output:
        "results/{study}/samples/{run}/{benchmark}.parquet",
    log:
        "logs/{study}/generate/{run}/{benchmark}.log",
    benchmark:
        "logs/benchmarks/{study}/generate/{run}/{benchmark}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: compute_of(wildcards).threads
    resources:
        gpu=lambda wildcards: compute_of(wildcards).gpus,
        mem_mb=lambda wildcards: compute_of(wildcards).memory_mb,
        runtime=lambda wildcards: compute_of(wildcards).generate_minutes,
    params:
        adapter=lambda wildcards, input: (f"--adapter {input.adapter}" if input.adapter else ""),
    message:
        "{wildcards.run} answers {wildcards.benchmark}"
    shell:
        "rlvr generate {input.cell:q} --model {input.model:q} --data {input.data:q} {params.adapter} --checkpoints checkpoints/{wildcards.study}/generate/{wildcards.run}/{wildcards.benchmark} -o {output:q} 2>&1 | tee {log:q}"


rule grade_samples:
    """Judge stored answers, by default with the verifier that gave the rewards; anew when its rules have changed."""
    input:
        cell="results/{study}/configs/grade/{benchmark}.json",
        samples="results/{study}/samples/{run}/{benchmark}.parquet",
        data=benchmark_data_of,
    output:
        "results/{study}/grades/{run}/{benchmark}.parquet",
    log:
        "logs/{study}/grade/{run}/{benchmark}.log",
    benchmark:
        "logs/benchmarks/{study}/grade/{run}/{benchmark}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        version=grader_version_of,
    message:
        "Grading {wildcards.run} on {wildcards.benchmark}"
    shell:
        "rlvr grade {input.cell:q} --samples {input.samples:q} --data {input.data:q} -o {output:q} > {log:q} 2>&1"
