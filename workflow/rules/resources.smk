"""Models and problems, from any source to one checked form, shared by all studies.

REQUIRED INPUTS: a study; entries of config/models.yaml and config/datasets.yaml
OUTPUTS: results/{study}/configs/{cell}.json, one resolved cell for every job,
    resources/models/{model}/ (Hugging Face layout, provenance.json),
    resources/data/{dataset}.parquet, .provenance.json, .dropped.csv
"""


rule cell:
    """Write one resolved cell, anew exactly when its content has changed."""
    output:
        "results/{study}/configs/{cell}.json",
    log:
        "logs/{study}/cells/{cell}.log",
    wildcard_constraints:
        cell="study|(train|generate|grade)/[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        fingerprint=lambda wildcards: known(
            config_fingerprints(wildcards.study), wildcards.cell, f"study {wildcards.study!r}"
        ),
    message:
        "Resolving {wildcards.cell} of study {wildcards.study}"
    shell:
        "rlvr plan {wildcards.study} --cell {wildcards.cell} -o {output:q} > {log:q} 2>&1"


rule source_cell:
    """Write one entry of a catalogue, anew exactly when it has changed."""
    output:
        "resources/entries/{kind}/{name}.json",
    log:
        "logs/resources/entries/{kind}/{name}.log",
    wildcard_constraints:
        kind="models|data",
        name="[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        fingerprint=lambda wildcards: content_hash(source_of(wildcards.kind, wildcards.name).model_dump()),
    message:
        "Resolving {wildcards.kind}/{wildcards.name}"
    shell:
        "rlvr plan - --cell {wildcards.kind}/{wildcards.name} -o {output:q} > {log:q} 2>&1"


rule prepare_data:
    """Check a data set line by line and write it as Parquet."""
    input:
        cell="resources/entries/data/{dataset}.json",
        source=lambda wildcards: planning.entry_files(source_of("data", wildcards.dataset)),
    output:
        data="resources/data/{dataset}.parquet",
        provenance="resources/data/{dataset}.provenance.json",
        dropped="resources/data/{dataset}.dropped.csv",
    log:
        "logs/resources/data/{dataset}.log",
    benchmark:
        "logs/benchmarks/resources/data/{dataset}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    message:
        "Preparing data set {wildcards.dataset}"
    shell:
        "rlvr prepare-data {input.cell:q} -o {output.data:q} > {log:q} 2>&1"


rule prepare_model:
    """Download, convert, copy or pretrain a model."""
    input:
        cell="resources/entries/models/{model}.json",
        source=lambda wildcards: planning.entry_files(source_of("models", wildcards.model)),
        data=pretraining_data("datasets"),
        validation=pretraining_data("validation_datasets"),
    output:
        directory("resources/models/{model}"),
    log:
        "logs/resources/models/{model}.log",
    benchmark:
        "logs/benchmarks/resources/models/{model}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=120,
    message:
        "Preparing model {wildcards.model}"
    shell:
        "rlvr prepare-model {input.cell:q} --data {input.data:q} --validation {input.validation:q} -o {output:q} 2>&1 | tee {log:q}"
