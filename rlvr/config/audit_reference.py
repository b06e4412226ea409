"""Write `docs/released-code.md` from `config/audit.yaml`.

Run it as ``python -m rlvr.config.audit_reference``.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from rlvr.config.audit import Audit, Difference, Measured, Place, PresetUse
from rlvr.config.loading import load_yaml
from rlvr.files import write_text

INTRODUCTION = """\
# What the released code does differently from the paper

The paper ([arXiv 2512.23165](https://arxiv.org/abs/2512.23165)) and its code
([MikaStars39/PeRL](https://github.com/MikaStars39/PeRL)) do not describe the same experiment. This page lists
every difference that we found, by kind; `make schemas` generates it from `config/audit.yaml`. Links without
a commit are to a5ec6c3, the release of 2025-12-29. A repository shows what the code does, not what was on the
machine when it ran; the best evidence is the `adapter_config.json` of the published checkpoint.

*Here* names what reproduces a difference in this project, to measure its effect: a preset `released` in
`config/methods/`, a fault in `rlvr/methods/faults.py`, or the preset `released` in `config/evaluations.yaml`.
The study `config/studies/audit.yaml` runs the worst of them next to the methods as their authors define them:
`snakemake all --config 'studies=[audit]'`. The study `config/studies/released-1.5b.yaml` is the main
experiment as the code ran it, with its prompts, reward, evaluation and all presets `released`.
*Noticed by* is our check or test that would have stopped it.

**All released runs** share D13, D14 and D15; every preset `released` of an adapter sets
`training: {dynamic_sampling: null, soft_overlong: null, importance_cap: 2.0}` and the fault `in_place_merge`.
"""


def reference_text(config: Path = Path("config")) -> str:
    """Return the page.

    Raises:
        UserError: `config/audit.yaml` is missing or wrong.
    """
    audit = load_yaml(config / "audit.yaml", Audit)
    parts = [INTRODUCTION]
    for section in audit.sections:
        parts.append(f"## {section.title}\n")
        parts += [_difference(difference) for difference in section.differences]
    return "\n".join([*parts, _measured(audit.measured)])


def _difference(difference: Difference) -> str:
    parts = {
        "Paper": difference.paper,
        "Code": difference.code,
        "Where": ", ".join(_link(place) for place in difference.where),
        "Effect": difference.effect,
        "Here": " ".join(_reproduced(difference)),
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


def _reproduced(difference: Difference) -> Iterator[str]:
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


def _measured(measured: Measured) -> str:
    rows = [f"| {row.method} | {row.recommended} | {row.paper} | {row.released} |" for row in measured.rows]
    head = ["| method | `recommended` | `paper` | `released` |", "|---|---|---|---|"]
    table = "\n".join(line.replace("|  |", "| |") for line in [*head, *rows])
    setup, reading = _wrapped(measured.setup), _wrapped(measured.reading)
    return f"## Measured in miniature\n\n{setup}\n\n{table}\n\n{reading}\n"


if __name__ == "__main__":
    write_text(Path("docs/released-code.md"), reference_text())
