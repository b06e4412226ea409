"""Whether the modules that a method names are those that a model has; messages list what it has instead."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rlvr.errors import UserError
from rlvr.methods.base.shapes import ALL_LINEAR, ModelShape, is_called, linear_layers

if TYPE_CHECKING:
    from rlvr.methods.base.parameters import TargetedParameters

EXPERTS = {"gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}
"""Names that PEFT's LoRA takes for the fused experts of a model that has some, whatever else is called so."""
SHOWN = 12
"""Modules that a message lists at most, of each kind."""


def check_targets(method: str, parameters: "TargetedParameters", shape: ModelShape) -> None:
    """Refuse target modules that a model does not have, and a default that would leave some out.

    Names chosen for a model must each be in one of its blocks. The default set means the matrices of every
    block (or a part of the seven usual ones): it never stands for less.

    Raises:
        UserError: they do not fit; the message lists what is missing, what the model has, and the way out.
    """
    names = parameters.target_modules
    default = type(parameters).model_fields["target_modules"].default
    faults = [*_absent(names, shape), *_meaning_experts(names, shape), *_bypassed(names, shape)]
    if set(names) == set(default):
        faults += [*_partly_absent(names, shape), *_left_out(shape)]
    if faults:
        raise UserError(refusal(method, shape, faults, _way_out(parameters, shape, names)))


def refusal(method: str, shape: ModelShape, faults: Iterable[str], way_out: str) -> str:
    """Return the message that a method does not fit a model, with the linear layers that the model has."""
    linear = _listed(
        f"{name} ({layer.inputs} -> {layer.outputs}{', bias' if layer.bias else ''})"
        for name, layer in ((shape.in_block(name), layer) for name, layer in shape.linear.items())
    )
    return (
        f"method {method!r} does not fit this {shape.model_type} model: "
        f"target_modules: {'; '.join(faults)}.\n"
        f"Linear layers of its {shape.depth} blocks ({shape.stack}): {linear or 'none'}.\n{way_out}"
    )


def target_names(shape: ModelShape) -> list[str]:
    """Return the last parts of the names of a model's linear layers, in their order."""
    return list(dict.fromkeys(name.rpartition(".")[2] for name in shape.linear))


def _absent(names: tuple[str, ...], shape: ModelShape) -> Iterator[str]:
    missing = [name for name in names if not linear_layers(shape, (name,))]
    if missing:
        yield f"no block has a linear layer called {', '.join(missing)}{_hint(missing, shape)}"
    other = {
        f"{shape.in_block(key)} is no torch.nn.Linear ({what})": None
        for name in missing
        for key, what in shape.others.items()
        if is_called(key.rpartition(".")[0], name)
    }
    yield from other


def _meaning_experts(names: tuple[str, ...], shape: ModelShape) -> Iterator[str]:
    """Yield names of a shared expert or a dense block that PEFT's LoRA takes for the fused experts."""
    taken = [name for name in names if linear_layers(shape, (name,)) and _means_experts(name, shape)]
    if taken:
        yield f"PEFT's LoRA takes {', '.join(taken)} for the fused experts, which are no linear layers"


def _bypassed(names: tuple[str, ...], shape: ModelShape) -> Iterator[str]:
    """Yield layers whose weight is used without them, where an adapter would silently train nothing."""
    layers = [name for name in linear_layers(shape, names) if name in shape.bypassed]
    found = dict.fromkeys(map(shape.in_block, layers))
    if found:
        yield f"the blocks use the weight of {', '.join(found)} directly, where no adapter would run"


def _means_experts(name: str, shape: ModelShape) -> bool:
    return name.rpartition(".")[2] in EXPERTS and any(".experts." in other for other in shape.others)


def can_be_chosen(name: str, shape: ModelShape) -> bool:
    """Tell whether a name of linear layers is one that adapters can be put on."""
    bypassed = any(is_called(layer, name) for layer in shape.bypassed)
    return not bypassed and not _means_experts(name, shape)


def _hint(missing: list[str], shape: ModelShape) -> str:
    """Return what a single misspelt name must mean; the usual names, and fused ones, are not misspelt."""
    known = target_names(shape)
    near = {
        name: close[0]
        for name in missing
        if name not in ALL_LINEAR
        and (close := difflib.get_close_matches(name, known, n=1, cutoff=0.8))
        and abs(len(close[0]) - len(name)) < 2
    }
    return "".join(f" (did you mean {right} by {wrong}?)" for wrong, right in near.items())


def _partly_absent(names: tuple[str, ...], shape: ModelShape) -> Iterator[str]:
    """Yield those names of a default set that some blocks have and others do not."""
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        found = linear_layers(shape, (name,))
        blocks = [shape.block(index) for index in range(shape.depth)]
        without = [block for block in blocks if not any(layer.startswith(block) for layer in found)]
        if found and without:
            lacking[tuple(without)].append(name)
    for blocks_without, missing in lacking.items():
        first = blocks_without[0].removesuffix(".")
        yield f"{len(blocks_without)} of {shape.depth} blocks have no {', '.join(missing)} (first: {first})"


def _left_out(shape: ModelShape) -> Iterator[str]:
    """Yield the matrices of the blocks that no default set names."""
    linear = [name for name in shape.linear if not any(is_called(name, usual) for usual in ALL_LINEAR)]
    if linear:
        yield f"the default does not cover {_listed(map(shape.in_block, linear))}"
    if shape.others:
        listed = _listed(f"{shape.in_block(name)} ({what})" for name, what in shape.others.items())
        yield f"the default does not cover matrices that are no linear layers: {listed}"


def _way_out(parameters: "TargetedParameters", shape: ModelShape, names: tuple[str, ...]) -> str:
    known = [name for name in target_names(shape) if can_be_chosen(name, shape)]
    if not known:
        return "Methods that need no linear layers of the blocks remain: full, ln_tuning."
    lead = "Name those to adapt in the study"
    if set(names) <= set(known):
        lead = "Name others in the study, or, to train no more than these, name them with their parents"
        known = list(dict.fromkeys(_with_parent(layer, shape) for layer in linear_layers(shape, names)))
    example = f"target_modules: [{', '.join(known)}]"
    if usual := type(parameters).model_fields.get("feedforward_modules"):
        forward = [name for name in known if name.endswith(usual.default)] or [_last_of_block(shape)]
        example += f", feedforward_modules: [{', '.join(forward)}]"
    return f"{lead}: `parameters: {{{example}}}`; or choose another method."


def _with_parent(layer: str, shape: ModelShape) -> str:
    return shape.in_block(layer).rpartition("*.")[2]


def _last_of_block(shape: ModelShape) -> str:
    """Return the last linear layer of the first block: in most families the feed-forward output."""
    inside = [name for name in shape.linear if name.startswith(shape.block(0))]
    return (inside or list(shape.linear))[-1].rpartition(".")[2]


def _listed(items: Iterable[str]) -> str:
    """Return different items once, with how often they occur, as a list that is not too long."""
    counts = Counter(items)
    shown = [item if count == 1 else f"{item} x{count}" for item, count in counts.items()][:SHOWN]
    return ", ".join(shown) + (f", and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")
