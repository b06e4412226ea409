"""Comparing answers by their outer form: lists, tuples, ratios, bases, words and chains of equations.

Only pairs of single expressions go to computer algebra (`rlvr.verify.equivalence.algebra`). Because the outer
form is compared here, every rule of the scalar comparison also holds inside lists and intervals.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import partial

from rlvr.verify.equivalence.choices import choice, is_set_apart, letter_alone
from rlvr.verify.equivalence.congruences import congruence, same_class
from rlvr.verify.equivalence.latex import (
    enclosed,
    is_text_command,
    split_outside_brackets,
    without_text_commands,
)
from rlvr.verify.equivalence.members import (
    MEMBERSHIP,
    THOUSANDS,
    chain_members,
    claimed_values,
    elements,
    is_name,
    rising_chain,
    tuple_members,
    values_by_name,
)
from rlvr.verify.equivalence.normalize import compact, normalize
from rlvr.verify.equivalence.numerals import numerals_agree
from rlvr.verify.equivalence.ranges import Interval, as_range, connective
from rlvr.verify.equivalence.remarks import family


class Outcome(Enum):
    """Result of comparing an answer with a gold answer."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNPARSED_GOLD = "unparsed_gold"


Algebra = Callable[[str, str], Outcome]
"""Compares two normalised expressions, gold first."""

_ELLIPSIS = r"\ldots"
_WORD = re.compile(r"[^\W\d_]{3,}(?:[\s'-]+[^\W\d_]+)*")
_BASE = re.compile(
    r"\(?([+-]?\d[0-9A-Za-z.]*)\)?\s*_\s*(?:\{\s*(?:base\s*)?\(?(\w+)\)?\s*\}|(\w))", re.IGNORECASE
)
_HIGHEST_BASE = 36
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d)\s*(?:([ap])\.?\s?m\.?)?", re.IGNORECASE)
_COMPARISON = re.compile(r"[<>]|\\(?:le|ge|lt|gt|ne|neq)(?![A-Za-z])")
_SET_OPERATION = re.compile(r"\\(?:cup|cap|setminus)(?![A-Za-z])")


def equivalent(gold: str, answer: str, algebra: Algebra) -> Outcome:
    """Compare two normalised answers, gold first."""
    if compact(gold) == compact(answer):
        return Outcome.EQUAL
    outcome = _by_choice(gold, answer, algebra)
    if outcome is not None:
        return outcome
    for rule in (_by_number, _by_clock, _by_word, _by_base, _by_congruence, _by_connective):
        verdict = rule(gold, answer)
        if verdict is not None:
            return Outcome.EQUAL if verdict else Outcome.DIFFERENT
    for structural_rule in _STRUCTURAL_RULES:
        outcome = structural_rule(gold, answer, algebra)
        if outcome is not None:
            return outcome
    return algebra(gold, answer)


def _by_number(gold: str, answer: str) -> bool | None:
    return numerals_agree(gold, answer)


def _by_word(gold: str, answer: str) -> bool | None:
    """Compare as text where the gold is a word: `east` is not a product of letters."""
    bare_gold, bare_answer = without_text_commands(gold).strip(), without_text_commands(answer).strip()
    if is_text_command(gold) and re.search(r"[A-Za-z]", bare_gold):
        return _words(bare_gold) == _words(bare_answer)
    if _is_word(bare_gold) and (_WORD.fullmatch(bare_answer) or is_text_command(answer)):
        capitals = bare_gold.isupper() or (bare_answer.isupper() and not is_text_command(answer))
        return bare_gold == bare_answer if capitals else _words(bare_gold) == _words(bare_answer)
    return None


def _is_word(text: str) -> bool:
    """Tell a word (`east`, `Tuesday`) or points (`CBAD`) from a product of letters (`nRT`, `xyz`)."""
    if _WORD.fullmatch(text) is None:
        return False
    spoken = re.search(r"[AEIOUaeiou]", text) is not None
    return text.isupper() or (spoken and (text.islower() or text.istitle()))


