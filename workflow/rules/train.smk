"""Training runs, each exported by the process that trained it.

REQUIRED INPUTS: resolved train configurations, prepared models and problems
OUTPUTS: results/{study}/runs/{run}/ with trained.safetensors, train_log.parquet, run.json, adapter/;
    of a run that failed for good, run.json says why, and the jobs that follow make empty files of it
"""


rule train_run:
    """Train one run, from its last checkpoint if there is one, and export it. A failure that is final is a result."""
    input:
        config=STUDY.config("train/{run}"),
        model=model_of,
        data=train_data_of,
        validated=validated_of,
    output:
        trained=STUDY.run("{run}").trained,
        train_log=STUDY.run("{run}").train_log,
        record=STUDY.run("{run}").record,
        adapter=directory(STUDY.run("{run}").adapter),
    log:
        "logs/{study}/train/{run}.log",
    benchmark:
        "logs/benchmarks/{study}/train/{run}.tsv"
    # Before all evaluation, whose short jobs fill the cores at the end.
    priority: 1
    conda:
        "../../environment.yml"
    threads: planned("train", "threads")
    resources:
        checkpoints=SELECTION.checkpoints,  # no parameter: another folder is no reason to run a job again
        attempts_left=attempts_left,
        gpu=gpus_of("train"),
        devices=planned("train", "gpus"),  # no parameter: their number is no reason to run a job again
        mem_mb=planned("train", "memory_mb"),
        runtime=planned("train", "minutes"),
    params:
        limit=time_limit,
    message:
        "Training {wildcards.run}"
    shell:
        """
        rlvr train {input.config:q} \
            --model {input.model:q} \
            --data {input.data:q} \
            --checkpoints {resources.checkpoints:q}/{wildcards.study}/{wildcards.run} \
            --gpus {resources.devices} \
            {params.limit} \
            --failure-log {log:q} \
            --attempts-left {resources.attempts_left} \
            -o $(dirname {output.record:q}) 2>&1 | tee -ia {log:q} logs/{wildcards.study}/train/{wildcards.run}.attempts.log \
            >/dev/null
        """
