"""Units after a value: which words are one, and whether two of them contradict each other.

A unit is dropped on both sides, and none is converted. The words after the value of an answer must be a known
unit, a counted noun in the plural, or the gold's own words; anything else (a denial, an operation, a second
value) stays part of the answer and makes it another one. The gold is trusted: any words after its value are
its unit. If both sides state units that are known, they must be the same.
"""

import re
from collections import Counter
from functools import lru_cache

from rlvr.verify.equivalence.latex import TEXT_COMMAND
from rlvr.verify.equivalence.members import has_unknowns

_NAMES = """
m: meter meters metre metres mtr
g: gram grams gm gms
s: sec secs second seconds
min: mins minute minutes
h: hr hrs hour hours
day: days
week: weeks wk wks
month: months
year: years yr yrs
decade: decades
century: centuries
in: inch inches
ft: foot feet
yd: yard yards yds
mi: mile miles
acre: acres
ha: hectare hectares
lb: lbs pound pounds
oz: ounce ounces
ton: tons tonne tonnes
L: l liter liters litre litres
gal: gallon gallons
qt: quart quarts
pt: pint pints
cup: cups
tbsp: tablespoon tablespoons
tsp: teaspoon teaspoons
dollar: dollars USD US$ bucks
cent: cents
euro: euros EUR
pound sterling: GBP
yen: JPY
yuan: CNY RMB
rupee: rupees rs INR
peso: pesos
degree: degrees deg degs
radian: radians rad rads
K: kelvin kelvins
celsius: degC
fahrenheit: degF
N: newton newtons
J: joule joules
W: watt watts
Pa: pascal pascals
Hz: hertz
V: volt volts
A: amp amps ampere amperes
C: coulomb coulombs
ohm: ohms
F: farad farads
T: tesla teslas
mol: mole moles
eV: electronvolt electronvolts
cal: calorie calories
Wh: watt-hour watt-hours
atm: atmosphere atmospheres
bar: bars
erg: ergs
dyn: dyne dynes
pc: parsec parsecs
AU: au
ly: lightyear lightyears
bit: bits
byte: bytes
rev: revs revolution revolutions
unit: units
person: persons people
child: children
man: men
woman: women
mouse: mice
goose: geese
tooth: teeth
die: dice
fish: fishes
sheep:
deer:
point: points pts
"""
"""Unit: its other names."""
_PREFIXES = {
    "k": "kilo", "c": "centi", "m": "milli", "d": "deci", "n": "nano", "p": "pico", "f": "femto",
    "u": "micro", "M": "mega", "G": "giga", "T": "tera",
}  # fmt: skip
_PREFIXED = (
    "m",
    "g",
    "s",
    "L",
    "N",
    "J",
    "W",
    "Pa",
    "Hz",
    "V",
    "A",
    "eV",
    "mol",
    "cal",
    "ohm",
    "bit",
    "byte",
    "pc",
    "Wh",
)
_SPEEDS = {
    "mph": {"mi": 1, "h": -1},
    "kmh": {"km": 1, "h": -1},
    "kph": {"km": 1, "h": -1},
    "kmph": {"km": 1, "h": -1},
}
_VOLUMES = {"cc": {"cm": 3}}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWERS_AFTER = {"squared": 2, "cubed": 3}

