import random
from functools import lru_cache

import pytest
from math_verify import parse, verify

from rlvr.verify.equivalence.algebra import compare
from rlvr.verify.equivalence.normalize import normalize
from rlvr.verify.equivalence.numerals import decimal_value, integer_text, numerals_agree
from rlvr.verify.equivalence.precheck import digits_bound, refusal
from rlvr.verify.equivalence.structure import Outcome

EQUAL = [
    ("7425000", "7,425,000"),
    (r"\$32,\!348", "32348"),
    ("033", "33"),
    ("-5", "−5"),
    ("13", r"\text{13}"),
    ("5/4", r"1\ 1/4"),
    (r"137 \frac{1}{2}", "137.5"),
    (r"28\%", "28 percent"),
    ("0.28", r"28\%"),
    (r"90^\circ", "90"),
    (r"15\mbox{ cm}^2", "15"),
    ("4.5e33", r"4.5 \times 10^{33}"),
    ("3e6", r"3\times10^6"),
    (".0000672", r"6.72\times10^{-5}"),
    ("np.arcsin(10/13)", r"\arcsin\left(\frac{1}{1.3}\right)"),
    ("-1./3", r"-\frac{1}{3}"),
    (r"a+$ $b", "b+a"),
    (r"\frac{-1+\sqrt{17}}{2}, \frac{-1-\sqrt{17}}{2}", r"\frac{-1\pm\sqrt{17}}{2}"),
    (r"\{1\pm\sqrt{5},-2\}", r"-2, 1-\sqrt{5}, 1+\sqrt{5}"),
    ("(11,7)or(7,11)", r"(7,11),\ (11,7)"),
    ("AB=4,CD=5", "4, 5"),
    ("100,200,300", "300, 200, 100"),
    ("11", "x = 11"),
    ("k=1", "1"),
    ("34", "m+n=34"),
    (r"\frac{1}{3}", r"x = \frac{1}{3} \approx 0.333"),
    (r"\frac{1}{2}", r"\frac{1}{2} = 0.5"),
    ("f(x)=2x", "2x"),
    ("7:32", "14:64"),
    ("S_{MBCN}:S=7:32", "7:32"),
    ("4210_{5}", "4210_5"),
    ("104_5", "104"),
    (r"\text{east}", "East"),
    (r"\text{(C)}", "C"),
    ("C", "(C)"),
    ("1/3", "0.333333"),
    (r"9\pi", "28.274333882"),
    (r"\frac{1}{3} E_{1}+\frac{2}{3} E_{2}", r"\frac{E_1+2E_2}{3}"),
    ("-1", r"e^{i\pi}"),
    ("0", r"\sqrt{2}^2-2"),
    (r"2^{25} \cdot 26!", r"2^{24} \cdot 2 \cdot 26!"),
    (r"\frac{9}{2}", r"4\sqrt{\frac{81}{64}}"),
    (r"\frac{3 B}{2+2 i} e^{i t}", r"\frac{3B}{2+2i}e^{it}"),
    (r"y^{\prime}+k y=0", "y' + ky = 0"),
    (r"0.004", r"0.004^{\prime \prime}"),
    (r"v_{\text{out}}/\sqrt{2}", r"\frac{v_{out}}{\sqrt{2}}"),
    ("2500.50", "2,500.50€"),
    ("2500", r"2,500\ \text{m}^2"),
    ("48217", r"48,\! 217"),
    ("48217", "４８２１７"),
    ("11/4", "2 3/4 cups"),
    ("6.2", r"6.2\ \mathrm{m\,s^{-1}}"),
    ("6.2", r"6.2 \mathrm{~kg} \cdot \mathrm{m}/\mathrm{s}"),
    ("6.2", "6.2 m/s^2"),
    ("6.2", "6.2 cm^2"),
    ("6.2", "6.2 cubic feet"),
    ("25", r"25^\circ\text{C}"),
    ("25", r"25\deg"),
    (r"\sin 30^\circ", r"\frac{1}{2}"),
    (r"\cos^2 t", r"1-\sin^2 t"),
    (r"\text{9:15 a.m.}", r"9:15\text{ AM}"),
    (r"9:15\text{ a.m.}", "9:15"),
    ("312_4", r"(312)_{\text{base }4}"),
    ("(1,2,3)", r"\langle 1, 2, 3\rangle"),
    ("(3,-2)", "q=-2, p=3"),
    ("a=4,b=1", "(4,1)"),
    ("a=4,b=1;a=6,b=2", "(6,2),(4,1)"),
    ("a=4,b=1;a=6,b=2", r"a=6, b=2 \text{ or } a=4, b=1"),
    ("1,2;3,4", "(3,4),(1,2)"),
    (r"\{1,4\}\cup\{9\}", r"\{1,4,9\}"),
    (r"\emptyset", r"\{ \}"),
    ("g(1) < g(3) < g(2)", "g(2) > g(3) > g(1)"),
    ("45", r"{10 \choose 2}"),
    (r"\begin{pmatrix}1/2\\4\end{pmatrix}", r"\begin{bmatrix} 0.5 \\[4pt] 4 \end{bmatrix}"),
    ("7", r"\textcolor{red}{7}"),
    ("7", r"\boldsymbol{7}"),
    ("7", r"\bf 7"),
    ("7", "7 \\\\"),
    ("7", r"\text{Area} = 7"),
    (r"6\pi", r"6\pi cm"),
    ("4.5e33", r"4.5e33."),
    (r"\sqrt{23}-\sqrt{3}", "√23-√3"),
]
DIFFERENT = [
    ("y'+y=0", "y+y=0"),
    ("f'(x)", "f(x)"),
    (r"e^{it}", r"e^{-it}"),
    ("-5", "5"),
    (r"82\%", "28"),
    (r"28\%", "2800"),
    ("4.5e33", r"4.5 \times 10^{32}"),
    ("3", "1,2,3,4,5"),
    ("6", r"5 \text{ or } 6"),
    ("6,-2", "6"),
    ("19, 46, 82", "21, 36, 82"),
    ("1, 2, \\ldots, n", "1, 3, 5, \\ldots, 2n-1"),
    ("6", "5=6"),
    ("6", "x = 5 = 6"),
    ("a^2+b=0", "0"),
    ("f(x)=2x", "y=2x"),
    ("x < 1", "x > -1"),
    ("(3,1)", "(1,3)"),
    ("(0,9)", "[0,9)"),
    (r"(\frac{3}{5},\frac{8}{3}]", "(0.6,2.6667]"),
    ("12:00", "1:00"),
    ("1:15", "2:30"),
    ("204_5", "204_6"),
    ("east", "seat"),
    (r"\text{west}", r"\text{east}"),
    ("C", "B"),
    (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
    (r"\frac{1}{2006!}", r"\frac{1}{2004!}"),
    (r"\frac{x}{2^{99}}", r"\frac{x}{2^{98}}"),
    (r"x\sqrt{2}", r"x\sqrt{2}+\frac{1}{2^{80}}"),
    (r"(0,\frac{1}{2^{99}})", r"(0,\frac{1}{2^{98}})"),
    (".0000673", ".0000672"),
    (r"25\pi", "78.5"),
    ("1/3", "0.33"),
    (r"2^{25} \cdot 26!", r"2^{26}\cdot 26!"),
    ("4", r"4\sqrt(2)"),
    ("1-i", "1+i"),
    ("5", "x"),
    ("1", r"\infty"),
    ("6", r"6 \text{ or more}"),
    ("70", "70 million"),
    ("70", "70ab"),
    ("3t", "3h"),
    ("3s^2", "3s^3"),
    (r"9:15\text{ a.m.}", r"9:15\text{ p.m.}"),
    ("(3,-2)", "p=-2, q=3"),
    ("a=4,b=1;a=6,b=2", "(4,2),(6,1)"),
    ("g(1) < g(3) < g(2)", "g(2) > g(1) > g(3)"),
    ("a < b < c", r"c \ge b \ge a"),
    (r"\sin 30^\circ", r"\sin 30"),
    (r"\{1,4\}\cup\{9\}", r"\{1,4\}"),
]


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal(gold: str, answer: str) -> None:
    assert compare([gold], answer) is Outcome.EQUAL


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different(gold: str, answer: str) -> None:
    assert compare([gold], answer) is Outcome.DIFFERENT


def test_alternates_count_and_an_unreadable_gold_says_so() -> None:
    assert compare([r"\mho(", "5"], "5.0") is Outcome.EQUAL
    assert compare([r"\mho(", "5"], "6") is Outcome.DIFFERENT
    assert compare([r"\mho("], "6") is Outcome.UNPARSED_GOLD
    assert compare([r"\mho("], r"\mho (") is Outcome.EQUAL


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


@lru_cache
def _math_verify_number(text: str) -> list[object]:
    return parse(f"${text}$", parsing_timeout=None)


def _written_integer(rng: random.Random) -> str:
    number = rng.choice([rng.randrange(-20, 20), rng.randrange(-(10**7), 10**7)])
    text = f"{number:,}" if rng.random() < 0.3 else str(number)
    return "0" + text if rng.random() < 0.1 and number >= 0 and "," not in text else text


def test_plain_integers_agree_with_math_verify() -> None:
    rng = random.Random(0)
    verdicts = []
    for _ in range(400):
        gold = _written_integer(rng)
        answer = rng.choice(
            [_written_integer(rng), gold.replace(",", ""), "0" + gold.lstrip("-").replace(",", "")]
        )
        expected = verify(_math_verify_number(gold), _math_verify_number(answer), timeout_seconds=None)
        assert numerals_agree(gold, answer) == expected, (gold, answer)
        verdicts.append(expected)
    assert 50 < sum(verdicts) < 350, "the sample must hold right and wrong answers"


def test_plain_numerals() -> None:
    assert integer_text("-007") == "-7"
    assert integer_text("-0") == "0"
    assert integer_text("12,34") is None
    assert integer_text("٣") is None
    assert integer_text("9" * 100_000) == "9" * 100_000
    assert decimal_value("1,234.50") == decimal_value("1234.5")
    assert decimal_value(".") is None
    assert numerals_agree("46", "46.0") is True
    assert numerals_agree("46", "46.1") is False
    assert numerals_agree("46", "x") is None


@pytest.mark.parametrize(
    "answer",
    [
        r"5^{(5^{(5^{(5^5)})} - 4)} - 5",
        "2^{10000000000}",
        "10^{10^{10}}",
        "9^9^9",
        "(10^{10})!",
        "((100!)!)!",
        "9!!!!",
        r"\binom{1000000000}{500000000}",
        r"\sum_{k=1}^{1000000000} \frac{1}{k}",
        r"\prod_{k=1}^{10000000} k",
        "(1+x)^{1000000}",
        r"x > 2^{2^{2^{2^{2^{2}}}}}",
        "^".join("2" * 700),
        "(" * 40 + ")" * 40,
        "9" * 501 + "x",
        "x+" * 1000,
    ],
)
def test_bombs_are_refused(answer: str) -> None:
    assert refusal(normalize(answer))


@pytest.mark.parametrize(
    "answer",
    [
        "2024^{4046}",
        "2^{25}\\cdot 26!",
        "\\frac{1}{2006!}",
        "2^{2^{10}}",
        "100!!",
        "e^{x^{2}}",
        "4.5e33",
        "\\binom{2n}{n}",
    ],
)
def test_real_answers_are_not_refused(answer: str) -> None:
    assert refusal(normalize(answer)) is None


@pytest.mark.parametrize("piece", ["~", r"\ ", "%"])
def test_runs_of_spaces_and_signs_become_one(piece: str) -> None:
    assert len(normalize("1,234" + piece * 700 + "x")) < 12, "later rules would take the square of the run"


def test_digits_bound_is_an_upper_bound() -> None:
    for answer, value in [
        ("2^{1009}", 2**1009),
        ("26!", 403291461126605635584000000),
        ("3^2^5", 3**32),
        ("12345", 12345),
    ]:
        assert len(str(value)) - 1 <= digits_bound(answer) <= 4 * len(str(value))
