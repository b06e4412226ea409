"""Names that are not known: the nearest known one, and the list of those that are."""

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path

from rlvr.config.documents import Place
from rlvr.errors import UserError

MOST_LISTED = 8
"""Known names that a message lists; of more, the nearest."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known word nearest to ``word``, or nothing.

    Letter case, and `-` for `_`, make no difference.
    """
    folded = {_folded(one): one for one in known}
    match = difflib.get_close_matches(_folded(word), list(folded), n=1, cutoff=0.5)
    return f"; did you mean {folded[match[0]]!r}?" if match else ""


def listed(word: str, known: Collection[str], kind: str = "known") -> str:
    """Return ``known: a, b``; of many, those nearest to ``word``."""
    if len(known) <= MOST_LISTED:
        return f"{kind}: {', '.join(sorted(known))}"
    folded = {_folded(one): one for one in known}
    near = difflib.get_close_matches(_folded(word), list(folded), n=MOST_LISTED, cutoff=0.0)
    return f"{kind}, the nearest of {len(known)}: {', '.join(folded[one] for one in near)}"


def unknown_name(place: Place | str, key: str, name: str, known: Collection[str]) -> UserError:
    """Return the error for a name that is in none of the known ones."""
    return UserError(f"{place}: {key}: {name!r} is not known{nearest(name, known)} ({listed(name, known)})")


def nearest_file(path: Path) -> str:
    """Return the file beside a missing one that has the nearest name, and those that exist."""
    try:
        siblings = sorted(other.name for other in path.parent.glob("*") if other.suffix == path.suffix)
    except OSError:
        siblings = []
    return nearest(path.name, siblings) + (
        f" ({listed(path.name, siblings, 'existing')})" if siblings else ""
    )


def _folded(word: str) -> str:
    return word.lower().replace("-", "_")
