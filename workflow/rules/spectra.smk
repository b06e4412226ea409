"""Spectra of the updates (Figure 3 of the paper), for studies with `spectra: true`.

REQUIRED INPUTS: run.json and trained tensors of all runs of a study, prepared models
OUTPUTS: results/{study}/tables/spectra.parquet
"""


rule measure_spectra:
    """Measure the update of every layer against the singular vectors of its base."""
    input:
        trained_of,
        models_of,
        records=records_of,
    output:
        STUDY.spectra,
    log:
        "logs/{study}/spectra.log",
    benchmark:
        "logs/benchmarks/{study}/spectra.tsv"
    conda:
        "../../environment.yml"
    threads: planned("generate", "threads")
    resources:
        checkpoints=SELECTION.checkpoints,  # no parameter: another folder is no reason to run a job again
        gpu=gpus_of("generate"),  # one at most: one weight at a time
        devices=planned("generate", "gpus"),
        mem_mb=planned("train", "memory_mb"),
        runtime=planned("train", "minutes"),
    params:
        runs=lambda wildcards, input: [Path(record).parent for record in input.records],
    message:
        "Measuring the spectra of study {wildcards.study}"
    shell:
        """
        rlvr spectra {params.runs:q} \
            --checkpoints {resources.checkpoints:q}/{wildcards.study} \
            --gpus {resources.devices} \
            -o {output:q} >{log:q} 2>&1
        """
