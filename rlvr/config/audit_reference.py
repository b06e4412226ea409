"""Write `docs/released-code.md` from `config/audit.yaml`.

Run it as ``python -m rlvr.config.audit_reference``.
"""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from rlvr.config.audit import Audit, Contrast, Difference, Place, PresetUse
from rlvr.config.loading import load_yaml
from rlvr.files import read_csv, write_text

INTRODUCTION = """\
# What the released code does differently from the paper

The paper ([arXiv 2512.23165](https://arxiv.org/abs/2512.23165)) and its code
([MikaStars39/PeRL](https://github.com/MikaStars39/PeRL)) do not describe the same experiment. This page lists
every difference that we found, by kind; `make schemas` generates it from `config/audit.yaml`. Links without
a commit are to a5ec6c3, the release of 2025-12-29. A repository shows what the code does, not what was on the
machine when it ran; the best evidence is the `adapter_config.json` of the published checkpoint.

*Here* names what reproduces a difference in this project, to measure its effect: a preset `released` in
`config/methods/`, a fault in `rlvr/methods/faults.py`, or the preset `released` in
`config/evaluations.yaml`. The study `config/studies/released-1.5b.yaml` is the main experiment as the
code ran it, with its prompts, reward, evaluation and all presets `released`. *Measured by* names two
kinds of runs of a study that differ in this alone, as the code did it and as the text describes it;
`audit-mini` has all of them on the built-in model: `snakemake audit --config 'studies=[audit-mini]'`.
*Noticed by* is our check or test that would have stopped it.

**All released runs** share D13, D14 and D15; every preset `released` of an adapter sets
`training: {dynamic_sampling: null, soft_overlong: null, importance_cap: 2.0}` and the fault `in_place_merge`.
"""


MEASURED = """\
The study `audit-mini`: share of correct answers to unseen sums, as the code did it minus as the text
describes it, with 95 % intervals, on the built-in model with one training seed. Another seed gives
another number.
"""

RESULTS = Path("docs/results/audit-mini/audit.csv")
"""The table `audit` of the study `audit-mini`, committed once it has been run."""


def reference_text(config: Path = Path("config"), results: Path = RESULTS) -> str:
    """Return the page; ``results`` need not be there.

    Raises:
        UserError: `config/audit.yaml` or the results are missing or wrong.
    """
    audit = load_yaml(config / "audit.yaml", Audit)
    parts = [INTRODUCTION]
    for section in audit.sections:
        parts.append(f"## {section.title}\n")
        parts += [_difference(difference) for difference in section.differences]
    return "\n".join([*parts, _measured(audit, results)])


def _difference(difference: Difference) -> str:
    parts = {
        "Paper": difference.paper,
        "Code": difference.code,
        "Where": ", ".join(_link(place) for place in difference.where),
        "Effect": difference.effect,
        "Here": " ".join(reproduced(difference)),
        "Measured by": " ".join(map(_contrast, difference.contrasts)) or f"Nothing. {difference.unmeasured}",
        "Noticed by": difference.noticed_by,
    }
    lines = [_wrapped(f"- *{name}:* {text}", indent="  ") for name, text in parts.items() if text]
    return "\n".join([f"### {difference.id}. {difference.title}\n", *lines]) + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _link(place: Place) -> str:
    """Return a link to the file at its commit; the text leaves out the default commit and repository."""
    default = Place(path=place.path)
    text = place.path if place.repository == default.repository else f"{place.repository}: {place.path}"
    text += "" if place.commit == default.commit else f"@{place.commit}"
    anchor = ""
    if place.lines:
        text += f":{place.lines}"
        anchor = "#" + "-".join(f"L{line}" for line in place.lines.split("-"))
    return f"[`{text}`](https://github.com/{place.repository}/blob/{place.commit}/{place.path}{anchor})"


def _contrast(contrast: Contrast) -> str:
    pair = f"`{contrast.code.label}` against `{contrast.text.label}` (`{contrast.study}`)."
    return f"{pair} {contrast.measures}".rstrip()


def reproduced(difference: Difference) -> Iterator[str]:
    """Yield what reproduces a difference, in sentences of Markdown."""
    if difference.presets:
        yield "; ".join(_preset(use) for use in difference.presets) + "."
    for names, what in (
        (difference.faults, "The fault {}."),
        (difference.evaluations, "The preset {} in `config/evaluations.yaml`."),
        (difference.prompts, "The prompt {} in `config/prompts.yaml`."),
        (difference.graders, "The grader {}."),
    ):
        for name in names:
            yield what.format(f"`{name}`")
    if difference.here:
        yield difference.here


def _preset(use: PresetUse) -> str:
    details = [f"trains `{use.trains_as}`"] if use.trains_as else []
    details += [f"fault `{fault}`" for fault in use.faults]
    return f"`{use.preset}` of `{use.method}`" + (f" ({', '.join(details)})" if details else "")


def _measured(audit: Audit, results: Path) -> str:
    """Return the table of effects; a pair of runs without results is `failed` or `not run`."""
    columns = ["id", "code_side", "text_side", "status", "difference", "ci_low", "ci_high", "p_holm"]
    rows = read_csv(results, columns)[columns].to_numpy().tolist() if results.exists() else []
    found = {tuple(row[:3]): dict(zip(columns, row, strict=True)) for row in rows}
    lines = [
        "| | as the code did it | as the text describes it | difference, points | p (Holm) |",
        "|---|---|---|---|---|",
    ]
    for difference in audit.differences:
        for contrast in difference.contrasts:
            sides = contrast.code.label, contrast.text.label
            effect = _effect(found.get((difference.id, *sides), {}))
            lines.append(f"| {difference.id} | `{sides[0]}` | `{sides[1]}` | {effect} |")
    return "\n".join(["## Measured in miniature\n", _wrapped(MEASURED), "", *lines, ""])


def _effect(row: Mapping[str, str]) -> str:
    if not row.get("difference"):
        return f"{row.get('status', 'not run')} | "
    difference, low, high = (f"{100 * float(row[name]):+.1f}" for name in ("difference", "ci_low", "ci_high"))
    return f"{difference} ({low} to {high}) | {float(row['p_holm']):.3f}"


if __name__ == "__main__":
    write_text(Path("docs/released-code.md"), reference_text())
