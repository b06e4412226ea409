"""The page that people read.

REQUIRED INPUTS: tables, samples, grades, run.json and training logs of a study
OUTPUTS: reports/{study}.html
"""


rule render_report:
    """Render one self-contained page."""
    input:
        answers_of,
        runs_json_of,
        training_logs_of,
        models_of,
        benchmark_files_of,
        lambda wildcards: tables([wildcards.study]),
        cell="results/{study}/configs/study.json",
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
        mem_mb=4000,
        runtime=30,
    message:
        "Writing reports/{wildcards.study}.html"
    shell:
        "rlvr report {input.cell:q} --results results/{wildcards.study} -o {output:q} > {log:q} 2>&1"