_MODIFIERS = """
    distinct different ordered unordered possible total positive negative nonnegative real complex
    rational integer whole even odd prime composite right equilateral isosceles acute obtuse congruent
    similar valid regular red blue green white black yellow brown pink purple small large big old new us
    consecutive unique integral natural lattice solid
"""
"""Words that may stand before a counted noun."""
_NO_NOUN = """
    plus minus times less unless perhaps always sometimes besides is was has does its this thus his yes
    us as ones tens dozens hundreds thousands millions billions trillions halves scores percents
    decimals equals exceeds fails works divides means gives seems appears looks lies guess guesses
    wrongs misses squares cubes doubles triples powers multiples factorials inverse negatives options
    choices towards upwards onwards afterwards otherwise across loss cross pass
"""
"""Words that end in s and are no nouns, and nouns that are operations or numbers."""
_MODIFIER_SET, _NO_NOUN_SET = frozenset(_MODIFIERS.split()), frozenset(_NO_NOUN.split())
_NOUN = re.compile(r"(?:[a-z]{2,}s|[a-z]+-[a-z]+s)")
_FRACTION = re.compile(r"[a-z]*(?:th|third|fifth|half|quarter)s")
_OTHER_VALUE = re.compile(
    r"\b(?:or|and|not|no|if|hundred|thousand|million|billion|trillion|dozen|score|gross|[ap]\.?\s?m)\b",
    re.IGNORECASE,
)
"""Words that are no unit, not even after a gold's value; a time of day is no ratio."""

_TEXT = rf"(?:{TEXT_COMMAND}|\\operatorname\s*)\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}"
_TEXT_GROUP = re.compile(_TEXT)
_SIGNS = (
    (re.compile(r"\\cdot(?![A-Za-z])"), "*"),
    (re.compile(r"\\mu(?![A-Za-z])\s*"), "u"),
    (re.compile(r"\\Omega(?![A-Za-z])"), "ohm"),
)
_POWER = r"(?:\s*\^\s*(?:\d|\{\s*-?\d\s*\}))?"
_TEXT_TAIL = re.compile(rf"(?<=[^\s_^=])(?:\s*(?:/|\*|\\cdot(?![A-Za-z]))?\s*{_TEXT}{_POWER})+\.?$")
_AFTER_VALUE = r"(?:(?<=[\d})])|(?<=\\pi)|(?<=\\pi ))"
_WORDS = r"(?:\\mu |\\Omega(?![A-Za-z])|[A-Za-z$])[A-Za-z.-]*(?:\^(?:\d|\{-?\d\}))?"
_BARE_TAIL = re.compile(
    rf"{_AFTER_VALUE}(?P<space>\s*)(?P<words>{_WORDS}(?:\s*[/*]\s*{_WORDS}|\s+{_WORDS})*)\.?$"
)
_OPEN_FUNCTION = re.compile(
    r"\\(?:sin|cos|tan|cot|sec|csc|ln|log|exp|sqrt)\s*(?:[\^_](?:\w|\{[^{}]*\})\s*)*$"
)
"""A function whose argument is the letters after it."""
_TOKEN = re.compile(
    r"(?P<word>[A-Za-z$]+(?:-[A-Za-z]+)*)|\^\s*\{?\s*(?P<power>-?\d+)\s*\}?|(?P<mark>[/*])|[\s()]+|(?P<other>.)"
)


def _table() -> dict[str, str]:
    names: dict[str, str] = {}
    for line in _NAMES.strip().splitlines():
        unit, _, others = line.partition(":")
        names |= dict.fromkeys([unit, *others.split()], unit)
    for unit in _PREFIXED:
        spelt = [name for name, meaning in names.items() if meaning == unit and len(name) > 3]
        for prefix, long_prefix in _PREFIXES.items():
            names.setdefault(prefix + unit, prefix + unit)
            names |= dict.fromkeys([long_prefix + name for name in spelt], prefix + unit)
    return names


_UNITS = _table()
_UNITS_IN_LOWER_CASE = {name.lower(): unit for name, unit in _UNITS.items() if len(name) > 2}


def split_unit(gold: str) -> tuple[str, str]:
    """Return the value and the unit of a gold answer; the unit is empty where it has none."""
    value, words, space = _tail(gold)
    if not words or _OTHER_VALUE.search(words):
        return gold, ""
    names_unit = len(words) > 1 if space is None else bool(space) and len(words) > 3
    return (value, words) if names_unit or _states_unit(value, words, space) else (gold, "")


