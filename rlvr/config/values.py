"""What every block of the configuration is made of: its base class, and the types of its values."""

from datetime import date
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rlvr.config import patterns
from rlvr.config.annotations import accepts

Name = Annotated[str, Field(pattern=patterns.NAME)]
"""A name that is safe in a path and in a table."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Sha256 = Annotated[str, Field(pattern=patterns.SHA256)]
Revision = Annotated[str, Field(pattern=patterns.REVISION)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Rounding = Literal["nearest", "stochastic"]


def _as_text(value: Any) -> Any:
    """Return a date that YAML has recognised as the text that it was."""
    return value.isoformat() if isinstance(value, date) else value


def _checked_day(day: str) -> str:
    return date.fromisoformat(day).isoformat()


Day = Annotated[str, BeforeValidator(_as_text), AfterValidator(_checked_day)]
"""A date such as `2025-01-01`."""


class Settings(BaseModel):
    """Base of every block: unknown keys are errors, values are immutable, and `true` is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _has_no_truth_values_for_numbers(cls, data: Any) -> Any:
        """Refuse a truth value where the library would take it for 0 or 1."""
        for key, value in data.items() if isinstance(data, dict) else ():
            found = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, bool)]
            if found and key in cls.model_fields:
                kind = cls.model_fields[key].annotation
                if not any(isinstance(part, bool) or accepts(part, bool) for part in (kind, *get_args(kind))):
                    word = str(found[0]).lower()
                    raise ValueError(f"{key}: {word} is a truth value, neither a number nor a text")
        return data
