"""Training runs and what people download of them.

REQUIRED INPUTS: resolved train cells, prepared models and problems
OUTPUTS: results/{study}/runs/{run}/ with trained.safetensors, train_log.parquet, run.json, adapter/
"""


rule train_run:
    """Train one cell with DAPO; continues from its last checkpoint in checkpoints/{study}/{run}."""
    input:
        cell="results/{study}/configs/train/{run}.json",
        model=model_of,
        data=train_data_of,
    output:
        trained="results/{study}/runs/{run}/trained.safetensors",
        train_log="results/{study}/runs/{run}/train_log.parquet",
        run="results/{study}/runs/{run}/run.json",
    log:
        "logs/{study}/train/{run}.log",
    benchmark:
        "logs/benchmarks/{study}/train/{run}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: compute_of(wildcards).threads
    resources:
        gpu=lambda wildcards: compute_of(wildcards).gpus,
        mem_mb=lambda wildcards: compute_of(wildcards).memory_mb,
        runtime=lambda wildcards: compute_of(wildcards).train_minutes,
    message:
        "Training {wildcards.run}"
    shell:
        "rlvr train {input.cell:q} --model {input.model:q} --data {input.data:q} --checkpoints checkpoints/{wildcards.study}/{wildcards.run} -o $(dirname {output.run:q}) 2>&1 | tee {log:q}"


rule export_run:
    """Write the adapter in PEFT's format, or merged weights where PEFT cannot express the method."""
    input:
        cell="results/{study}/configs/train/{run}.json",
        model=model_of,
        trained="results/{study}/runs/{run}/trained.safetensors",
    output:
        directory("results/{study}/runs/{run}/adapter"),
    log:
        "logs/{study}/export/{run}.log",
    benchmark:
        "logs/benchmarks/{study}/export/{run}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: compute_of(wildcards).memory_mb,
        runtime=30,
    message:
        "Exporting {wildcards.run}"
    shell:
        "rlvr export {input.cell:q} --model {input.model:q} --trained {input.trained:q} -o {output:q} > {log:q} 2>&1"
