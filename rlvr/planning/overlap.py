"""Data sets that must not share problems: what is trained on, validated on and tested on."""

from collections.abc import Hashable, Iterator
from pathlib import Path

from rlvr.config.catalogue import (
    ArithmeticData,
    CountdownData,
    DataEntry,
    GeneratedData,
    HubData,
    LocalData,
    Rows,
    TinyModel,
)
from rlvr.data import arithmetic, countdown
from rlvr.files import sha256_of
from rlvr.planning.plan import Plan, applied_rates, data_places
from rlvr.verify.countdown import identity


def shared_data(plan: Plan) -> Iterator[str]:
    """Yield the data sets of a study that must not share problems and do, each with its place."""
    if plan.study.tune:
        yield from _validation(plan)
    else:
        yield from _trained_benchmarks(plan)
        yield from _tuned_benchmarks(plan)


def pretraining_data(plan: Plan, model: str) -> list[str]:
    """Return the data sets that a built-in model learns from or is chosen by."""
    entry = plan.models.models[model]
    if not isinstance(entry, TinyModel):
        return []
    return [*entry.pretraining.datasets, *entry.pretraining.validation_datasets]


def _trained_benchmarks(plan: Plan) -> Iterator[str]:
    """Yield the benchmarks whose problems a study trains on, or its models were pretrained on."""
    (_, train), *benchmarks = data_places(plan)
    entries = plan.datasets.datasets
    for place, name in benchmarks:
        way_out = "measure on other problems: another data set, or other `rows` of it"
        if shared := shared_problems(train, entries[train], name, entries[name]):
            yield f"{place}: {name!r} is the training data {train!r}: {shared}; {way_out}"
        for model in plan.study.models:
            if name in pretraining_data(plan, model):
                yield f"{place}: {name!r} is in `pretraining` of model {model!r} (models.yaml); {way_out}"


def shared_problems(first: str, one: DataEntry, second: str, other: DataEntry) -> str | None:
    """Return why two entries hold the same problems, or None if nothing shows that they do.

    Args:
        first: name of an entry.
        one: the entry.
        second: name of another entry.
        other: the entry.
    """
    if first == second:
        return "one data set"
    if isinstance(one, GeneratedData) or isinstance(other, GeneratedData):
        return "the same entry under two names" if one == other else None
    if not _overlap(one.rows, other.rows):
        return None
    if isinstance(one, HubData) and isinstance(other, HubData):
        same = (one.repo, one.config, one.split) == (other.repo, other.config, other.split)
        return f"both are split {one.split!r} of {one.repo}" if same else None
    first_path, second_path = _path(one), _path(other)
    if first_path is None or second_path is None:
        return None
    if first_path.resolve() == second_path.resolve():
        return f"both are {first_path}" if _split(one) == _split(other) else None
    if _same_content(first_path, second_path):
        return f"{first_path} and {second_path} have the same content"
    return None


def _overlap(one: Rows | None, other: Rows | None) -> bool:
    if one is None or other is None:
        return True
    return max(one.skip, other.skip) < min(one.skip + one.take, other.skip + other.take)


def _path(entry: LocalData | HubData) -> Path | None:
    """Return the file or folder that an entry reads, if it exists."""
    path = entry.path if isinstance(entry, LocalData) else entry.local.path if entry.local else None
    return Path(path) if path is not None and Path(path).exists() else None


def _split(entry: LocalData | HubData) -> str | None:
    """Return the split that an entry reads of a folder."""
    return entry.split if isinstance(entry, LocalData) else entry.local.split if entry.local else None


def _same_content(one: Path, other: Path) -> bool:
    if not (one.is_file() and other.is_file()) or one.stat().st_size != other.stat().st_size:
        return False
    return sha256_of(one) == sha256_of(other)


def _tuned_benchmarks(plan: Plan) -> Iterator[str]:
    """Yield the benchmarks whose problems chose the rates of a study."""
    rates = applied_rates(plan)
    if rates is None:
        return
    _, *benchmarks = data_places(plan)
    for place, name in benchmarks:
        if reason := _shared(plan, rates.protocol.dataset, name):
            yield (
                f"{place}: on problems of {name!r} study {rates.protocol.study!r} chose the learning rates "
                f"({reason}); measure on others, or tune on others"
            )


def _validation(plan: Plan) -> Iterator[str]:
    """Yield what the validation problems of a study share with its training or test problems."""
    assert plan.study.tune is not None
    name = plan.study.tune.validation.dataset
    others: dict[str, str] = {}
    for model in plan.study.models:
        others |= dict.fromkeys(pretraining_data(plan, model), f"pretraining of model {model}")
    others |= {
        **dict.fromkeys(plan.study.tune.apart_from, "test data"),
        plan.study.train_dataset: "training data",
    }
    for other, use in others.items():
        if reason := _shared(plan, name, other):
            yield (
                f"{plan.place.at('tune', 'validation', 'dataset')}: {name!r} shares problems with {other!r} "
                f"({use}): {reason}; choose rates on other problems: another data set, other `rows` of it, "
                "or `apart_from` in the entry of generated problems"
            )


def _shared(plan: Plan, first: str, second: str) -> str | None:
    """Return why two data sets hold the same problems, or None if nothing shows that they do.

    A data set that is not known is reported elsewhere.
    """
    one, other = plan.datasets.datasets.get(first), plan.datasets.datasets.get(second)
    if one is None or other is None:
        return None
    if first != second and isinstance(one, GeneratedData) and isinstance(other, GeneratedData):
        return _shared_pairs(one, other)
    return shared_problems(first, one, second, other)


def _shared_pairs(one: GeneratedData, other: GeneratedData) -> str | None:
    """Return how many problems two generated sets share, whatever their order; None where they share none."""
    if not of_one_side(one, other):
        return None
    shared = len(_identities(one) & _identities(other))
    return f"{shared} problems" if shared else None


def _identities(entry: GeneratedData) -> set[Hashable]:
    """Return what makes the problems of an entry other problems: their numbers, without their order."""
    if isinstance(entry, ArithmeticData):
        return {*arithmetic.pairs_of(entry)}
    problems = countdown.generate(**entry.model_dump(exclude={"source"}))
    return {identity(problem["answer"]) for problem in problems}


def of_one_side(one: DataEntry, other: DataEntry) -> bool:
    """Tell whether two entries are generated from one side of a split, so that they may share problems."""
    if isinstance(one, ArithmeticData) and isinstance(other, ArithmeticData):
        if one in other.apart_from or other in one.apart_from:
            return False
        alike = (set(one.levels) & set(other.levels), set(one.operations) & set(other.operations))
        return one.split == other.split and all(alike)
    if isinstance(one, CountdownData) and isinstance(other, CountdownData):
        return one.split == other.split and bool(set(one.numbers) & set(other.numbers))
    return False
