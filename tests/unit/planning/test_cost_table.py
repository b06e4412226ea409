"""The table of costs: one line per run on a terminal of 80 characters, and no number for what is unknown."""

import re

from rlvr.planning.cost_table import print_costs
from rlvr.planning.costs import Costs
from rlvr.planning.plan import load_plan


def printed(study, repository, resources, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_costs(Costs(load_plan(study, repository / "config"), resources), price=2.0)
    return capsys.readouterr().out


def test_each_run_of_the_paper_has_a_line_of_its_own(repository, tmp_path, capsys, monkeypatch):
    shown = printed("paper-1.5b", repository, tmp_path, capsys, monkeypatch)
    assert re.search(r"^ full +1,777( +\d+\.\d){7} +\d{3} +$", shown, re.MULTILINE)
    assert re.search(r"^ rank1_lora +1\.15( +\d+\.\d){7} +\d{3} +$", shown, re.MULTILINE)
    assert re.search(
        r"^Longest training: .*--dora--paper--main--s42\), 4 attempts of at most 48 h$", shown, re.M
    )


def test_nothing_is_totalled_where_no_model_is_known(repository, tmp_path, capsys, monkeypatch):
    shown = printed("smollm2-precision", repository, tmp_path, capsys, monkeypatch)
    assert "Unknown: the architecture of model 'smollm2-135m-instruct'" in shown
    assert "Total" not in shown and not re.search(r" 0 +$", shown, re.MULTILINE)
