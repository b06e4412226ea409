"""Tables with uncertainty.

REQUIRED INPUTS: the manifest of a study, samples and grades of all its runs, their run.json and training logs, the
    prepared data; config/claims
OUTPUTS: results/{study}/tables/summary.csv, comparisons.csv, leader.csv, budget.csv, forgetting.csv, learning.csv,
    runs.csv, contamination.csv, contaminated_problems.csv, results/{study}/claims.json,
    results/{study}/tables/audit.csv of the studies that config/audit.yaml names
"""


rule aggregate_study:
    """Estimate every metric with its standard error, and compare methods pairwise."""
    input:
        graded_samples_of,
        scored_references_of,
        records_of,
        train_logs_of,
        manifest=STUDY.manifest,
        contaminated=STUDY.table("contaminated_problems"),
    output:
        summary=shown(STUDY.table("summary")),
        comparisons=shown(STUDY.table("comparisons")),
        leader=shown(STUDY.table("leader")),
        budget=shown(STUDY.table("budget")),
        forgetting=shown(STUDY.table("forgetting")),
        learning=shown(STUDY.table("learning")),
        runs=shown(STUDY.table("runs")),
    log:
        "logs/{study}/aggregate.log",
    benchmark:
        "logs/benchmarks/{study}/aggregate.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **TABLES,
    message:
        "Estimating and comparing the runs of study {wildcards.study}"
    shell:
        """
        rlvr aggregate {input.manifest:q} \
            --results results/{wildcards.study} \
            --contaminated-problems {input.contaminated:q} \
            --summary {output.summary:q} \
            --comparisons {output.comparisons:q} \
            --leader {output.leader:q} \
            --budget {output.budget:q} \
            --forgetting {output.forgetting:q} \
            --learning {output.learning:q} \
            --runs {output.runs:q} >{log:q} 2>&1
        """


rule answer_claims:
    """Answer every claim of the paper and the study's own, again when a claim or its test has changed."""
    input:
        manifest=STUDY.manifest,
        comparisons=STUDY.table("comparisons"),
        claims=sorted(map(str, Path("config/claims").glob("*.*"))),
    output:
        shown(STUDY.claims),
    log:
        "logs/{study}/claims.log",
    benchmark:
        "logs/benchmarks/{study}/claims.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **LIGHT,
    message:
        "Answering the claims of the paper by study {wildcards.study}"
    shell:
        """
        rlvr claims {input.manifest:q} \
            --results results/{wildcards.study} \
            -o {output:q} >{log:q} 2>&1
        """


rule find_contamination:
    """Find benchmark problems in the training data, identical or similar."""
    input:
        train=learned_data_of,
        benchmarks=benchmark_files_of,
    output:
        counts=shown(STUDY.table("contamination")),
        problems=shown(STUDY.table("contaminated_problems")),
    log:
        "logs/{study}/contamination.log",
    benchmark:
        "logs/benchmarks/{study}/contamination.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **LIGHT,
    params:
        train=lambda wildcards, input: repeated("--train", input.train),
        similarity=lambda wildcards: plan_of(wildcards.study).study.evaluation.contamination_similarity,
        refuse=lambda wildcards: "--refuse" if tunes(wildcards.study) else [],
    message:
        "Comparing the benchmarks of study {wildcards.study} with its training data"
    shell:
        """
        rlvr contamination {input.benchmarks:q} \
            {params.train:q} \
            --similarity {params.similarity} \
            {params.refuse} \
            -o {output.counts:q} \
            --problems {output.problems:q} >{log:q} 2>&1
        """


rule audit_study:
    """Show what each difference between the paper and its released code changes."""
    input:
        "config/audit.yaml",
        STUDY.table("comparisons"),
        STUDY.table("runs"),
        manifest=STUDY.manifest,
    output:
        shown(STUDY.table("audit")),
    log:
        "logs/{study}/audit.log",
    benchmark:
        "logs/benchmarks/{study}/audit.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **LIGHT,
    message:
        "Auditing study {wildcards.study}"
    shell:
        """
        rlvr audit {input.manifest:q} \
            --results results/{wildcards.study} \
            -o {output:q} >{log:q} 2>&1
        """
