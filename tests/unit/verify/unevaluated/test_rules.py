r"""Copies of the problem and operations to be carried out are no answers; what was worked out is."""

import re

import pytest

from rlvr.verify.unevaluated.rules import is_unevaluated
from rlvr.verify.verdict import Item
from tests.helpers.grading import graded
from tests.helpers.paths import REPOSITORY

COMPUTE = r"Compute $\frac{13^2 - 5^2}{8} + 4 \times 7=$?"
"""Its answer is 46."""


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"\sum_{k=1}^{10} k", "55"),
        (r"\displaystyle\prod_{k=1}^{4} k", "24"),
        (r"\int_0^1 2x\,dx", "1"),
        (r"\lim_{x\to 0}\frac{\sin x}{x}", "1"),
        (r"\gcd(12,18)", "6"),
        ("gcd(12, 18)", "6"),
        (r"\operatorname{lcm}(4,6)", "12"),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2"),
        (r"\det\begin{pmatrix}1&2\\3&4\end{pmatrix}", "-2"),
        (r"17 \bmod 5", "2"),
        ("17 mod 5", "2"),
        (r"2^{10} \pmod{7}", "2"),
        (r"\left|3-4i\right|", "5"),
        (r"\sum_{n=1}^\infty \frac{1}{n^2}", r"\frac{\pi^2}{6}"),
        (r"x = \sum_{k=1}^{10} k", "55"),
    ],
)
def test_an_operation_is_no_answer_where_the_gold_is_a_number(answer: str, gold: str) -> None:
    assert is_unevaluated(answer, [gold])


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("2^{10}", "1024"),
        (r"\binom{7}{4}", "35"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\sum_{k=1}^{10} k = 55", "55"),
        (r"3 \pmod 7", "3"),
        (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
        (r"|x-3| < 5", "(-2, 8)"),
        (r"\max(a, b)", r"\max(b,a)"),
        (r"\int_0^1 f(x)\,dx", r"\int_0^1 f(t)\,dt"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ],
)
def test_other_answers_are_compared_where_the_problem_is_unknown(answer: str, gold: str) -> None:
    assert not is_unevaluated(answer, [gold])


@pytest.mark.parametrize(
    "answer",
    [
        r"\frac{13^2 - 5^2}{8} + 4 \times 7",
        r"$\dfrac{13^2-5^2}{8}+4\cdot 7=$",
        r"\displaystyle \left(\frac{13^2-5^2}{8}\right)+4(7)+0",
        r"1\cdot\left(\frac{13^2-5^2}{8}+4\cdot 7\right)",
        r"7\cdot 4+\frac{-5^2+13^2}{8}",
        r"(13^2-5^2)/8+4*7",
        r"\frac{13^2-5^2}{8}+4\times 7+1-1",
        r"\sqrt{\left(\frac{13^2-5^2}{8}+4\times 7\right)^2}",
        r"x=\frac{13^2-5^2}{8}+4\times 7",
    ],
)
def test_a_copy_is_no_answer_in_any_notation(answer: str) -> None:
    assert is_unevaluated(answer, ["46"], COMPUTE)


@pytest.mark.parametrize(
    ("answer", "gold", "problem"),
    [
        (r"\frac{3}{20}", "0.15", r"Write $\frac{3}{20}$ as a decimal."),
        (r"\sqrt{242}", r"11\sqrt2", r"Simplify $\sqrt{242}$."),
        (r"\frac{36}{54}", r"\frac{2}{3}", r"Simplify $\frac{36}{54}$."),
        ("12 + 7", "19", "What is 12 + 7?"),
        (r"99\times 99+5-5", "9801", r"Compute $99\times 99$."),
        (r"\frac{2(99\cdot 99)}{2}", "9801", r"Compute $99\times 99$."),
        (r"\sqrt{(99\cdot 99)^2}", "9801", r"Compute $99\times 99$."),
        (r"\mathrm{99\times 99}", "9801", r"Compute $99\times 99$."),
        (r"99\times 99 \approx 5", "9801", r"Compute $99\times 99$."),
        (r"1-(1-(1-x))", "1-x", r"Simplify $1-(1-(1-x))$."),
        (r"\left(\sqrt{625}\right)^2", "625", r"Compute $\left(\sqrt{625}\right)^2$."),
        (r"x=\frac{2009^2-2009}{2009}", "2008", r"Let $x=\frac{2009^2-2009}{2009}$. Find $x$."),
        (r"0.\overline{3}", r"\frac13", r"Express $0.\overline{3}$ as a fraction."),
        (r"\lfloor 3.2\rfloor", "3", r"Evaluate $\lfloor 3.2\rfloor$."),
        (r"\tan 100^\circ + 4\sin 100^\circ", r"-\sqrt{3}", r"Find \[\tan 100^\circ + 4 \sin 100^\circ.\]"),
        (r"2\cdot3^2+5\cdot3-1", "32", r"If $x=3$, evaluate $2x^2+5x-1$."),
        ("(x+2)(x+5)", "x^2+7x+10", r"Expand $(x+2)(x+5)$."),
        (r"\begin{pmatrix}1\\2\end{pmatrix}+\begin{pmatrix}3\\4\end{pmatrix}",
         r"\begin{pmatrix}4\\6\end{pmatrix}",
         r"Compute \[\begin{pmatrix} 1 \\ 2 \end{pmatrix} + \begin{pmatrix} 3 \\ 4 \end{pmatrix}.\]"),
        ("2x^2-kx+8=0", "0", "The roots of $2x^2-kx+8=0$ are equal. Find the discriminant."),
    ],
)  # fmt: skip
def test_a_formula_of_the_problem_is_no_answer(answer: str, gold: str, problem: str) -> None:
    assert is_unevaluated(answer, [gold], problem)


@pytest.mark.parametrize(
    ("answer", "gold", "problem"),
    [
        ("46", "46", COMPUTE),
        ("x = 46", "46", COMPUTE),
        ("18+28", "46", COMPUTE),
        (r"\frac{13^2-5^2}{8}+4\times 7=46", "46", COMPUTE),
        (r"2\cdot3^2+14", "32", r"If $x=3$, evaluate $2x^2+5x-1$."),
        (r"\frac{3}{20} \approx 0.15", "0.15", r"Write $\frac{3}{20}$ as a decimal."),
        (r"-\pi", r"-\pi", r"Let $x = -\pi$."),
        ("2^{10}", "1024", "How many subsets has a set of $10$ elements?"),
        ("2^{10}-1", "1023", "The set has $2^{10}$ subsets. How many are not empty?"),
        ("3/4", r"\frac{3}{4}", r"Which is larger, $\frac23$ or $\frac34$?"),
        (r"\frac34", r"x = \frac{3}{4}", r"Which of $\frac23$ and $\frac34$ is a root?"),
        ("2x+3", "y = 2x+3", "Which line is steeper, $y = 2x+3$ or $y = x$?"),
        ("7", "7", "Which of $5$ and $7$ is larger?"),
        (r"15\text{ cm}", "15", r"Which is longer, $15\text{ cm}$ or $10\text{ cm}$?"),
        (r"15\ cm^2", "15", r"Which is larger, $15\ cm^2$ or $10\ cm^2$?"),
        (r"75\%", "0.75", r"Which is larger, $75\%$ or $0.7$?"),
        (r"\$5", "5", r"It costs $\$5$ or $\$6$. What is cheaper?"),
        (r"45^\circ", "45", r"One angle is $45^\circ$, the other $60^\circ$."),
        (r"3 \times 10^{8}", "300000000", r"Which of $3 \times 10^8$ and $2 \times 10^9$ is smaller?"),
        ("(x+1)(x-1)", "(x-1)(x+1)", r"Which equals $x^2-1$: $(x-1)(x+1)$ or $(x-1)^2$?"),
        ("(0, 1]", "(0,1]", "Which interval is half open, $(0,1]$ or $(0,1)$?"),
        ("x = 2, y = 3", "(2,3)", "Solve $x = 2, y = 3$."),
    ],
)
def test_what_was_worked_out_or_chosen_is_an_answer(answer: str, gold: str, problem: str) -> None:
    assert not is_unevaluated(answer, [gold], problem)


def test_an_answer_that_one_of_several_golds_allows_is_compared() -> None:
    problem = r"Write $\frac{3}{4}$ as a decimal, or leave it."
    assert is_unevaluated(r"\frac{3}{4}", ["0.75"], problem)
    assert not is_unevaluated(r"\frac{3}{4}", ["0.75", r"\dfrac34"], problem)


@pytest.mark.parametrize("alternate", ["(0,9801)", "n=9801, m=1", r"\text{no alternate}"])
def test_a_gold_that_is_no_value_allows_no_copy(alternate: str) -> None:
    golds, problem = ["9801", alternate], r"Compute $99\times 99$."
    assert is_unevaluated(r"99\cdot 99", golds, problem)
    assert not is_unevaluated("(0,99^2)", golds, problem)


def test_the_examples_of_the_documentation_hold() -> None:
    page = (REPOSITORY / "docs/verifier.md").read_text()
    rows = re.findall(r"^\| (.+) \| `(.+)` \| `(.+)` \| (correct|unevaluated) \|$", page, re.MULTILINE)
    assert len(rows) > 10
    items = [Item(rf"\boxed{{{answer}}}", gold, problem=problem) for problem, gold, answer, _ in rows]
    verdicts = graded("rlvr", *items)
    assert ["correct" if verdict.correct else verdict.status for verdict in verdicts] == [
        *(verdict for *_, verdict in rows)
    ]


DECIMAL_COPIES = [
    *(r"0.\overline {43}", r"0.\bar{43}", r"(0.\overline{43})", r"$x = 0.\overline{43}$", "0.4343..."),
    *(r"0.4\overline{34}", r"0.\overline{43}+0", r"0.\overline{43} \approx 0.43"),
]
FRACTIONS = [r"\frac{43}{99}", r"0.\overline{43} = \frac{43}{99}", r"\frac{43}{99} = 0.\overline{43}"]


def test_a_repeating_decimal_of_the_problem_is_graded_as_a_copy() -> None:
    task = r"Write $x = 0.\overline{43}$ as a simplified fraction."
    items = [
        Item(rf"\boxed{{{text}}}", r"\frac{43}{99}", problem=task) for text in DECIMAL_COPIES + FRACTIONS
    ]
    verdicts = [(verdict.status, verdict.correct) for verdict in graded("rlvr", *items)]
    assert verdicts == [("unevaluated", False)] * len(DECIMAL_COPIES) + [("ok", True)] * len(FRACTIONS)
