"""The verdict in words: what leads, what ties with it, what it beats, and where the order changes."""

from dataclasses import dataclass

from rlvr.artifacts import UNCONTAMINATED
from rlvr.config.resolved import BASE, Variant
from rlvr.report.inputs import Inputs
from rlvr.report.queries import (
    Measured,
    about_method,
    accuracies,
    benchmark_title,
    variant_noun,
)
from rlvr.report.ranking import Against, Ranked, Ranking
from rlvr.report.text import SPACE, count, listing, p_value, percent, points

NAMED, LISTED = 3, 7  # up to so many are named with their numbers, or without; of more, the first and last
ONE_RUN = (
    "With one run per method, interval and p tell these runs apart, not the methods, because another seed "
    "gives another run. In simulations of two equal methods with one run each, they told the two apart in "
    f"30{SPACE}% of the studies where seeds move the accuracy by 1.2{SPACE}points (standard deviation), "
    f"and in 59{SPACE}% at 2.8{SPACE}points; with two to five seeds each, in 4 to 10{SPACE}%."
)
"""Limit of studies with one training seed; the shares are those of `benchmarks/seed_noise.py`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leading:
    """What leads, what it is and its lead over the reference; sentences on the others and on splits."""

    name: str
    about: str
    lead: str
    sentences: list[str]
    splits: list[str]
    one_run: str


def leading(inputs: Inputs, model: str, order: Ranking) -> Leading:
    """Return the verdict on one model in words."""
    runs = any(row.against.runs for row in order.rows if row.against)
    return Leading(
        name=inputs.label(order.leader.variant),
        about=about_method(order.leader.variant.method),
        lead=_lead(order),
        sentences=[*_tie(inputs, order), *_beat(inputs, model, order), *_from_reference(inputs, order)],
        splits=_splits(inputs, model, order),
        one_run=ONE_RUN if runs else "",
    )


def _lead(order: Ranking) -> str:
    against = order.leader.against
    if against is None:
        return percent(order.leader.accuracy.value)
    over = "the untrained model" if order.reference == BASE else order.reference
    return f"{points(against.estimate.value)} over {over} ({_interval(against)})"


def _interval(one: Against) -> str:
    return f"{points(one.estimate.low, '')} to {points(one.estimate.high, '')}"


def _tie(inputs: Inputs, order: Ranking) -> list[str]:
    """Say what is not told apart from the leader, and what is behind it."""
    if len(order.rows) == 1:
        return []
    tied, trailing = order.tied, order.trailing
    sentences = [f"Not told apart from it: {_named(inputs, tied, 'behind')}." if tied else ""]
    if trailing:
        who = "All others are" if not tied else f"{_are(len(trailing))}"
        largest = max(row.behind.p for row in trailing if row.behind)
        sentences.append(
            f"{who} behind it (p {_at_most(largest)}, corrected for all pairs, because the same data "
            "chose the leader)."
        )
    return list(filter(None, sentences))


def _are(number: int) -> str:
    return f"{number} others are" if number > 1 else "1 other is"


def _at_most(p: float) -> str:
    shown = p_value(p)
    return shown if shown.startswith("<") else f"≤{SPACE}{shown}"


def _named(inputs: Inputs, rows: list[Ranked], field: str) -> str:
    """Return names with differences and p; of many, the names alone."""
    if len(rows) > NAMED:
        return _names(inputs, rows)
    told = []
    for row in rows:
        one: Against = getattr(row, field)
        told.append(
            f"{inputs.label(row.variant)} ({points(one.estimate.value, '')}, p{SPACE}{_equals(one.p)})"
        )
    return listing(told)


def _names(inputs: Inputs, rows: list[Ranked]) -> str:
    """Return names; of very many, the first and the last."""
    names = [inputs.label(row.variant) for row in rows]
    return listing(names) if len(rows) <= LISTED else f"{len(rows)} others, from {names[0]} to {names[-1]}"


def _equals(p: float) -> str:
    shown = p_value(p)
    return shown if shown.startswith("<") else f"={SPACE}{shown}"


def _beat(inputs: Inputs, model: str, order: Ranking) -> list[str]:
    """Say how many are above and below the untrained model."""
    gains = {variant: gain for variant, gain in order.gains.items() if variant.method != BASE}
    if not gains or order.untrained is None:
        return [f"No method has been compared with the untrained {model}."]
    noun = "run" if all(gain.runs for gain in gains.values()) else variant_noun(inputs, model)
    better = [v for v, gain in gains.items() if gain.told_apart and gain.estimate.value > 0]
    worse = [v for v, gain in gains.items() if gain.told_apart and gain.estimate.value < 0]
    at = f"the untrained model ({percent(order.untrained.value)})"
    sentence = f"{_how_many(len(better), len(gains), noun)} {at}"
    if worse:
        named = listing([inputs.label(v) for v in worse]) if len(worse) <= NAMED else str(len(worse))
        sentence += f"; {named} {'is' if len(worse) == 1 else 'are'} below it"
    return [f"{sentence}."]


def _how_many(some: int, of: int, noun: str) -> str:
    if of == 1:
        return f"The only {noun} " + ("beats" if some else "is not shown to beat")
    if some == of:
        return f"All {of} {noun}s beat"
    if some == 0:
        return f"None of the {of} {noun}s is shown to beat"
    return f"{some} of the {of} {noun}s beat{'s' if some == 1 else ''}"


def _from_reference(inputs: Inputs, order: Ranking) -> list[str]:
    """Say what differs from the reference, where that is a method."""
    compared = [row for row in order.rows if row.against]
    if order.reference == BASE or not compared:
        return []
    differ = [row for row in compared if row.against and row.against.told_apart]
    if not differ:
        smallest = min(row.against.p for row in compared if row.against)
        return [f"None differs from {order.reference} (smallest Holm p{SPACE}{_equals(smallest)})."]
    if len(differ) <= NAMED:  # their numbers tell the direction
        verb = "differs" if len(differ) == 1 else "differ"
        return [f"Only {_named(inputs, differ, 'against')} {verb} from {order.reference} (Holm)."]
    above = [row for row in differ if row.against and row.against.estimate.value > 0]
    below = [row for row in differ if row not in above]
    return [
        f"{side} {order.reference} (Holm): {_names(inputs, rows)}."
        for side, rows in (("Above", above), ("Below", below))
        if rows
    ]


def _splits(inputs: Inputs, model: str, order: Ranking) -> list[str]:
    """Say where the mean over benchmarks hides that another method leads, or that a leader lost."""
    measured = accuracies(inputs)
    leader, untrained = order.leader.variant, inputs.untrained(model)
    names = [entry.benchmark for entry in inputs.study.averaged]
    names = names if len(names) > 1 else []
    names += [UNCONTAMINATED] if inputs.contaminated else []
    sentences = []
    elsewhere = {name: best for name in names if (best := _best(inputs, model, name)) != leader and best}
    for name, best in list(elsewhere.items())[:NAMED]:
        sentences.append(f"On {benchmark_title(inputs, name)} {_at(inputs, measured, best, name)} leads.")
    if len(elsewhere) > NAMED:
        sentences = [f"Other methods lead on {len(elsewhere)} of {count(len(names), 'benchmark')}."]
    beside = [*names, *(entry.benchmark for entry in inputs.study.forgetting)]
    tops = list(dict.fromkeys([leader, *elsewhere.values()]))
    for variant in tops:
        lost = [name for name in beside if _below(inputs, variant, untrained, name)]
        for name in lost:
            base = measured[untrained, name].estimate.value
            sentences.append(
                f"On {benchmark_title(inputs, name)} {_at(inputs, measured, variant, name)} is below the "
                f"untrained model ({percent(base)})."
            )
    return sentences


def _best(inputs: Inputs, model: str, benchmark: str) -> Variant | None:
    measured = accuracies(inputs)
    here = {v: cell for (v, name), cell in measured.items() if name == benchmark and v.method != BASE}
    mine = {v: cell.estimate.value for v, cell in here.items() if v.model == model}
    return max(mine, key=mine.__getitem__, default=None)


def _at(
    inputs: Inputs, measured: dict[tuple[Variant, str], Measured], variant: Variant, benchmark: str
) -> str:
    return f"{inputs.label(variant)} ({percent(measured[variant, benchmark].estimate.value)})"


def _below(inputs: Inputs, variant: Variant, untrained: Variant, benchmark: str) -> bool:
    measured = accuracies(inputs)
    pair = measured.get((variant, benchmark)), measured.get((untrained, benchmark))
    return bool(pair[0] and pair[1] and pair[0].estimate.value < pair[1].estimate.value)
