"""Training runs and their exports.

REQUIRED INPUTS: resolved train configurations, prepared models and problems
OUTPUTS: results/{study}/runs/{run}/ with trained.safetensors, train_log.parquet, run.json, adapter/;
    of a run that failed for good, run.json says why, and the jobs that follow make empty files of it
"""


rule train_run:
    """Train one run with DAPO; continues from its last checkpoint. A failure that is final is a result."""
    input:
        config=STUDY.config("train/{run}"),
        model=model_of,
        data=train_data_of,
    output:
        trained=STUDY.run("{run}").trained,
        train_log=STUDY.run("{run}").train_log,
        record=STUDY.run("{run}").record,
    log:
        "logs/{study}/train/{run}.log",
    benchmark:
        "logs/benchmarks/{study}/train/{run}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: compute_of(wildcards).threads
    resources:
        checkpoints=SELECTION.checkpoints,  # no parameter: another folder is no reason to run a job again
        attempts_left=attempts_left,
        gpu=gpus_of,
        devices=lambda wildcards: compute_of(wildcards).gpus,  # no parameter: their number is no reason to run a job again
        mem_mb=lambda wildcards: compute_of(wildcards).memory_mb,
        runtime=lambda wildcards: compute_of(wildcards).train_minutes,
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
            -o $(dirname {output.record:q}) 2>&1 | tee -ia {log:q} logs/{wildcards.study}/train/{wildcards.run}.attempts.log
        """


rule export_run:
    """Write the adapter in PEFT's format, or merged weights if PEFT cannot express the method."""
    input:
        config=STUDY.config("train/{run}"),
        model=model_of,
        trained=STUDY.run("{run}").trained,
    output:
        directory(STUDY.run("{run}").adapter),
    log:
        "logs/{study}/export/{run}.log",
    benchmark:
        "logs/benchmarks/{study}/export/{run}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: compute_of(wildcards).memory_mb,
        runtime=LIGHT["runtime"],
    message:
        "Exporting {wildcards.run}"
    shell:
        """
        rlvr export {input.config:q} \
            --model {input.model:q} \
            --trained {input.trained:q} \
            --gpus 0 \
            -o {output:q} >{log:q} 2>&1
        """
