"""Map the fields of rows to the columns of prepared files."""

import logging
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rlvr.config.catalogue import Columns
from rlvr.data.checks import Finding, Row
from rlvr.data.json_text import container_in
from rlvr.data.pictures import PLACEHOLDER, picture_column
from rlvr.data.reading.containers import PACKED
from rlvr.data.reading.countdown import countdown_of
from rlvr.data.reading.fields import ABSENT, UnusableError, as_list, as_text, field, nearest, paths_of, shown
from rlvr.data.reading.text import Numbered, Record
from rlvr.errors import UserError
from rlvr.verify.extract import extract_answer

logger = logging.getLogger(__name__)

_USER = ("user", "human")
_SHOWN = 40
"""Fields that a message lists."""


class Mapped(NamedTuple):
    """Rows with the columns of prepared files, and rows that lack a field."""

    rows: list[Row]
    findings: list[Finding]


def wanted_paths(columns: Columns) -> list[str]:
    """Return the dotted paths of the fields that are read."""
    return list(_wanted(columns).values())


def map_columns(
    records: Iterable[Numbered], columns: Columns, name: str, key: str, published: Columns | None = None
) -> Mapped:
    """Return the rows with the columns of prepared files.

    Args:
        records: the rows as they were read.
        columns: where problem and answer are in them.
        name: what the rows were read from, for messages, ids and origins.
        key: the key of `columns` in the entry, for messages.
        published: the columns of the hub, if a local copy is read, for a message.

    Raises:
        UserError: no row has a field that `columns` names, or an instruction to remove.
    """
    rows: list[Row] = []
    findings: list[Finding] = []
    absent = _wanted(columns)
    removed: Counter[str] = Counter()
    sample: Record = {}
    stem = _stem(name)
    for line, record in records:
        absent = {part: path for part, path in absent.items() if field(record, path) is ABSENT}
        sample = sample or record
        made_id = f"{stem}-{line}"
        try:
            rows.append(_row(line, record, columns, made_id, f"{name}#{line}", removed))
        except UnusableError as why:
            name_of_row = field(record, columns.id) if columns.id else made_id
            shown_id = "" if name_of_row is ABSENT or name_of_row is None else str(name_of_row)
            findings.append(Finding(why.kind, line, shown_id, str(why)))
    if sample and absent:
        part, path = next(iter(absent.items()))
        raise UserError(_missing(part, path, sample, name, key) + _hub_hint(sample, published, key))
    _check_instructions(columns, rows, removed, name, key)
    return Mapped(rows, findings)


def _wanted(columns: Columns) -> dict[str, str]:
    """Return key of `columns` -> dotted path, for the keys that name one."""
    asked = ("problem", "answer") if columns.numbers is None else ("numbers", "target")
    paths = {part: getattr(columns, part) for part in ("id", *asked, "alternates", "solution")}
    return {part: path for part, path in paths.items() if path}


def _stem(name: str) -> str:
    return Path(name.removesuffix(Path(name).suffix) if name.endswith(PACKED) else name).stem


def _missing(part: str, path: str, sample: Record, name: str, key: str) -> str:
    paths = paths_of(sample)
    meant = nearest(path, part, paths)
    guess = f"; did you mean {meant!r}?" if meant else "."
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return (
        f"{name}: no column {path!r} (key `{key}.{part}`){guess} The data has {paths[:_SHOWN]}{more}; "
        f"correct `{key}` in datasets.yaml"
    )


def _hub_hint(sample: Record, published: Columns | None, key: str) -> str:
    if published is None or any(field(sample, path) is ABSENT for path in wanted_paths(published)):
        return ""
    keys = published.model_dump(exclude_defaults=True)
    shown_keys = ", ".join(f"{name}: {value}" for name, value in keys.items())
    return f". These are the columns of the hub: set `{key}: {{{shown_keys}}}`"


def _row(
    line: int, record: Record, columns: Columns, made_id: str, origin: str, removed: Counter[str]
) -> Row:
    name = as_text(field(record, columns.id), columns.id) if columns.id else made_id
    if not name.strip():
        raise UnusableError(f"{columns.id!r} is blank")
    if columns.numbers is not None:
        return Row(line=line, id=name, origin=origin, **countdown_of(record, columns))
    answer, others = _answers(field(record, columns.answer), columns)
    problem = _problem(field(record, columns.problem), columns, removed)
    return Row(
        line=line,
        id=name,
        problem=sys.intern(problem),  # some data sets hold each problem 100 times
        answer=answer.strip(),
        origin=origin,
        alternates=(*others, *_alternates(record, columns.alternates)),
        picture=(picture_column(record) if isinstance(record, dict) else None) or "",
        solution=as_text(field(record, columns.solution), columns.solution) if columns.solution else "",
    )


