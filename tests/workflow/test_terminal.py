"""What a real run of Snakemake shows where its output goes to a file."""

from pathlib import Path

from tests.helpers.checkout import make_checkout

RUN = "tiny--lora--recommended--main--s0"
CONFIGS = [f"results/{study}/configs/train/{RUN}.json" for study in ("one", "two")]
BROKEN = """

rule broken:
    output:
        "broken.txt",
    log:
        "broken.log",
    shell:
        "echo no space left >{log}; exit 1"
"""


def test_a_run_is_shown_by_stage_and_a_failed_job_with_the_end_of_its_log(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout")
    for study in ("one", "two"):  # with runs of the same name
        path = checkout.folder / "config" / "studies" / f"{study}.yaml"
        path.write_text(f"extends: demo\ntitle: Study {study}\n")
    snakefile = checkout.folder / "Snakefile"
    snakefile.write_text(snakefile.read_text() + BROKEN)
    asked = ("-p", "--cores", "1", "--config", "studies=[one,two]")
    done = checkout.snakemake(*CONFIGS, "broken.txt", *asked, check=False)
    shown = done.stdout + done.stderr
    assert done.returncode == 1 and "\x1b" not in shown and "Traceback" not in shown
    assert "Studies: one, two\n" in shown
    assert "Jobs: prepare 2, other 1\n" in shown and "] prepare 2/2\n" in shown
    assert f"    rlvr resolve train/{RUN}" in shown
    assert "Failed: broken (job " in shown and "  log: broken.log\n    no space left\n" in shown
    assert "1 failed" in shown
