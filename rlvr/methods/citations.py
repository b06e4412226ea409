"""Citations of methods, short enough for a table."""

import re

_TITLE = re.compile(r", .*?(?=, (?:arXiv |[A-Za-z]+ \d{4}|https?:))")
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


def short_citation(citation: str) -> str:
    """Return who and where, such as ``Hu et al., arXiv 2106.09685``, without title and further sources."""
    return _TITLE.sub("", citation, count=1).partition(";")[0]


def linked(citation: str) -> str:
    """Return Markdown with every arXiv number as a link."""
    return _ARXIV.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", citation)
