"""Tables with uncertainty.

REQUIRED INPUTS: the study cell, samples and grades of all its runs, their run.json, the prepared data
OUTPUTS: results/{study}/tables/summary.csv, comparisons.csv, budget.csv, overlap.csv, contaminated.csv
"""


rule aggregate_study:
    """Estimate every metric with its standard error, and compare methods pairwise."""
    input:
        answers_of,
        runs_json_of,
        cell="results/{study}/configs/study.json",
        contaminated="results/{study}/tables/contaminated.csv",
    output:
        summary="results/{study}/tables/summary.csv",
        comparisons="results/{study}/tables/comparisons.csv",
        budget="results/{study}/tables/budget.csv",
    log:
        "logs/{study}/aggregate.log",
    benchmark:
        "logs/benchmarks/{study}/aggregate.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    message:
        "Estimating and comparing the runs of study {wildcards.study}"
    shell:
        "rlvr aggregate {input.cell:q} --results results/{wildcards.study} --contaminated {input.contaminated:q} --summary {output.summary:q} --comparisons {output.comparisons:q} --budget {output.budget:q} > {log:q} 2>&1"


rule find_contamination:
    """Find the benchmark problems that stand in the training data, word for word or nearly so."""
    input:
        train=learned_data_of,
        benchmarks=benchmark_files_of,
    output:
        overlap="results/{study}/tables/overlap.csv",
        contaminated="results/{study}/tables/contaminated.csv",
    log:
        "logs/{study}/overlap.log",
    benchmark:
        "logs/benchmarks/{study}/overlap.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        similarity=lambda wildcards: plan_of(wildcards.study).study.evaluation.contamination_similarity,
    message:
        "Looking for benchmark problems of study {wildcards.study} in its training data"
    shell:
        "rlvr overlap --train {input.train:q} --benchmarks {input.benchmarks:q} --similarity {params.similarity} -o {output.overlap:q} --contaminated {output.contaminated:q} > {log:q} 2>&1"
