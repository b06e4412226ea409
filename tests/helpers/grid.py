"""Methods x precisions x families: each test runs a few combinations by default, all with `-m exhaustive`."""

from functools import cache
from itertools import product

import pytest

from rlvr.errors import UserError
from rlvr.methods import methods
from rlvr.methods.base.measure import shape_of
from rlvr.methods.base.shapes import ModelShape
from tests.helpers.families import family_model
from tests.helpers.small_methods import method_of

NAMES = sorted(methods())
DTYPES = ("float32", "bfloat16", "float16")
FAMILIES = ("qwen2", "qwen3", "llama", "gemma3_text")
EXHAUSTIVE = [pytest.mark.slow, pytest.mark.exhaustive]
"""Marks of the combinations that do not run by default."""
Case = tuple[str, str, str]
"""Method, precision, family."""


@cache
def small_shape(family: str) -> ModelShape:
    """The shape of the tiny model of a family."""
    return shape_of(family_model(family))


@cache
def fits(name: str, family: str) -> bool:
    """Whether a method can train a model of a family at all (BitFit needs biases)."""
    try:
        method_of(name).check_fit(small_shape(family))
    except UserError:
        return False
    return True


def cases(
    test: int,
    names: list[str] = NAMES,
    dtypes: tuple[str, ...] = DTYPES,
    always: int = 2,
    families: tuple[str, ...] = FAMILIES,
) -> list[object]:
    """Parameters (name, dtype, family) of a test, of which ``always`` for each method are not exhaustive.

    ``test`` is any number: tests with different ones run different combinations. Over the methods, every
    precision and every family comes up.
    """
    return [
        pytest.param(
            *case, marks=[] if case in _always(test, case[0], dtypes, always, families) else EXHAUSTIVE
        )
        for case in product(names, dtypes, families)
        if fits(case[0], case[2])
    ]


def _always(
    test: int, name: str, dtypes: tuple[str, ...], always: int, families: tuple[str, ...]
) -> set[Case]:
    fitting = [family for family in families if fits(name, family)]
    first = NAMES.index(name) + test
    return {
        (name, dtypes[(first + turn) % len(dtypes)], fitting[(first // len(dtypes) + turn) % len(fitting)])
        for turn in range(always)
    }
