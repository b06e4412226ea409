"""The report of a study.

REQUIRED INPUTS: tables, claims, samples, grades, run.json and training logs of a study
OUTPUTS: reports/{study}.html
"""


rule render_report:
    """Render one self-contained page."""
    input:
        graded_samples_of,
        records_of,
        train_logs_of,
        models_of,
        benchmark_files_of,
        lambda wildcards: tables([wildcards.study]),
        lambda wildcards: audits([wildcards.study]),
        lambda wildcards: spectra([wildcards.study]),
        STUDY.claims,
        manifest=STUDY.manifest,
    output:
        report(
            "reports/{study}.html",
            category="Report",
            caption="../report/study.rst",
        ),
    log:
        "logs/{study}/report.log",
    benchmark:
        "logs/benchmarks/{study}/report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **LIGHT,
    message:
        "Writing reports/{wildcards.study}.html"
    shell:
        """
        rlvr report {input.manifest:q} \
            --results results/{wildcards.study} \
            -o {output:q} >{log:q} 2>&1
        """
