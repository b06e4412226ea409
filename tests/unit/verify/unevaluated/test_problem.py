"""The formulas of a problem are found, marked or not."""

import pytest

from rlvr.verify.unevaluated.problem import formulas_in, last_formula, read_formulas


@pytest.mark.parametrize(
    ("problem", "formulas"),
    [
        (r"Let $x=1$. Find \(x+2\).", ["x=1", "x+2"]),
        (r"Find $$x+2$$ for \[x=1.\]", ["x+2", "x=1."]),
        (r"It costs \$5. How much is $3 \cdot \$5$?", [r"3 \cdot \$5"]),
        ("\\begin{align*}x+y&=3\\\\x-y&=1\\end{align*}", [r"x+y&=3\\x-y&=1"]),
        ("What is 12 + 7 - (3*4)?", ["12 + 7 - (3*4)"]),
        ("In 2023, 15 people bought 3 apples.", []),
    ],
)
def test_formulas(problem: str, formulas: list[str]) -> None:
    assert formulas_in(problem) == formulas
    assert last_formula(problem) == (formulas[-1] if formulas else None)


def test_a_formula_is_split_at_relations_and_words() -> None:
    read = read_formulas(r"Let \[f(x)=x^2+1 \quad\text{and}\quad g(x) < 2x.\]")
    assert {"+(1 ^(x 2))", "*(2 x)"} <= read.whole
    assert "^(x 2)" in read.parts - read.whole
