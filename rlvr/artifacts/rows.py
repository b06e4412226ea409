"""What the tables of a study are made of."""

from typing import ClassVar

from rlvr.config.values import Settings

OptionalFloat = float | None
"""A number that may be unknown: NaN in a data frame, an empty cell in CSV."""


class Row(Settings):
    """A row of a table; the fields are the columns, in order."""

    format_version: ClassVar[int] = 1
    """Raised when columns change; Parquet files carry it as an attribute."""

    @classmethod
    def columns(cls) -> list[str]:
        """Return the names of the columns, in order."""
        return list(cls.model_fields)


class VariantRow(Row):
    """The columns that name a configured method."""

    study: str
    """Name of the study."""
    model: str
    """Entry of `config/models.yaml`."""
    method: str
    """Method as the study names it; `base` is the untrained model."""
    preset: str
    """Preset; `-` for the untrained model."""
    setting: str
    """Setting of the study; `-` for the untrained model."""