def _by_choice(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Compare choice letters and what stands beside them; what both sides state must agree.

    A value beside a letter (`(B) 12`) also answers a gold that is the value alone.
    """
    gold_choice, answer_choice = choice(gold), choice(answer)
    gold_letter = letter_alone(gold, any_case=False)
    answer_letter = letter_alone(answer, any_case=gold_letter is not None and is_set_apart(gold))
    if answer_choice and not answer_choice.rest:
        answer_letter = answer_choice.letter
    if gold_letter:
        if answer_choice and answer_choice.rest:
            return _outcome(answer_choice.letter == gold_letter)
        return _outcome(answer_letter == gold_letter) if answer_letter or is_set_apart(gold) else None
    if gold_choice and gold_choice.rest:
        if answer_letter:
            return _outcome(answer_letter == gold_choice.letter)
        if answer_choice and answer_choice.rest:
            if answer_choice.letter != gold_choice.letter:
                return Outcome.DIFFERENT
            return equivalent(gold_choice.rest, answer_choice.rest, algebra)
        return equivalent(gold_choice.rest, answer, algebra)
    if answer_choice and answer_choice.rest and answer_choice.marked:
        outcome = equivalent(gold, answer_choice.rest, algebra)
        return outcome if outcome is Outcome.EQUAL else None
    return None


def _outcome(equal: bool) -> Outcome:
    return Outcome.EQUAL if equal else Outcome.DIFFERENT


def _by_congruence(gold: str, answer: str) -> bool | None:
    """Compare residue classes; a residue alone is no class, and a class no number."""
    gold_class, answer_class = congruence(gold), congruence(answer)
    if gold_class is None or answer_class is None:
        return None if gold_class is None or not gold_class.quantity else False
    return same_class(gold_class, answer_class)


def _by_connective(gold: str, answer: str) -> bool | None:
    """Tell "and" from "or" between relations: `x<2 and x>5` is no union."""
    words = connective(gold), connective(answer)
    return None if None in words or words[0] == words[1] else False


def _by_parameter(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    r"""Compare values for every value of a parameter; one side may omit `k \in \mathbb{Z}`."""
    gold_family, answer_family = family(gold), family(answer)
    if gold_family is None and answer_family is None:
        return None
    if gold_family and answer_family and len({gold_family.numbers, answer_family.numbers} - {""}) > 1:
        return Outcome.DIFFERENT
    return equivalent(
        gold_family.value if gold_family else gold, answer_family.value if answer_family else answer, algebra
    )


def _by_range(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Find a solved inequality and an interval equal, or two inequalities joined by words."""
    if not (_COMPARISON.search(gold) or _COMPARISON.search(answer)):
        return None
    gold_range, answer_range = as_range(gold), as_range(answer)
    if gold_range is None or answer_range is None:
        return None
    if len(gold_range.names | answer_range.names) > 1:
        return None
    unmatched = list(answer_range.intervals)
    if len(gold_range.intervals) != len(unmatched):
        return None
    for one in gold_range.intervals:
        match = next((other for other in unmatched if _same_interval(one, other, algebra)), None)
        if match is None:
            return None
        unmatched.remove(match)
    return Outcome.EQUAL


def _same_interval(gold: Interval, answer: Interval, algebra: Algebra) -> bool:
    if (gold.opening, gold.closing) != (answer.opening, answer.closing):
        return False
    return _in_order([gold.low, gold.high], [answer.low, answer.high], algebra) is Outcome.EQUAL


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _by_base(gold: str, answer: str) -> bool | None:
    """Compare numerals with a subscript base; if only one side gives the base, only the digits count."""
    based_gold, based_answer = _based(gold), _based(answer)
    if based_gold and based_answer:
        return _digits_and_base(based_gold) == _digits_and_base(based_answer)
    if based_gold:
        return numerals_agree(based_gold.group(1), answer)
    if based_answer:
        return numerals_agree(gold, based_answer.group(1))
    return None


def _based(text: str) -> re.Match[str] | None:
    match = _BASE.fullmatch(without_text_commands(text))
    if match is None:
        return None
    base = match.group(2) or match.group(3)
    return None if base.isdecimal() and not 2 <= int(base[:4]) <= _HIGHEST_BASE else match


def _digits_and_base(match: re.Match[str]) -> tuple[str, str]:
    return match.group(1).lstrip("+0").upper(), (match.group(2) or match.group(3)).lower()


def _by_clock(gold: str, answer: str) -> bool | None:
    """Compare two times of day, which are not ratios: `2:30` is not `1:15`. One side may omit a.m. or p.m."""
    gold_clock, answer_clock = (_CLOCK.fullmatch(without_text_commands(text)) for text in (gold, answer))
    if gold_clock is None or answer_clock is None:
        return None
    halves = {half.lower() for half in (gold_clock.group(3), answer_clock.group(3)) if half}
    same = [int(gold_clock.group(part)) == int(answer_clock.group(part)) for part in (1, 2)]
    return all(same) and len(halves) < 2


def _by_percent(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    gold_number, gold_percent = _without_percent(gold)
    answer_number, answer_percent = _without_percent(answer)
    if not (gold_percent or answer_percent) or not (gold_number and answer_number):
        return None
    outcome = equivalent(gold_number, answer_number, algebra)
    if outcome is Outcome.DIFFERENT and gold_percent != answer_percent:
        if gold_percent:
            return equivalent(rf"\frac{{{gold_number}}}{{100}}", answer_number, algebra)
        return equivalent(gold_number, rf"\frac{{{answer_number}}}{{100}}", algebra)
    return outcome


def _without_percent(text: str) -> tuple[str, bool]:
    return (text[:-2].strip(), True) if text.endswith(r"\%") else (text, False)


def _by_elements(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Compare lists as sets; several values for a single gold are incorrect."""
    listed = len(elements(gold, spaced=False)) > 1 or len(elements(answer, spaced=False)) > 1
    if not listed:
        return None
    spaced = not (THOUSANDS.fullmatch(gold) and THOUSANDS.fullmatch(answer))
    gold_elements, answer_elements = elements(gold, spaced), elements(answer, spaced)
    if len(gold_elements) == 1:
        if _COMPARISON.search(gold) or _SET_OPERATION.search(gold) or enclosed(gold):
            return None
        return Outcome.DIFFERENT
    if len(answer_elements) == 1:
        return None
    if _ELLIPSIS in gold_elements or _ELLIPSIS in answer_elements:
        return _in_order(gold_elements, answer_elements, algebra)
    return _as_sets(gold_elements, answer_elements, algebra)


def _in_order(golds: list[str], answers: list[str], algebra: Algebra) -> Outcome:
    if len(golds) != len(answers):
        return Outcome.DIFFERENT
    for gold, answer in zip(golds, answers, strict=True):
        if _ELLIPSIS in (gold, answer) and gold != answer:
            return Outcome.DIFFERENT
        outcome = equivalent(gold, answer, algebra)
        if outcome is not Outcome.EQUAL:
            return outcome
    return Outcome.EQUAL


def _spelled_differently(gold: str, answer: str) -> bool:
    return compact(answer) != compact(gold)


def _as_sets(golds: list[str], answers: list[str], algebra: Algebra) -> Outcome:
    if len(golds) != len(answers):
        return Outcome.DIFFERENT
    unmatched = list(answers)
    for gold in golds:
        unmatched.sort(key=partial(_spelled_differently, gold))
        outcomes = []
        for answer in unmatched:
            outcomes.append(equivalent(gold, answer, algebra))
            if outcomes[-1] is Outcome.EQUAL:
                unmatched.remove(answer)
                break
        else:
            return outcomes[0] if Outcome.UNPARSED_GOLD in outcomes else Outcome.DIFFERENT
    return Outcome.EQUAL


def _by_brackets(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Compare tuples, points and intervals member by member, brackets included."""
    gold_brackets, answer_brackets = (enclosed(MEMBERSHIP.sub("", text)) for text in (gold, answer))
    if (
        gold_brackets is None
        or answer_brackets is None
        or not {gold_brackets.opening, answer_brackets.opening} <= {"(", "["}
    ):
        return None
    golds, answers = (
        split_outside_brackets(brackets.content, frozenset([",", ";"]))
        for brackets in (gold_brackets, answer_brackets)
    )
    if (
        len(golds) < 2
        or THOUSANDS.fullmatch(gold_brackets.content)
        or THOUSANDS.fullmatch(answer_brackets.content)
    ):
        return None
    if gold_brackets[::2] != answer_brackets[::2]:
        return Outcome.DIFFERENT
    return _in_order([normalize(part) for part in golds], [normalize(part) for part in answers], algebra)


def _by_named_values(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Compare a tuple with the list of its named members: `(1,2)` with `x=1, y=2`."""
    gold_members, answer_members = tuple_members(gold), tuple_members(answer)
    gold_values, answer_values = values_by_name(gold), values_by_name(answer)
    if gold_members and answer_values:
        return _in_order(gold_members, answer_values, algebra)
    if gold_values and answer_members:
        return _in_order(gold_values, answer_members, algebra)
    return None


def _by_inequality_chain(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Find equal `a < b < c` and `c > b > a`; other inequalities are left to algebra."""
    gold_chain, answer_chain = rising_chain(gold), rising_chain(answer)
    if gold_chain is None or answer_chain is None or gold_chain[1::2] != answer_chain[1::2]:
        return None
    outcome = _in_order(gold_chain[::2], answer_chain[::2], algebra)
    return outcome if outcome is Outcome.EQUAL else None


def _by_ratio(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Compare `a:b` with `c:d` as proportions; a name before a ratio (`S:T = 7:32`) is ignored."""
    gold_terms = split_outside_brackets(chain_members(gold)[-1], frozenset([":"]))
    answer_terms = split_outside_brackets(chain_members(answer)[-1], frozenset([":"]))
    if len(gold_terms) < 2 or len(answer_terms) < 2:
        return None
    if len(gold_terms) != len(answer_terms):
        return Outcome.DIFFERENT
    if "0" in {*gold_terms, *answer_terms}:
        return _in_order(gold_terms, answer_terms, algebra)
    proportions = [
        [rf"\frac{{{term}}}{{{terms[0]}}}" for term in terms[1:]] for terms in (gold_terms, answer_terms)
    ]
    return _in_order(proportions[0], proportions[1], algebra)


def _by_chain(gold: str, answer: str, algebra: Algebra) -> Outcome | None:
    """Compare an equation with a single value: `x = 11` with `11`, but never `5 = 6` with `6`.

    A member that only names the requested quantity is ignored; every other member must equal the gold.
    """
    gold_members, answer_members = chain_members(gold), chain_members(answer)
    if len(answer_members) > 1 and len(gold_members) == 1 and not _COMPARISON.search(gold + answer):
        values = claimed_values(answer_members, gold)
        if not values:
            return Outcome.DIFFERENT
        outcomes = [equivalent(gold, value, algebra) for value in values]
        return next((outcome for outcome in outcomes if outcome is not Outcome.EQUAL), Outcome.EQUAL)
    if len(gold_members) > 1 and len(answer_members) == 1 and not _COMPARISON.search(gold + answer):
        if is_name(gold_members[0]):
            return equivalent(gold_members[-1], answer, algebra)
        return Outcome.DIFFERENT
    if len(gold_members) == len(answer_members) == 2 and compact(gold_members[0]) == compact(
        answer_members[0]
    ):
        outcome = equivalent(gold_members[1], answer_members[1], algebra)
        return outcome if outcome is Outcome.EQUAL or is_name(gold_members[0]) else None
    if (
        len(gold_members) == 2
        and len(answer_members) > 2
        and compact(gold_members[0]) == compact(answer_members[0])
    ):
        return _by_chain(gold_members[1], answer, algebra)
    return None


_STRUCTURAL_RULES = (
    _by_parameter,
    _by_range,
    _by_percent,
    _by_named_values,
    _by_elements,
    _by_brackets,
    _by_ratio,
    _by_inequality_chain,
    _by_chain,
)
