"""Snakemake's own report: everything that it shows has a caption."""

import re

from tests.helpers.paths import REPOSITORY

CAPTIONS = REPOSITORY / "workflow" / "report"


def test_every_shown_file_has_a_caption_and_no_caption_is_left_over() -> None:
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    shown = {name or "claims" for name in re.findall(r'shown\(STUDY\.(?:table\("(\w+)"\)|claims)\)', rules)}
    shown |= set(re.findall(r"report/(\w+)\.rst", rules))
    assert shown == {path.stem for path in CAPTIONS.glob("*.rst")}


def test_every_table_of_a_study_is_shown() -> None:
    rules = (REPOSITORY / "workflow" / "rules" / "analyse.smk").read_text()
    outputs = re.findall(r"^    output:\n(.*?)^    \w+:", rules, re.MULTILINE | re.DOTALL)
    written = [line.strip() for block in outputs for line in block.splitlines() if "STUDY." in line]
    assert len(written) > 5 and [line for line in written if "shown(" not in line] == []
