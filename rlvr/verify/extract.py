"""Extract the answer of a completion.

Reward and evaluation use the same rules. Text inside a think block never counts. An answer that the length
limit may have truncated does not count: the next token could have been another digit.
"""

import re
from itertools import pairwise
from typing import NamedTuple, get_args

from rlvr.verify.equivalence.latex import TEXT_COMMAND, brace_pairs
from rlvr.verify.verdict import ExtractionFormat

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BARE_BOX_CONTENT = re.compile(r"(?![A-Za-z]{2})[^\s{}$\\.,;`'\")]+(?:[.,]\d+)*")
"""TeX boxes one token; a word after `\\boxed` is prose about the command."""
_PLACEHOLDER = re.compile(
    r"(?:\\text\{|[\s.$…]|\\[lc]?dots|(?:(?:your|the|my|final|numerical)\s+)*answer(?:\s+here)?|\})*",
    re.IGNORECASE,
)
"""Content of a box that is only mentioned: `\\boxed{}`, `\\boxed{...}`, `\\boxed{your answer}`."""
_BETWEEN = r"(?:\\[()\[\],;:! ]|\\q?quad|[\s$,.;:()])*"
_APPROXIMATED = re.compile(
    rf"{_BETWEEN}(?:(?:or|which|that|and|is|its|in|as|a|i\.e\.)\s+)*"
    r"(?:\\approx|\\simeq|≈|approximately|approx|about|roughly|numerically|decimals?|decimal\s+\w+)"
    rf"(?:[\s,]+(?:this|it|that|is|value|form|equal\s+to|equals|about))*{_BETWEEN}",
    re.IGNORECASE,
)
"""What announces, between two boxes, that the second repeats the first as a decimal."""
_APPROXIMATE_CONTENT = re.compile(
    r"\s*(?:(?:[A-Za-z]\s*)?(?:\\approx|\\simeq|≈))?\s*([-+−]?\d[\d,]*(?:\.\d+)?)"
    rf"\s*(?:{TEXT_COMMAND}\{{[^{{}}]*\}})?\s*"
)
_TAG_MENTION = re.compile(
    r"<(?<=[\w)] <)/?think>(?=\s+(?:block|tag|section|part|above|and|or)s?\b|[,;)]|\.(?:\s|$))"
    r"|<(?<=[`\"']<)/?think>(?=[`\"'])|<(?<=[\w)] <)think>\s*(?:\.\.\.|…)?\s*</think>"
)
"""A tag in a sentence about thinking; it opens or closes nothing."""
_BOX_JOINT = re.compile(
    r"(?:[\s$]|\\[,;:! ]|\\q?quad|\\\)|\\\(|\\text\{\s*(?=\s*(?:,|and|or)\b)|\})*"
    r"(?:,|;|\b(?:and|or)\b|&)"
    r"(?:[\s$,;}]|\\[,;:! ]|\\q?quad|\\\)|\\\(|\\text\{|\b(?:and|or)\b)*"
)
_LONGEST_JOINT = 60
_MOST_INNER_BOXES = 8
_MOST_WORDS = 4
"""An answer line with more words than this is a sentence."""
_ANSWER_LINE = re.compile(r"[\s*#>_]*(?:final\s+)?answer[\s*]*:[\s*]*", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<answer>([^<]*)</answer>", re.IGNORECASE)
_ANSWER_PHRASE = re.compile(r"\banswer\s*(?:is|:|=)\s*:?\s*", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:doubt|unsure|unlikely|deny|whether|(?:not|isn't) (?:sure|certain|true|clear)"
    r"|(?:don't|do not|cannot|can't) (?:think|believe|say|be)"
    r"|(?:wrong|false|impossible|incorrect) (?:that|to))\b",
    re.IGNORECASE,
)
"""What comes before a mention of an answer that is no statement of it."""
_SENTENCE_END = re.compile(r"[.!](?=\s|$)|\n|,(?=\s+(?!and\b|or\b)[a-z]{2})")
_STATED = re.compile(r"\b(?:is|are)\b:?\s*")
_MARKED = re.compile(
    r"\$([^$\n]+)\$|\*\*([^*\n]+)\*\*|####\s*([^\n]+)"
    r"|\\\(((?:[^\\\n]|\\(?![()]))+)\\\)|\\\[((?:[^\\\n]|\\(?![\[\]]))+)\\\]"
)
_PROSE_WORD = re.compile(r"(?<![\\A-Za-z\d])[A-Za-z]{2}|\b[A-Za-z]:\s")
_NUMBER = re.compile(r"(?:(?<![\d)\w])[-+\u2212])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")
_LAST_NUMBER = re.compile(rf"(?<![A-Za-z\d]){_NUMBER.pattern}(?:/\d+)?")
_COULD_CONTINUE = re.compile(r"[.,/]?\s?")


class _Piece(NamedTuple):
    """A part of a text: its position and its content, without box or marks."""

    start: int
    end: int
    content: str


def extract_answer(
    text: str, answer_format: ExtractionFormat = "boxed", finish_reason: str = "stop"
) -> str | None:
    r"""Return the answer of a completion, or None where it has none.

    Formats:

    - ``boxed``: the content of the last closed ``\boxed``; a run of boxes joined only by a comma, "and" or
      "or" is a list. A truncated completion needs that box after ``</think>``: without a closing tag it may
      still have been inside a think block that the prompt opened.
    - ``answer-line``: the last line that starts with "Answer:", else as ``boxed``.
    - ``answer-tag``: the content of the last ``<answer>`` tag; a run of them is a list, as of boxes.
    - ``first-line``: the first non-empty line.
    - ``lenient``: as ``answer-line``, else an ``<answer>`` tag, "the answer is ...", or the last marked
      (``$..$``, ``**..**``, ``#### ..``) or plain number of the last line. Never for rewards: a model would
      learn to write stray numbers.
    - ``first-line-number``: the last number of the first non-empty line.

    Raises:
        ValueError: the format is unknown.
    """
    if answer_format not in get_args(ExtractionFormat):
        raise ValueError(
            f"unknown answer format {answer_format!r}; known: {', '.join(get_args(ExtractionFormat))}"
        )
    truncated = finish_reason == "length"
    if text.count("</think>") > 1 or text.rfind("<think>") > text.rfind("</think>"):
        text = _TAG_MENTION.sub(" ", text)
    _, closing_tag, visible = text.rpartition("</think>")
    if "<think>" in visible:
        return None
    if answer_format in ("first-line", "first-line-number"):
        line = _first_line(visible, truncated)
        return _number_of(line) if answer_format == "first-line-number" else line.content or None
    if truncated and not closing_tag:
        return None
    if answer_format == "answer-tag":
        return _tagged(visible)
    answer = None
    if answer_format in ("answer-line", "lenient"):
        answer = _answer_line(visible, truncated)
        if answer is not None and answer_format == "lenient":
            answer = _without_prose(answer)
    if answer is None:
        answer = _boxed(visible)
    if answer is None and answer_format == "lenient" and not truncated and not _BOX.search(visible):
        answer = _unmarked(visible)
    return answer or None


class _Line(NamedTuple):
    """The first line of a completion with any text in it."""

    text: str
    ended: bool
    """Whether no more tokens could have followed in it."""

    @property
    def content(self) -> str:
        """Its text, blank where more could have followed."""
        return self.text.strip() if self.ended else ""


def _first_line(visible: str, truncated: bool) -> _Line:
    text, newline, _ = visible.lstrip().partition("\n")
    return _Line(text, bool(newline) or not truncated)


def _number_of(line: _Line) -> str | None:
    numbers = list(_NUMBER.finditer(line.text))
    if not numbers:
        return None
    if not line.ended and _COULD_CONTINUE.fullmatch(line.text, numbers[-1].end()):
        return None
    return numbers[-1].group()


def _tagged(visible: str) -> str | None:
    """Return the content of the last answer tag, or of the run of joined tags that ends with it."""
    found = [_Piece(tag.start(), tag.end(), tag[1].strip()) for tag in _ANSWER_TAG.finditer(visible)]
    tags = _without_mentions(found)
    return _last_run(tags, visible) if tags else None


def _answer_line(visible: str, truncated: bool) -> str | None:
    lines = visible.splitlines()
    if truncated and not visible.endswith("\n"):
        lines = lines[:-1]
    for line in reversed(lines):
        match = _ANSWER_LINE.match(line)
        content = line[match.end() :].strip() if match else ""
        if content:
            return _boxed(content) if _BOX.search(content) else _unquoted(content)
    return None


def _unquoted(answer: str) -> str:
    """Remove the markdown around an answer and its full stop."""
    return answer.strip().rstrip(".").strip("*`_ ").rstrip(".")


def _boxed(visible: str) -> str | None:
    """Return the content of the last closed box, or of the run of joined boxes that ends with it."""
    boxes = _without_mentions(_closed_boxes(visible))
    if not boxes:
        return None
    return _exact_and_rounded(boxes, visible) or _last_run(boxes, visible)


def _without_mentions(pieces: list[_Piece]) -> list[_Piece]:
    r"""Leave out the last boxes or tags that are only mentioned: `\boxed{}`, `<answer>...</answer>`."""
    kept = list(pieces)
    while kept and not kept[-1].content[:1].isdigit() and _PLACEHOLDER.fullmatch(kept[-1].content):
        kept.pop()
    return kept


def _exact_and_rounded(boxes: list[_Piece], text: str) -> str | None:
    r"""Return `a \approx b` where the last box only repeats the one before it as a decimal."""
    if len(boxes) < 2:
        return None
    exact, rounded = boxes[-2:]
    gap = text[exact.end : rounded.start]
    decimal = _APPROXIMATE_CONTENT.fullmatch(rounded.content)
    if decimal is None or len(gap) > _LONGEST_JOINT:
        return None
    announced = _APPROXIMATED.fullmatch(gap) or not rounded.content.strip().startswith(decimal[1])
    return rf"{exact.content} \approx {decimal[1]}" if announced else None


def _last_run(pieces: list[_Piece], text: str) -> str:
    """Return the contents of the last piece and of those joined to it, as a list without duplicates."""
    run = [pieces[-1]]
    for piece in reversed(pieces[:-1]):
        if not _joined(text[piece.end : run[0].start]):
            break
        run.insert(0, piece)
    contents = dict.fromkeys(piece.content for piece in run)
    return ", ".join(content for content in contents if content)


def _joined(gap: str) -> bool:
    return len(gap) <= _LONGEST_JOINT and _BOX_JOINT.fullmatch(gap) is not None


def _closed_boxes(visible: str) -> list[_Piece]:
    """Return the outermost closed boxes, in order, without boxes in their contents."""
    pairs = brace_pairs(visible)
    boxes = []
    position = 0
    while match := _BOX.search(visible, position):
        position = match.end()
        if visible[position : position + 1] == "{":
            if position not in pairs:
                continue
            content, end = visible[position + 1 : pairs[position]], pairs[position] + 1
        else:
            bare = _BARE_BOX_CONTENT.match(visible, position)
            if bare is None:
                continue
            content, end = bare.group(), bare.end()
        boxes.append(_Piece(match.start(), end, _without_inner_boxes(content)))
        position = end
    return boxes


def _without_inner_boxes(content: str) -> str:
    for _ in range(_MOST_INNER_BOXES):
        match = _BOX.search(content)
        if match is None:
            break
        end = brace_pairs(content).get(match.end())
        if end is None:
            break
        content = content[: match.start()] + content[match.end() + 1 : end] + content[end + 1 :]
    return content.strip()


def _unmarked(visible: str) -> str | None:
    """Return the answer of a completion without box and answer line, as a lenient reader would find it."""
    tags = _ANSWER_TAG.findall(visible)
    if tags:
        return _unquoted(tags[-1])
    lines = [line for line in visible.splitlines() if line.strip()]
    if not lines:
        return None
    phrases = list(_ANSWER_PHRASE.finditer(visible))
    if phrases and _DENIED.search(_SENTENCE_END.split(visible[: phrases[-1].start()])[-1]):
        return None
    if phrases:
        return _stated(visible[phrases[-1].end() :])
    line = lines[-1].strip()
    marked = _marked(line)
    if marked:
        return _unquoted(_last_run(marked, line))
    if not _PROSE_WORD.search(line):
        return _unquoted(line)
    return _last_number(line)


def _without_prose(answer: str) -> str:
    """Return the answer in an answer line of whole sentences: `34` in `The value is 34. I hope so.`."""
    sentence = _SENTENCE_END.split(answer, maxsplit=1)[0]
    stated = _STATED.search(sentence)
    if stated:
        return _stated(sentence[stated.end() :])
    return (_last_number(sentence) or answer) if len(sentence.split()) > _MOST_WORDS else answer


def _stated(text: str) -> str:
    """Return the first marked text of the first sentence with the texts joined to it, else the sentence."""
    sentence = _SENTENCE_END.split(text.lstrip(), maxsplit=1)[0]
    marked = _marked(sentence)
    for count, (left, right) in enumerate(pairwise(marked), 1):
        if not _joined(sentence[left.end : right.start]):
            marked = marked[:count]
            break
    return _unquoted(_last_run(marked, sentence) if marked else sentence)


def _marked(text: str) -> list[_Piece]:
    """Return the marked texts, in order."""
    return [
        _Piece(match.start(), match.end(), next(filter(None, match.groups())).strip())
        for match in _MARKED.finditer(text)
    ]


def _last_number(line: str) -> str | None:
    numbers = [match.group() for match in _LAST_NUMBER.finditer(line)]
    return numbers[-1] if numbers else None
