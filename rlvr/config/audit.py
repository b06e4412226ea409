"""The differences between the paper and its released code, as data: `config/audit.yaml`."""

from typing import Annotated

from pydantic import Field, model_validator

from rlvr.config.choices import Grader
from rlvr.config.presets import Fault
from rlvr.config.values import Name, Settings

RELEASE = "a5ec6c3"
"""The release of the paper's code (2025-12-29)."""


class Place(Settings):
    """A file, or lines of one, in a repository at a commit."""

    path: str
    """File or folder in the repository."""
    lines: Annotated[str, Field(pattern=r"^[1-9]\d*(-[1-9]\d*)?$")] | None = None
    """A line, or the first and the last of a range."""
    commit: Annotated[str, Field(pattern=r"^([0-9a-f]{7,40}|v[0-9.]+)$")] = RELEASE
    """Commit or version tag."""
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] = "MikaStars39/PeRL"
    """Repository on GitHub."""


class PresetUse(Settings):
    """A preset that reproduces a difference."""

    method: Name
    """The method it belongs to."""
    preset: Name = "released"
    """Its name in `config/methods/METHOD.yaml`."""
    trains_as: Name | None = None
    """The method that it really trains."""
    faults: tuple[Fault, ...] = ()
    """The faults that reproduce this difference."""


class Side(Settings):
    """Runs of a study: a method as configured, over its training seeds."""

    method: Name
    """The method as the study names it."""
    preset: Name
    """Its preset."""
    setting: Name = "main"
    """Setting of the study."""

    @property
    def label(self) -> str:
        """Method, preset and, where it is not `main`, the setting."""
        return " ".join([self.method, self.preset] + [self.setting] * (self.setting != "main"))


class Contrast(Settings):
    """A pair of runs whose paired difference in accuracy measures what a difference changes."""

    study: Name = "audit-mini"
    """Study that has both."""
    code: Side
    """As the code did it."""
    text: Side
    """As the text describes it, or as it is without the difference."""
    measures: str = ""
    """What of the difference this pair measures, where it is not all."""


class Difference(Settings):
    """One difference between the text of the paper and its code."""

    id: Annotated[str, Field(pattern=r"^D[1-9]\d*b?$")]
    """Number by which presets and documents cite it; the second part of a difference has the letter b."""
    title: str
    """What it is, in a few words."""
    paper: str = ""
    """What the text states; empty where it states nothing."""
    code: str
    """What the code does."""
    where: list[Place] = Field(min_length=1)
    """Where the code does it."""
    effect: str
    """What follows for the numbers of the paper."""
    presets: tuple[PresetUse, ...] = ()
    """Presets of methods that reproduce it."""
    faults: tuple[Fault, ...] = ()
    """Faults that every `released` adapter shares."""
    evaluations: tuple[Name, ...] = ()
    """Presets of `config/evaluations.yaml` that reproduce it."""
    prompts: tuple[Name, ...] = ()
    """Prompts of `config/prompts.yaml` that reproduce it."""
    graders: tuple[Grader, ...] = ()
    """Graders that reproduce it."""
    here: str = ""
    """Further notes on reproducing it, or why it is not reproduced."""
    contrasts: tuple[Contrast, ...] = ()
    """Pairs of runs that measure it."""
    unmeasured: str = ""
    """Why no pair of runs measures it."""
    noticed_by: str
    """The check or test of ours that would have stopped it."""

    @model_validator(mode="after")
    def _names_what_reproduces_it(self) -> "Difference":
        if not (self.presets or self.faults or self.evaluations or self.prompts or self.graders or self.here):
            raise ValueError("name what reproduces it, or explain under `here` why nothing does")
        return self

    @model_validator(mode="after")
    def _is_measured_or_says_why_not(self) -> "Difference":
        if bool(self.contrasts) == bool(self.unmeasured):
            raise ValueError("give either `contrasts` that measure it, or `unmeasured` with the reason")
        return self


class Section(Settings):
    """Differences of one kind."""

    title: str
    """Heading of the section."""
    differences: list[Difference] = Field(min_length=1)
    """Its differences, numbered across all sections."""


class Audit(Settings):
    """`config/audit.yaml`."""

    sections: list[Section] = Field(min_length=1)
    """Differences by kind."""

    @property
    def differences(self) -> list[Difference]:
        """All differences in order."""
        return [difference for section in self.sections for difference in section.differences]

    @model_validator(mode="after")
    def _numbers_run_on(self) -> "Audit":
        ids = [difference.id for difference in self.differences]
        numbers = [one for one in ids if not one.endswith("b")]
        expected = [
            name
            for number in range(1, len(numbers) + 1)
            for name in (f"D{number}", f"D{number}b")
            if name in ids or not name.endswith("b")
        ]
        if ids != expected:
            raise ValueError(
                f"the ids are {', '.join(ids)}; number them {expected[0]} to {expected[-1]} in order"
            )
        return self
