"""The problem maps and the sample browser in a browser."""

from pathlib import Path

import pytest

from tests.helpers.browser import Tab
from tests.helpers.report_tree import HOSTILE, Tree

CARD = """Object.fromEntries(Array.from(document.querySelectorAll(".card"), (card) =>
  [card.querySelector("h5").textContent, card.textContent]))"""


def test_the_fragment_opens_a_sample_of_every_method(tab: Tab, path: Path, tree: Tree):
    tab.open(path, "#sample=sums/sums-0003/lora/s0/2")
    cards = tab.run(CARD)
    assert next(iter(cards)) == "base (untrained)" and len(cards) == 10
    for run, method in (("tiny--base", "base (untrained)"), ("tiny--lora--recommended--main--s0", "lora")):
        correct = tree.correct[run, "sums"][3]
        assert f"{correct.sum()} of 8 correct" in cards[method]
        assert f"{'✓ correct' if correct[2] else '✗ incorrect'}" in cards[method]
        assert "First I add the tens.\nThe answer is \\boxed{26}." in cards[method]
    assert cards["ia3"] == "ia3no samples"
    assert tab.run("document.querySelector('.card.named h5').textContent") == "lora"
    assert tab.run("document.activeElement.textContent") == "Sums, problem sums-0003"
    assert tab.complaints() == []


def test_what_is_not_embedded_has_its_command(tab: Tab, path: Path):
    tab.open(path)
    missing = tab.run("""(() => {
      const { benchmarks, chosen } = DATA.samples;
      const here = chosen.filter(({ benchmark }) => benchmark === 0).map(({ problem }) => problem);
      return benchmarks[0].ids.find((_, problem) => !here.includes(problem));
    })()""")
    tab.open(path, f"#sample=sums/{missing}/lora/s0/5")
    assert tab.run("document.querySelector('.card.named pre').textContent") == (
        f"rlvr show --study demo --sample 5 tiny--lora--recommended--main--s0 sums {missing}"
    )
    tab.open(path, "#sample=sums/nothing%2F<b>")
    assert "no problem sums/nothing/<b>." in tab.run("document.querySelector('#sample-view').textContent")


def test_hostile_samples_are_shown_as_text(tab: Tab, path: Path):
    for index, text in enumerate(HOSTILE[:2]):
        tab.open(path, f"#sample=sums/sums-0000/base/base/{index}")
        assert tab.run("document.querySelector('.card.named pre').textContent") == text
        assert tab.run("document.querySelectorAll('#samples img, #samples script').length") == 0
    assert tab.run("document.title").startswith("Which method") and tab.complaints() == []


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("show=correct&of=lora", "method === 'lora' && flags & 1"),
        ("show=incorrect&in=products", "benchmark === 'products' && !(flags & 1)"),
        ("show=truncated", "flags & 4"),
        ("show=no-answer", "flags >> 3 === 1"),
        ("show=graders-disagree", "Boolean(flags & 1) !== Boolean(flags & 2)"),
        ("text=ADD+the+tens", "text.includes('add the tens')"),
    ],
)
def test_filters(tab: Tab, path: Path, query: str, condition: str):
    tab.open(path, f"#samples?{query}")
    expected, said = tab.run(f"""(() => {{
      const {{ chosen, methods, runs, benchmarks }} = DATA.samples;
      const packed = JSON.parse(document.getElementById("data").textContent).samples.chosen;
      const found = packed.flatMap(({{ benchmark: number, samples }}) =>
        samples.filter(([run, index, flags, tokens, extracted, text = extracted ?? ""]) => {{
          const [method, benchmark] = [methods[runs[run].method].key, benchmarks[number].name];
          return {condition};
        }}));
      return [found.length, document.getElementById("sample-count").textContent];
    }})()""")
    assert expected > 0 and said.startswith(f"{expected:,} of the ")


