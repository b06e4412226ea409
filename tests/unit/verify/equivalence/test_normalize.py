"""One notation for equal answers."""

import pytest

from rlvr.verify.equivalence.normalize import normalize


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (" $ 5 $ ", "5"),
        ("**73**", "73"),
        (r"\(x\)", "x"),
        ("2e^{x}", "2e^{x}"),
        ("1 000 000", "1000000"),
        ("=5.", "5"),
    ],
)
def test_normalize(written: str, plain: str) -> None:
    assert normalize(written) == plain


@pytest.mark.parametrize("piece", ["~", r"\ ", "%"])
def test_runs_of_spaces_and_signs_become_one(piece: str) -> None:
    assert len(normalize("1,234" + piece * 700 + "x")) < 12, "later rules would take the square of the run"
