"""The first screen of the report in a few lines, for the end of a run in a terminal."""

from pathlib import Path

from rlvr.artifacts import StudyFolder
from rlvr.report.inputs import read_inputs
from rlvr.report.sections.verdict import ModelVerdict, build

SENTENCES = 2
"""Of what the page says on the others: what ties with the best, and what is behind it."""


def verdict_lines(results: Path, resources: Path, page: Path) -> list[str]:
    """Return five lines: the best method, how sure that is, the claims, what it took, and the page.

    A study of several models has the lines of the models one after the other.

    Args:
        results: the folder ``results/STUDY``.
        resources: the folder that holds ``data/`` and ``models/``.
        page: the report.

    Raises:
        UserError: a table is missing or damaged.
    """
    verdict = build(read_inputs(StudyFolder(results).manifest, results, resources))
    answered = {"Own": verdict.hypotheses, "Claims": verdict.claims}
    counted = {
        name: ", ".join(f"{number} {words}" for words, number in counts.items())
        for name, counts in answered.items()
    }
    several = len(verdict.models) > 1
    facts = [fact for model in verdict.models for fact in _of_model(model, several)]
    took = [fact for fact in facts if fact[0] == "Took"]
    before = [fact for fact in facts if fact[0] != "Took"]
    own = [("Own", counted["Own"])] if counted["Own"] else []
    lines = [*before, *own, ("Claims", counted["Claims"] or "not answered"), *took, ("Report", str(page))]
    return [f"{name:<10}{text}" for name, text in lines]


def _of_model(model: ModelVerdict, several: bool) -> list[tuple[str, str]]:
    where = f"{model.model}: " if several else ""
    if model.leading is None:
        return [("Best", f"{where}no method has been compared yet"), ("Took", f"{where}{model.cost}")]
    best = f"{model.leading.name}, {model.leading.lead}. {' '.join(model.leading.sentences[:SENTENCES])}"
    facts = [("Best", f"{where}{best}")]
    if model.confidence:
        facts.append(("How sure", f"{where}{model.confidence.level}: {model.confidence.reason}"))
    return [*facts, ("Took", f"{where}{model.cost}")]