def test_filters_by_what_methods_get_right(tab: Tab, path: Path, tree: Tree):
    shares = {run: correct.mean(axis=1) for (run, name), correct in tree.correct.items() if name == "sums"}
    for show in ("lost", "methods-disagree"):
        tab.open(path, f"#samples?show={show}&in=sums&of=lora")
        links = tab.run(
            "Array.from(document.querySelectorAll('#sample-list a'), (a) => decodeURIComponent(a.hash))"
        )
        chosen = tab.run("DATA.samples.chosen.filter((one) => one.benchmark === 0).map((one) => one.problem)")
        for problem in chosen:
            mine = [share[problem] for share in shares.values()]
            wanted = max(mine) > 0.5 > min(mine)
            if show == "lost":
                correct = tree.correct["tiny--lora--recommended--main--s0", "sums"][problem]
                wanted = shares["tiny--base"][problem] > 0.5 and not correct.all()
            assert any(f"/sums-{problem:04d}/lora/s0/" in link for link in links) == wanted


def test_the_address_keeps_filters_and_sample(tab: Tab, path: Path):
    tab.open(path, "#sample=sums/sums-0003/lora/s0/2?show=incorrect")
    tab.run("""(() => {
      const field = document.querySelector("[data-key=text]");
      field.value = "tens & more?";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    })()""")
    assert tab.run("location.hash") == "#sample=sums/sums-0003/lora/s0/2?show=incorrect&text=tens+%26+more%3F"
    tab.run("document.querySelector('.card.named .picks a').click()")
    address = tab.run("new Promise((done) => setTimeout(() => done(location.hash), 100))")
    assert address == "#sample=sums/sums-0003/lora/s0/0?show=incorrect&text=tens+%26+more%3F"
    tab.open(path, address)
    assert tab.run("document.querySelector('[data-key=text]').value") == "tens & more?"


def test_a_map_answers_pointer_and_keyboard(tab: Tab, path: Path, tree: Tree):
    tab.open(path)
    place = tab.run("""(() => {
      const area = document.querySelector("svg.map .area");
      area.scrollIntoView({ block: "center", behavior: "instant" });
      const { left, top, width, height } = area.getBoundingClientRect();
      return [left + (width * 12.5) / 160, top + (height * 1.5) / 9];
    })()""")
    problem, method = tab.run("[DATA.samples.maps[0].problems[12], DATA.samples.maps[0].methods[1]]")
    key = tab.run(f"DATA.samples.methods[{method}].key")
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    correct = tree.correct[f"tiny--{key}--recommended--main--s0", "sums"][problem].sum()
    assert tab.run("document.querySelector('.map-box output').textContent") == (
        f"Problem sums-{problem:04d}: {key} {correct} of 8 correct"
    )
    for kind in ("mousePressed", "mouseReleased"):
        tab.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)
    assert tab.run("new Promise((done) => setTimeout(() => done(location.hash), 100))") == (
        f"#sample=sums/sums-{problem:04d}/{key}"
    )
    tab.run("document.querySelector('svg.map').focus()")
    for name in ("End", "ArrowDown", "ArrowLeft", "ArrowLeft", "Enter"):
        tab.call("Input.dispatchKeyEvent", type="keyDown", key=name)
    assert tab.run(
        "new Promise((done) => setTimeout(() => done(location.hash === '#sample=sums/'"
        " + DATA.samples.benchmarks[0].ids[DATA.samples.maps[0].problems[157]]"
        " + '/' + DATA.samples.methods[DATA.samples.maps[0].methods[2]].key), 100))"
    )


def test_a_map_as_a_table_is_made_on_demand(tab: Tab, path: Path, tree: Tree):
    tab.open(path)
    assert tab.run("document.querySelectorAll('#samples *').length") < 450
    rows = tab.run("""(() => {
      const figure = document.querySelector(".map-box");
      Array.from(figure.querySelectorAll("button")).at(-1).click();
      const texts = (row) => Array.from(row.cells, (cell) => cell.textContent);
      return Array.from(figure.querySelectorAll("tr"), texts);
    })()""")
    assert len(rows) == 161 and rows[0][:2] == ["Problem", "base (untrained)"]
    problem = int(rows[1][0][-4:])
    assert rows[1][1] == f"{tree.correct['tiny--base', 'sums'][problem].sum()} of 8"
