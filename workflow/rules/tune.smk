"""The learning rates that a study with `tune` chooses on its validation problems.

REQUIRED INPUTS: the manifest of the study, samples and grades of all its runs, their run.json,
    contaminated_problems.csv
OUTPUTS: results/{study}/tables/rates.csv; config/rates/{study}.yaml, which other studies read (`rates`) and which
    belongs under version control
"""


rule choose_rates:
    """Choose the rate of every method by its accuracy on the validation problems."""
    input:
        graded_samples_of,
        records_of,
        manifest=STUDY.manifest,
        contaminated=STUDY.table("contaminated_problems"),
    output:
        STUDY.table("rates"),
    log:
        "logs/{study}/choose-rates.log",
    benchmark:
        "logs/benchmarks/{study}/choose-rates.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **LIGHT,
    message:
        "Choosing the learning rates of study {wildcards.study}"
    shell:
        """
        rlvr choose-rates {input.manifest:q} \
            --results results/{wildcards.study} \
            --contaminated-problems {input.contaminated:q} \
            -o {output:q} 2>&1 | tee {log:q}
        """


rule write_rates:
    """Write the chosen rates into the configuration, where only `snakemake rates` puts them."""
    input:
        records_of,
        manifest=STUDY.manifest,
        table=STUDY.table("rates"),
    # A failed job leaves the earlier file, which other studies read.
    output:
        update("config/rates/{study}.yaml"),
    log:
        "logs/{study}/write-rates.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        folder=str(FROZEN),  # no parameter: what the file depends on are the runs
    message:
        "Writing config/rates/{wildcards.study}.yaml"
    shell:
        """
        rlvr write-rates {input.manifest:q} \
            --results results/{wildcards.study} \
            --config {resources.folder:q} \
            -o {output:q} >{log:q} 2>&1
        """
