"""The parts of the report: scales, plots, curves, numbers as text."""

import math
import re
from itertools import pairwise

import pytest

from rlvr.report import text
from rlvr.report.charts import svg
from rlvr.report.charts.forest import ForestRow, ranking_forest
from rlvr.report.charts.intervals import NO_PLOT, Estimate, difference_plot, difference_scale
from rlvr.report.charts.lines import Axis, Line, LinePanel, spread, thinned
from rlvr.report.charts.scatter import Mark, cost_against_accuracy, pareto
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


def test_the_small_plot_of_a_difference_is_where_its_numbers_are():
    scale = difference_scale([Estimate(0.05, 0.02, 0.08), Estimate(-0.04, -0.06, -0.02)])
    plot = difference_plot(Estimate(0.05, 0.02, 0.08), 0.01, True, scale)
    assert (plot.dot - plot.low) / (plot.high - plot.low) == pytest.approx(0.5) and plot.low > scale(0)
    assert (plot.left, plot.right) == (scale(-0.01), scale(0.01))
    drawn = plot.figure()
    assert f'cx="{plot.dot:.2f}"' in drawn and f'x1="{plot.low:.2f}"'.rstrip("0") in drawn
    unknown = difference_plot(Estimate(0.05, math.nan, math.nan), math.nan, False, scale)
    assert unknown.low == unknown.high == unknown.dot and unknown.left == unknown.right == scale(0)
    assert 'visibility="hidden"' in NO_PLOT


def test_a_mark_outside_the_forest_is_an_arrow_with_its_number():
    row = ForestRow(
        key="pissa", label="pissa", difference=Estimate(-0.01, -0.03, 0.01), told_apart=False,
        paper=-0.423, others=[0.0], numbers=["52.1"],
    )  # fmt: skip
    drawn = ranking_forest([row], ["overall"], 0.02, "points")
    assert "◂ −42.3" in drawn and drawn.count('class="others"') == 1 and "dot hollow" in drawn
    assert "pissa −1.0 (−3.0 to +1.0), not told apart, the paper −42.3" in drawn


def test_training_seeds_are_ticks_and_the_untrained_model_may_lie_outside():
    empty = {"told_apart": True, "paper": None, "others": []}
    dora = ForestRow(
        key="dora", label="dora", difference=Estimate(0.01, -0.02, 0.04), seeds=[-0.07, 0.02, 0.08],
        numbers=["54.0"], **empty,
    )  # fmt: skip
    base = ForestRow(
        key="base", label="base", difference=Estimate(-0.3, -0.33, -0.27), outside=True, numbers=["23.0"],
        **empty,
    )  # fmt: skip
    drawn = ranking_forest([dora, base], ["sums"], 0.02, "points")
    ticks = [float(x) for x in re.findall(r'<line x1="([\d.]+)"[^>]*class="seed"', drawn)]
    (dot,) = re.findall(r'<circle cx="([\d.]+)"', drawn)
    assert len(ticks) == 3 and ticks == sorted(ticks) and sum(ticks) / 3 == pytest.approx(float(dot), abs=0.1)
    assert "training seeds −7.0, +2.0 and +8.0" in drawn
    assert "◂ −30.0" in drawn and "base −30.0 (−33.0 to −27.0), told apart" in drawn


def test_labels_of_equal_methods_do_not_overlap_and_dots_are_at_their_true_cost():
    marks = [
        Mark(key=f"m{i}", label=f"method{i}", cost=36_864, accuracy=Estimate(0.6 + i / 500, 0.5, 0.7))
        for i in range(16)
    ]
    drawn = cost_against_accuracy(marks, Estimate(0.45, 0.4, 0.5), "t", "parameters", True)
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="end"[^>]*>([^<]+)<', drawn)
    boxes = {name: (float(x), float(y), float(x) + 6.3 * len(name)) for x, y, name in found}
    assert len(boxes) == 17
    for name, (left, y, right) in boxes.items():
        for other, (other_left, other_y, other_right) in boxes.items():
            if name < other:
                assert right <= other_left or other_right <= left or abs(y - other_y) >= 12, (name, other)
    assert len(set(re.findall(r'cx="([\d.]+)"', drawn))) == 1


def test_the_pareto_line_leaves_out_what_another_beats_for_less():
    costs = {"a": (1, 0.5), "b": (2, 0.4), "c": (2, 0.7), "d": (3, 0.7), "e": (4, 0.9)}
    marks = [
        Mark(key=key, label=key, cost=cost, accuracy=Estimate(value, value, value))
        for key, (cost, value) in costs.items()
    ]
    assert [mark.key for mark in pareto(marks)] == ["a", "c", "e"]


def test_labels_are_spread_in_order_within_the_plot():
    places = spread({"a": 100, "b": 101, "c": 99, "d": 299}, 10, 14, 300)
    ordered = sorted(places, key=places.get)
    assert ordered == ["c", "a", "b", "d"]
    assert min(b - a for a, b in pairwise(sorted(places.values()))) >= 10 and max(places.values()) <= 300


def test_a_line_leaves_out_unknown_values_and_is_thinned():
    axis = Axis(title="t", label=str)
    line = Line(key="a", label="a", x={"step": [0, 1, 2]}, y={"reward": [math.nan, 0.5, 0.6]})
    panel = LinePanel(title="Training", x={"step": axis}, y={"reward": axis}, lines=[line])
    drawn = panel.figure()
    assert "nan" not in drawn and "reward" not in drawn and "at the right end: a 0.6." in drawn
    assert panel.data()["views"]["step|reward"]["x"][:2] == [1, 2]
    thin = thinned(list(range(5000)))
    assert len(thin) == 100 and (thin[0], thin[-1]) == (0, 4999)


def test_numbers_as_text():
    assert text.percent(0.613) == "61.3\xa0%" and text.percent(math.nan) == "n/a"
    assert text.points(-0.02) == "−2.0\xa0points" and text.points(0.00004, "") == "0.0"
    assert text.p_value(0.0004) == "<\xa00.001" and text.p_value(0.0304) == "0.030"
    assert text.count(1, "seed") == "1\xa0seed" and text.listing(["a", "b", "c"]) == "a, b and c"
    assert text.visible("a\x07\n\u202eb") == "a\\u0007\n\\u202eb"


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u200d", "\ufeff", "\u00ad", "\U000e0041", "\u2028", "\u2029", "\u0378", "\x1b"]
)
def test_invisible_characters_are_spelt_out(hidden):
    shown = text.visible(f"1{hidden}2")
    assert hidden not in shown and f"{ord(hidden):04x}" in shown
