"""Samples and grades: generation costs device hours, grading costs seconds, so they are two kinds of rules.

REQUIRED INPUTS: exported runs (none for the untrained model), prepared models and benchmarks
OUTPUTS: results/{study}/samples/{run}/{benchmark}.parquet, results/{study}/grades/{run}/{benchmark}.parquet,
    results/{study}/references/{run}/{benchmark}.parquet of the benchmarks that measure forgetting
"""

# A rule for each study, since its files are the study's benchmarks: one job starts one engine, which serves them
# all. Files of an earlier attempt stay (`update`), so that only missing samples are drawn.
for study, entry in studies_by_name().items():
    benchmarks = entry.evaluation.benchmarks

    rule:
        name:
            f"generate_{study}"
        input:
            configs=[STUDY.config(f"generate/{benchmark}") for benchmark in benchmarks],
            model=model_of,
            data=[data_path(benchmark.dataset) for benchmark in benchmarks.values()],
            adapter=adapter_of,
        output:
            [update(STUDY.samples("{run}", benchmark)) for benchmark in benchmarks],
            [update(STUDY.references("{run}", benchmark)) for benchmark in forgetting_of(entry)],
        log:
            "logs/{study}/generate/{run}.log",
        benchmark:
            "logs/benchmarks/{study}/generate/{run}.tsv"
        wildcard_constraints:
            study=re.escape(study),
        conda:
            "../../environment.yml"
        threads: planned("generate", "threads")
        resources:
            checkpoints=SELECTION.checkpoints,  # no parameter: another folder is no reason to run a job again
            gpu=gpus_of("generate"),
            devices=planned("generate", "gpus"),
            mem_mb=planned("generate", "memory_mb"),
            runtime=planned("generate", "minutes"),
        params:
            data=lambda wildcards, input: repeated("--data", input.data),
            adapter=lambda wildcards, input: repeated("--adapter", [input.adapter] if input.adapter else []),
            folder=lambda wildcards: folder_of(wildcards.study).samples_of(wildcards.run),
            references=references_option,
            limit=time_limit,
        message:
            "Sampling {wildcards.run}"
        shell:
            """
            rlvr generate {input.configs:q} \
                --model {input.model:q} \
                {params.data:q} \
                {params.adapter:q} \
                --checkpoints {resources.checkpoints:q}/{wildcards.study}/generate/{wildcards.run} \
                --gpus {resources.devices} \
                {params.limit} \
                {params.references:q} \
                -o {params.folder:q} 2>&1 | tee -ia {log:q} logs/{wildcards.study}/generate/{wildcards.run}.attempts.log \
                >/dev/null
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