def value_in(answer: str, gold_unit: str) -> str | None:
    """Return an answer without its unit, as written if it has none; None if it contradicts the gold's."""
    value, words, space = _tail(answer)
    if not words or _OTHER_VALUE.search(words):
        return answer
    if words.casefold().split() == gold_unit.casefold().split():
        return value
    if not _states_unit(value, words, space):
        return value if _is_counted_noun(words) and space != "" else answer
    unit, expected = known_unit(words) or {}, known_unit(gold_unit) or {}
    contradiction = expected and expected != unit and "unit" not in {*expected, *unit}
    return None if contradiction else value


def _states_unit(value: str, words: str, space: str | None) -> bool:
    """Tell whether words are a known unit; letters right after a value, or after unknowns, are factors."""
    if known_unit(words) is None:
        return False
    return space is None or not (len(words) < 3 and (has_unknowns(value) or (len(words) == 1 and not space)))


def _tail(expression: str) -> tuple[str, str, str | None]:
    """Return value and words after it, and the space between them where the words are no text command."""
    if match := _TEXT_TAIL.search(expression):
        return expression[: match.start()].strip(), _plain(_TEXT_GROUP.sub(r" \1 ", match.group())), None
    match = _BARE_TAIL.search(expression)
    if match is None or _OPEN_FUNCTION.search(expression[: match.start()]):
        return expression, "", None
    return expression[: match.start()].strip(), _plain(match["words"]), match["space"]


def _plain(words: str) -> str:
    for sign, plain in _SIGNS:
        words = sign.sub(plain, words)
    return " ".join(words.strip(" .").split())


@lru_cache(maxsize=4096)
def known_unit(words: str) -> dict[str, int] | None:
    """Return the units that a text multiplies, with their powers, None where a word is none of them."""
    unit: Counter[str] = Counter()
    sign, power, last = 1, 1, ""
    for match in _TOKEN.finditer(words.replace(".", " ")):
        word = match["word"]
        if match["other"] or (match["power"] and not last):
            return None
        if match["power"]:
            unit[last] += (int(match["power"]) - 1) * (1 if sign > 0 else -1)
            continue
        if match["mark"]:
            sign = -1 if match["mark"] == "/" else sign
            continue
        if not word:
            continue
        lower = word.lower()
        if lower == "old" and last == "year":
            continue
        if lower in ("per", "a", "an") and unit:
            sign = -1
        elif lower in _POWERS:
            power = _POWERS[lower]
        elif lower in _POWERS_AFTER and last:
            unit[last] += (_POWERS_AFTER[lower] - 1) * sign
        elif found := _SPEEDS.get(lower) or _VOLUMES.get(lower):
            unit.update(found)
        else:
            last = _UNITS.get(word) or _UNITS_IN_LOWER_CASE.get(lower) or ""
            if not last:
                return None
            unit[last] += sign * power
            power = 1
    known = {name: exponent for name, exponent in unit.items() if exponent}
    temperature = {"celsius": 1, "fahrenheit": 1}
    if len(known) > 1 and known.keys() & temperature.keys():
        known.pop("degree", None)
    return known or None


def _is_counted_noun(words: str) -> bool:
    """Tell whether a text names what is counted: `right triangles`, `cups of flour`, `apples each`."""
    first, _, rest = re.sub(r"\s+(?:each|per [a-z]+)$", "", words).partition(" of ")
    *modifiers, noun = first.lower().split() or [""]
    if rest and re.fullmatch(r"[a-z]{3,}", rest) is None:
        return False
    if known_unit(first) is not None:
        return True
    return (
        all(word in _MODIFIER_SET or "-" in word for word in modifiers)
        and _NOUN.fullmatch(noun) is not None
        and (noun not in _NO_NOUN_SET or first in ("ordered triples", "unordered triples"))
        and _FRACTION.fullmatch(noun) is None
        and not noun.endswith(("ss", "wards"))
    )
