"""The parts of the report: scales, plots, curves, numbers as text."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from rlvr.report import text
from rlvr.report.charts import svg
from rlvr.report.charts.curves import training_curve, training_panels
from rlvr.report.charts.intervals import (
    Estimate,
    Mark,
    accuracy_against_parameters,
    domain_of,
    dot_and_whisker,
)
from rlvr.report.charts.svg import Scale


def test_scales_and_ticks():
    assert Scale(0, 10, 100, 200)(2.5) == 125
    assert Scale(1, 100, 0, 200, logarithmic=True)(10) == pytest.approx(100)
    assert Scale(0, 1, 0, 10).clamped(7) == 10
    assert svg.nice_ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert svg.nice_ticks(-0.13, 0.21, 4) == [-0.1, 0, 0.1, 0.2]
    assert svg.log_ticks(Scale(800, 2e6, 0, 1, logarithmic=True), text.compact) == [
        *[(1e3, "1k"), (1e4, "10k"), (1e5, "100k"), (1e6, "1M")]
    ]
    narrow = svg.log_ticks(Scale(35_000, 72_000, 0, 1, logarithmic=True), text.compact)
    assert [label for _, label in narrow] == ["40k", "50k", "60k", "70k"]


def test_elements_escape_and_paths_break_where_a_value_is_missing():
    assert str(svg.text(1, 2, "<b>", anchor='"')) == (
        '<text x="1" y="2" class="tick" text-anchor="&#34;">&lt;b&gt;</text>'
    )
    assert 'd="M0.0,0.0L1.0,1.0M3.0,3.0"' in svg.path([0, 1, 2, 3], [0, 1, math.nan, 3], "smooth")


def test_dot_and_whisker_are_where_the_numbers_are():
    estimate = Estimate(0.5, 0.4, 0.7)
    scale = domain_of([estimate, Estimate(0.2, 0.1, 0.3)], 0.0, 1.0)
    drawn = dot_and_whisker(estimate, scale, 0.2, "t")
    x1, x2 = (float(value) for value in re.search(r'x1="([\d.]+)" y1="8" x2="([\d.]+)"', drawn).groups())
    dot = float(re.search(r'cx="([\d.]+)"', drawn)[1])
    assert (dot - x1) / (x2 - x1) == pytest.approx(1 / 3, abs=0.01)
    assert "50.0\xa0%, 95 % interval 40.0\xa0% to 70.0\xa0%" in drawn


def test_an_unknown_interval_is_not_drawn():
    drawn = dot_and_whisker(Estimate(0.5, math.nan, math.nan), Scale(0, 1, 0, 96), None, "t")
    assert "whisker" not in drawn and "n/a" in drawn and "nan" not in drawn


def test_labels_of_equal_methods_do_not_overlap():
    marks = [Mark(f"method{i}", 36_864, Estimate(0.6 + i / 500, 0.5, 0.7)) for i in range(16)]
    drawn = accuracy_against_parameters(marks, Estimate(0.45, 0.4, 0.5), "t")
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="label" text-anchor="start">([^<]+)<', drawn)
    boxes = {name: (float(x), float(y), float(x) + 6.7 * len(name)) for x, y, name in found}
    assert len(boxes) == 17
    for name, (left, y, right) in boxes.items():
        for other, (other_left, other_y, other_right) in boxes.items():
            if name < other:
                assert right <= other_left or other_right <= left or abs(y - other_y) >= 14, (name, other)
    dots = [float(x) for x in re.findall(r'cx="([\d.]+)"', drawn)]
    assert min(np.diff(sorted(dots))) >= 8.9


def test_training_curves_average_seeds_and_thin_long_runs():
    logs = [
        pd.DataFrame({"step": range(1, 6), "reward": values}) for values in ([0, 1, 2, 3, 4], [2, 3, 4, 5, 6])
    ]
    curve = training_curve(logs, "reward")
    assert curve.smooth == pytest.approx([1.5, 2, 3, 4, 4.5])
    assert [list(seed) for seed in curve.seeds] == [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]]
    long = training_curve([pd.DataFrame({"step": range(5000), "reward": np.arange(5000.0)})], "reward")
    assert len(long.steps) <= 400 and long.steps[-1] == 4999
    assert long.seeds[0].mean() == pytest.approx(2499.5, abs=10)


def test_a_curve_with_missing_values_is_drawn_with_gaps():
    log = pd.DataFrame({"step": range(1, 31), "reward": [math.nan] * 10 + [0.5] * 20})
    (panel,) = training_panels({"lora": training_curve([log], "reward")}, {}, "Mean reward")
    assert "nan" not in panel and "Smoothed, from 0.5" in panel
    (empty,) = training_panels({"lora": training_curve([log.head(5)], "reward")}, {}, "Mean reward")
    assert "Nothing was logged." in empty


def test_numbers_as_text():
    assert text.percent(0.613) == "61.3\xa0%" and text.percent(math.nan) == "n/a"
    assert text.points(-0.02) == "−2.0\xa0points" and text.points(0.00004, "") == "0.0"
    assert text.p_value(0.0004) == "<\xa00.001" and text.p_value(0.0304) == "0.030"
    assert text.count(1, "seed") == "1\xa0seed" and text.listing(["a", "b", "c"]) == "a, b and c"
    assert text.visible("a\x07\n\u202eb") == "a\\u0007\n\\u202eb"