def _problem(value: Any, columns: Columns, removed: Counter[str]) -> str:
    messages = _messages(value, columns.problem)
    text = as_text(value, columns.problem) if messages is None else _chat_problem(messages, columns)
    for instruction in columns.instructions:
        if instruction in text:
            removed[instruction] += 1
            text = text.replace(instruction, "").strip()
    return text


def _messages(value: Any, name: str) -> list[dict[str, Any]] | None:
    """Return the messages of a chat, or of the text of one; None for plain text.

    Raises:
        UnusableError: it is a list of something else.
    """
    found = container_in(value) if isinstance(value, str) and value.lstrip()[:1] == "[" else value
    if not isinstance(found, list):
        return None
    is_chat = all(isinstance(part, dict) and (_role(part) is not None) for part in found)
    if found and is_chat:
        return found
    if isinstance(value, str):
        return None
    raise UnusableError(
        f"{name!r} is a list of {len(found)} parts, but not of chat messages; name one part, such as {name}.0"
    )


def _role(message: dict[str, Any]) -> str | None:
    """Return who speaks, in either spelling: `role` and `content`, or `from` and `value`."""
    role = message.get("role", message.get("from"))
    return role.casefold() if isinstance(role, str) else None


def _chat_problem(messages: list[dict[str, Any]], columns: Columns) -> str:
    users = [_content(message) for message in messages if _role(message) in _USER]
    if not users:
        roles = [_role(message) for message in messages]
        raise UnusableError(f"the chat in {columns.problem!r} has no user message, only {roles}")
    kept = columns.system_message == "keep"
    systems = [_content(message) for message in messages if kept and _role(message) == "system"]
    return "\n\n".join([*systems, users[-1]])


def _content(message: dict[str, Any]) -> str:
    """Return the text of a message; a picture among its parts is written as `<image>`."""
    content = message.get("content", message.get("value"))
    if not isinstance(content, list):
        return as_text(content, "content")
    parts = [part if isinstance(part, dict) else {"text": part} for part in content]
    texts = [part.get("text") for part in parts]
    return "".join(PLACEHOLDER if text is None else as_text(text, "text") for text in texts)


def _answers(value: Any, columns: Columns) -> tuple[str, tuple[str, ...]]:
    """Return the gold answer and further correct ones."""
    name, form = columns.answer, columns.answer_form
    if form in ("bare", "after-hashes", "boxed"):
        return _single(value, name, form), ()
    texts = _texts(value, name)
    if not texts or not all(texts):
        raise UnusableError(
            f"{name!r} is {shown(value)}: {'a blank answer' if texts else 'a list without answers'}"
        )
    if form == "all-of":
        return ", ".join(texts), ()
    if form == "list" and len(texts) > 1:
        raise UnusableError(
            f"{name!r} is {shown(value)}, not a list of one answer; set `columns.answer_form: any-of` "
            "if each is correct, `all-of` if all are required"
        )
    first, *others = dict.fromkeys(texts)
    return first, tuple(others)


def _single(value: Any, name: str, form: str) -> str:
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        raise UnusableError(
            f"{name!r} is a list of {len(value)} objects; name a field of one, such as {name}.0.KEY"
        )
    if isinstance(value, list):
        raise UnusableError(
            f"{name!r} is a list of {len(value)}; set `columns.answer_form: any-of` if each answer in it is "
            "correct, `all-of` if all are required, `list` if there is only one"
        )
    text = as_text(value, name)
    if form == "after-hashes":
        _, hashes, text = text.rpartition("####")
        if not hashes:
            raise UnusableError(f"{name!r} has no #### before the answer")
    if form == "boxed":
        found = extract_answer(text, "boxed")
        if found is None:
            raise UnusableError(f"{name!r} has no \\boxed with an answer")
        return found
    return text


def _alternates(record: Record, column: str | None) -> tuple[str, ...]:
    value = field(record, column) if column else None
    if value is None or value is ABSENT or value == "":
        return ()
    alternates = _texts(value, str(column))
    if not all(alternates):
        raise UnusableError(f"{column!r} contains a blank answer")
    return tuple(alternates)


def _texts(value: Any, name: str) -> list[str]:
    return [as_text(one, f"{name}.{place}").strip() for place, one in enumerate(as_list(value, name))]


def _check_instructions(
    columns: Columns, rows: list[Row], removed: Counter[str], name: str, key: str
) -> None:
    for instruction in columns.instructions if rows else ():
        if not removed[instruction]:
            raise UserError(
                f"{name}: no problem contains {instruction!r} (key `{key}.instructions`); the first one is "
                f"{rows[0].problem[:200]!r}; correct it in datasets.yaml"
            )
        if removed[instruction] < len(rows):
            logger.warning(
                f"{name}: only {removed[instruction]} of {len(rows)} problems contain {instruction!r} "
                f"(key `{key}.instructions`)"
            )
