"""What a run looks like on terminals of any size."""

import io
import time

import pytest
from rich.console import Console

from rlvr.status.screen import Screen
from rlvr.status.stages import Job, Stages


@pytest.mark.parametrize(("width", "bar"), [(120, 20), (60, 12), (48, 0)])
def test_every_stage_and_job_is_one_line_however_narrow_the_terminal(width: int, bar: int) -> None:
    stages = Stages({"prepare": 30, "train": 14}, time.time() - 4000)
    stages.start(Job(1, "train", "Training tiny--lora--recommended--main--s0", None, time.time() - 4000))
    stages.start(Job(2, "train", "Training tiny--full--recommended--main--s0", None, time.time() - 3600))
    stages.finish(1, time.time())
    shown = io.StringIO()
    screen = Screen(Console(file=shown, width=width, height=40))
    screen.stages = stages
    screen.console.print(screen._page())
    lines = shown.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert [line.split()[0] for line in lines[1:4]] == ["prepare", "train", "Training"]
    assert lines[1].count("━") == bar and "0/30" in lines[1]
