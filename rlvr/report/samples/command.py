"""The command that shows what the page does not hold, for bash and zsh."""

import re
import shlex

from rlvr.report.text import visible

_PLAIN = re.compile(r"[A-Za-z0-9_.,:/+@%][A-Za-z0-9_.,:/+@%-]*")


def show_command(study: str, run: str, benchmark: str, problem_id: str, sample: int | None = None) -> str:
    """Return the call of `rlvr show` for a problem, or for one sample of it."""
    words = [shell_word(word) for word in (study, run, benchmark, problem_id)]
    one = "" if sample is None else f" --sample {sample}"
    return f"rlvr show --study {words[0]}{one} {' '.join(words[1:])}"


def shell_word(text: str) -> str:
    """Return an argument as bash and zsh read it; invisible characters are spelled out (``$'...'``).

    Neither `=` nor `~` is plain, because zsh expands them. What begins with a hyphen follows ``--``.
    """
    if text.startswith("-"):
        return f"-- {_quoted(text)}"
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    if visible(text) == text and not re.search(r"[\n\t\r]", text):
        return (
            shlex.quote(text)
            if _PLAIN.fullmatch(text.lstrip("-"))
            else "'" + text.replace("'", "'\\''") + "'"
        )
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return "$'" + visible(escaped.replace("\r", "\\r")) + "'"
