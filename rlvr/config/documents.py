"""Read YAML files, and say where in them a value is given: file and line."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rlvr.errors import UserError

Key = str | int
"""A key of a mapping or a position in a list."""

_MERGE = "tag:yaml.org,2002:merge"
_LARGEST_BITS = 1024
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Layer(NamedTuple):
    """The nodes of one file, which know their lines."""

    path: Path
    node: yaml.Node
    under: tuple[Key, ...] = ()
    """Keys of the whole below which the content of the file is."""

    def find(self, keys: tuple[Key, ...]) -> tuple[int, int]:
        """Return how many of ``keys`` lead to something in the file, and the line of the last of these."""
        line = self.node.start_mark.line + 1
        if keys[: len(self.under)] != self.under:
            return 0, line
        node, depth = self.node, len(self.under)
        for key in keys[depth:]:
            found = _child(node, key)
            if found is None:
                break
            node, line, depth = found[0], found[1] + 1, depth + 1
        return depth, line

    def part(self, *keys: Key) -> yaml.Node:
        """Return the node under ``keys``, which the file has."""
        node = self.node
        for key in keys:
            found = _child(node, key)
            assert found is not None
            node = found[0]
        return node


@dataclass(frozen=True)
class Place:
    """A part of the configuration, as messages name it: ``FILE, line N: keys``."""

    name: str
    """The file, or whatever else the values are from."""
    layers: tuple[Layer, ...] = ()
    """The files that give values, those first that take precedence."""
    keys: tuple[Key, ...] = ()
    label: str = ""
    """The keys in words."""

    def at(self, *keys: Key, label: str | None = None) -> "Place":
        """Return the place of a part; ``label`` names it in other words than its keys."""
        parts = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
        if label is None:
            shown = (self.label + parts).removeprefix(".")
        else:
            shown = ": ".join(filter(None, [self.label, label]))
        return replace(self, keys=(*self.keys, *keys), label=shown)

    def file_and_line(self, *keys: Key) -> str:
        """Return file and line of the nearest part that a file gives; a file without lines has its name."""
        wanted = (*self.keys, *keys)
        found = [(*layer.find(wanted), layer.path) for layer in self.layers]
        if not found:
            return self.name
        _, line, path = max(found, key=lambda one: one[0])  # the first of equally deep ones
        return f"{path}, line {line}"

    def __str__(self) -> str:
        """Return file, line and keys."""
        return ": ".join(filter(None, [self.file_and_line(), self.label]))


def read_yaml(path: Path) -> tuple[Any, Place]:
    """Return the content of a YAML file and its place.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file cannot be read, is not text in UTF-8 or not YAML, gives a key twice, or has an
            anchor that holds itself.
    """
    return _parsed(path, _text(path))


@lru_cache(maxsize=1024)
def _parsed(path: Path, text: str) -> tuple[Any, Place]:
    """Parse a file; once, however often its content is asked for, which nobody changes."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, Place(str(path))
        if repeated := list(_given_twice(path, node)):
            raise UserError("\n".join(repeated))
        return loader.construct_document(node), Place(str(path), (Layer(path, node),))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        words = ", ".join(filter(None, [error.problem, error.context]))
        raise UserError(f"{path}{line}: not YAML: {words}{_hint(words)}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {error}") from None
    except RecursionError:
        raise UserError(f"{path}: lists and mappings are nested too deeply") from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """The safe loader; a value that is not of its type is an error with a line.

    Numbers such as 1e-05, which YAML 1.1 takes for text, are numbers, as in YAML 1.2 and JSON.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and value.bit_length() > _LARGEST_BITS:
                raise ValueError("it has too many digits")
            return value
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{str(node.value)[:100]!r} is not a valid {kind} ({error})", node.start_mark
            ) from None


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]\d+$"), list("-+0123456789")
)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, not a file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if content.startswith(_UTF_16) or b"\0" in content:
        kind = "UTF-16" if content.startswith(_UTF_16) else "binary, or text in UTF-16"
        raise UserError(f"{path}: the file is {kind}; save it as text in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    for number, line_text in enumerate(text.split("\n"), 1):
        if found := yaml.reader.Reader.NON_PRINTABLE.search(line_text):
            raise UserError(f"{path}, line {number}: control character {found.group()!r}; delete it")
    return text


def _hint(words: str) -> str:
    if "'\\t'" in words:
        return "; indent with spaces, not tabs"
    if "undefined alias" in words:
        return "; an alias `*name` needs an anchor `&name` before it"
    if "mapping values are not allowed" in words:
        return "; check the indentation, and put a text that holds `: ` in quotes"
    return ""


def _child(node: yaml.Node, key: Key) -> tuple[yaml.Node, int] | None:
    """Return the part of a node under a key and its line, counted from 0."""
    if isinstance(node, yaml.MappingNode):
        # Keys that come from a merge `<<` stand before the mapping's own, which take precedence.
        found = [(value, name.start_mark.line) for name, value in node.value if name.value == str(key)]
        return found[-1] if found else None
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key].start_mark.line
    return None


def _given_twice(path: Path, root: yaml.Node) -> Iterator[str]:
    """Yield a line for every key that a mapping gives twice; merges `<<` may be repeated and overridden.

    Raises:
        UserError: an anchor holds itself.
    """
    checked: set[int] = set()

    def walk(node: yaml.Node, keys: tuple[Key, ...], ancestors: frozenset[int]) -> Iterator[str]:
        if id(node) in ancestors:
            line = node.start_mark.line + 1
            raise UserError(f"{path}, line {line}: {'.'.join(map(str, keys))}: an anchor holds itself")
        if id(node) in checked or not isinstance(node.value, list):
            return
        checked.add(id(node))
        parts: Iterable[tuple[Key, yaml.Node]]
        if isinstance(node, yaml.MappingNode):
            yield from _repeated(path, keys, node)
            parts = ((str(name.value), value) for name, value in node.value)
        else:
            parts = enumerate(node.value)
        for key, part in parts:
            yield from walk(part, (*keys, key), ancestors | {id(node)})

    yield from walk(root, (), frozenset())


def _repeated(path: Path, keys: tuple[Key, ...], node: yaml.MappingNode) -> Iterator[str]:
    first: dict[tuple[str, str], int] = {}
    for name, _ in node.value:
        if not isinstance(name, yaml.ScalarNode) or name.tag == _MERGE:
            continue
        line = name.start_mark.line + 1
        if (name.tag, name.value) in first:
            yield (
                f"{path}, line {line}: {'.'.join(map(str, (*keys, name.value)))}: this key is given twice, "
                f"first in line {first[name.tag, name.value]}; only one of them would count: put all values "
                "under one, or delete the other"
            )
        first.setdefault((name.tag, name.value), line)
