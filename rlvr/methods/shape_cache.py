"""The shape of a model of the catalogue, measured on the meta device once and kept in the user's cache.

Importing torch and building a model takes seconds, and plans are checked whenever a run starts.
"""

import json
import os
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from rlvr.config.catalogue import Architecture
from rlvr.files import content_hash, write_text
from rlvr.methods import base
from rlvr.methods.base.shapes import ModelShape
from rlvr.models.architecture import StoredArchitecture, meta_model

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MEASURING = Path(base.__file__).parent / "measure.py"
"""Its text is part of what a kept shape depends on."""


def shape_of_architecture(architecture: Architecture, place: str) -> ModelShape:
    """Return the shape of a model with these keys in its `config.json`; ``place`` names them in messages.

    Raises:
        UserError: Transformers has no such model, or it is not a decoder of text.
    """
    return _kept(json.dumps(architecture.model_dump(), sort_keys=True), type(architecture), place)


def shape_of_config(config: "PretrainedConfig") -> ModelShape:
    """Return the shape of the model that a configuration of Transformers describes."""
    keys = json.loads(config.to_json_string(use_diff=False))
    return shape_of_architecture(StoredArchitecture(**keys), f"configuration of {config.model_type}")


@cache
def _kept(keys: str, kind: type[Architecture], place: str) -> ModelShape:
    adapter = TypeAdapter(ModelShape)
    depends = {"keys": keys, "transformers": version("transformers"), "measured by": MEASURING.read_text()}
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlvr" / "shapes"
    path = folder / f"{content_hash(depends)[:32]}.json"
    with suppress(OSError, ValidationError):  # not there, or not whole
        return adapter.validate_json(path.read_bytes())
    shape = _measured(kind.model_validate_json(keys), place)
    with suppress(OSError):  # a home that cannot be written only costs time
        write_text(path, adapter.dump_json(shape).decode())
    return shape


def _measured(architecture: Architecture, place: str) -> ModelShape:
    from rlvr.methods.base.measure import shape_of

    return shape_of(meta_model(architecture, place))
