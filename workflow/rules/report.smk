"""The report of a study, and the check that no run failed.

REQUIRED INPUTS: tables, claims, samples, grades, run.json and training logs of a study
OUTPUTS: reports/{study}.html, results/{study}/figures/{section}--{figure}.svg, results/{study}/complete/{stage}
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
        page=report(
            "reports/{study}.html",
            category="Report",
            labels={"study": "{study}"},
            caption="../report/study.rst",
        ),
        figures=report(
            directory(STUDY.figures),
            patterns=["{section}--{figure}.svg"],
            category="Figures",
            subcategory="{section}",
            labels={"study": "{study}", "figure": "{figure}"},
            caption="../report/figure.rst",
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
            --figures {output.figures:q} \
            -o {output.page:q} >{log:q} 2>&1
        """


rule check_runs:
    """Stop if a training run failed: the last job of every target, so that the exit code says so."""
    input:
        records_of,
        lambda wildcards: STAGES[wildcards.stage]([wildcards.study]),
        manifest=STUDY.manifest,
    output:
        touch(STUDY.complete("{stage}")),
    log:
        "logs/{study}/check-{stage}.log",
    wildcard_constraints:
        stage="|".join(STAGES),
    retries: 0  # the failures are recorded: another attempt would find them again
    localrule: True
    conda:
        "../../environment.yml"
    message:
        "Checking that no run of study {wildcards.study} failed"
    shell:
        """
        rlvr check-runs {input.manifest:q} \
            --results results/{wildcards.study} >{log:q} 2>&1
        """
