"""Models and problems, from any origin to one checked form, shared by all studies.

REQUIRED INPUTS: a study; entries of config/models.yaml and config/datasets.yaml
Jobs that may download run on the submitting host, once, since nodes of a cluster may have no internet.
OUTPUTS: results/{study}/configs/{name}.json, one resolved configuration per job,
    resources/entries/{kind}/{name}.json, one catalogue entry,
    resources/models/{model}/ (Hugging Face layout, provenance.json),
    resources/data/{dataset}.parquet, .provenance.json, .dropped.csv
"""

from rlvr.files import content_hash


rule resolve_config:
    """Write one resolved configuration, again exactly when its content has changed."""
    output:
        STUDY.config("{name}"),
    log:
        "logs/{study}/configs/{name}.log",
    wildcard_constraints:
        name="study|(train|generate|grade)/[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        folder=str(FROZEN),  # no parameter: `fingerprint` tells what has changed
    params:
        fingerprint=lambda wildcards: known(
            config_fingerprints(wildcards.study), wildcards.name, f"study {wildcards.study!r}"
        ),
    message:
        "Resolving {wildcards.name} of study {wildcards.study}"
    shell:
        """
        rlvr resolve {wildcards.name} \
            --study {wildcards.study} \
            --config {resources.folder:q} \
            -o {output:q} >{log:q} 2>&1
        """


rule resolve_entry:
    """Write one entry of a catalogue, again exactly when it has changed."""
    output:
        "resources/entries/{kind}/{name}.json",
    log:
        "logs/resources/entries/{kind}/{name}.log",
    wildcard_constraints:
        kind="models|data",
        name="[^/]+",
    priority: 2
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        folder=str(FROZEN),  # no parameter: `fingerprint` tells what has changed
    params:
        fingerprint=lambda wildcards: content_hash(entry_of(wildcards.kind, wildcards.name).model_dump()),
    message:
        "Resolving {wildcards.kind}/{wildcards.name}"
    shell:
        """
        rlvr resolve {wildcards.kind}/{wildcards.name} \
            --config {resources.folder:q} \
            -o {output:q} >{log:q} 2>&1
        """


rule prepare_data:
    """Check a data set row by row and write it as Parquet."""
    input:
        entry="resources/entries/data/{dataset}.json",
        files=lambda wildcards: catalogue.entry_files(entry_of("data", wildcards.dataset)),
    # Beside them, lists for readers: .kept.csv of rows with defects, and .stopped.csv, which a failed job must not lose.
    output:
        data="resources/data/{dataset}.parquet",
        provenance="resources/data/{dataset}.provenance.json",
        dropped="resources/data/{dataset}.dropped.csv",
    log:
        "logs/resources/data/{dataset}.log",
    benchmark:
        "logs/benchmarks/resources/data/{dataset}.tsv"
    priority: 2
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    message:
        "Preparing data set {wildcards.dataset}"
    shell:
        """
        rlvr prepare-data {input.entry:q} \
            -o {output.data:q} >{log:q} 2>&1
        """


rule prepare_model:
    """Download, convert or copy a model."""
    input:
        entry="resources/entries/models/{model}.json",
        files=lambda wildcards: catalogue.entry_files(entry_of("models", wildcards.model)),
    output:
        directory("resources/models/{model}"),
    log:
        "logs/resources/models/{model}.log",
    benchmark:
        "logs/benchmarks/resources/models/{model}.tsv"
    wildcard_constraints:
        model=f"(?!({built_in_models()})$)[^/]+",
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    message:
        "Preparing model {wildcards.model}"
    shell:
        """
        rlvr prepare-model {input.entry:q} \
            --gpus 0 \
            -o {output:q} >{log:q} 2>&1
        """


rule pretrain_model:
    """Pretrain a built-in model."""
    input:
        entry="resources/entries/models/{model}.json",
        data=pretraining_data("datasets"),
        validation=pretraining_data("validation_datasets"),
    output:
        directory("resources/models/{model}"),
    log:
        "logs/resources/models/{model}.log",
    benchmark:
        "logs/benchmarks/resources/models/{model}.tsv"
    wildcard_constraints:
        model=built_in_models(),
    # Every run waits for it, and for the data that it is pretrained on.
    priority: 2
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **MODEL,
    params:
        data=lambda wildcards, input: repeated("--data", input.data),
        validation=lambda wildcards, input: repeated("--validation", input.validation),
    message:
        "Pretraining model {wildcards.model}"
    shell:
        """
        rlvr prepare-model {input.entry:q} \
            {params.data:q} \
            {params.validation:q} \
            --gpus 0 \
            -o {output:q} >{log:q} 2>&1
        """
