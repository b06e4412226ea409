"""Statements to be tested as data: `config/claims/`, those of the paper with its numbers, and our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from rlvr.config.documents import Place
from rlvr.config.known import unknown_name
from rlvr.config.loading import parse, read_yaml
from rlvr.config.values import Name, Settings
from rlvr.errors import UserError
from rlvr.files import content_hash, read_csv

OVERALL = "overall"
PAPER = "paper"
"""The file with the claims of the paper; those of other files are hypotheses of our own."""
_COLUMNS = ["table", "model", "method", "setting", "benchmark", "metric", "value"]

Key = str
"""A number of the paper: `TABLE/METHOD/SETTING`, such as `Table3/DoRA/main`."""


class Pair(Settings):
    """The comparison that answers a claim: a row of `comparisons.csv`, whatever its study and model."""

    method: Name
    """Method of the claim."""
    setting: Name = "main"
    """Its setting in the study."""
    baseline: Name
    """Method that it is compared with; `base` is the untrained model."""
    baseline_setting: Name = "main"
    """Setting of the baseline."""
    preset: Name = "paper"
    """Preset of the method; by default what the text of the paper describes."""
    baseline_preset: Name | None = None
    """Preset of the baseline; by default that of the method."""
    benchmark: Name = OVERALL
    """Benchmark, or the mean over benchmarks."""


class PaperPair(Settings):
    """The two numbers of the paper that the claim rests on."""

    method: Key
    """Number of the method, `TABLE/METHOD/SETTING` in `numbers.csv`."""
    baseline: Key
    """Number of the baseline."""


class Claim(Settings):
    """One statement, of the paper or of our own, and how it is tested."""

    id: Name
    """Name of the claim."""
    family: Name
    """Group of claims; Holm's correction is over the claims of a family in one file."""
    claim: str
    """The statement, in one sentence."""
    places: list[str] = Field(min_length=1)
    """Where it is made: the paper, its abstract or its README; of a hypothesis, what it follows from."""
    study: Name
    """Study that tests it."""
    contrast: Pair | None = None
    """The comparison that answers it."""
    direction: Literal["above", "below", "equal"] | None = None
    """Whether the method is above or below the baseline, or within the margin of it."""
    paper: PaperPair | None = None
    """The paper's numbers."""
    command: str | None = None
    """What to run instead, where no comparison answers it."""
    note: str = ""
    """What limits the claim, or its test."""
    related: list[Name] = []
    """What others measured, entries of `related.yaml`."""

    @model_validator(mode="after")
    def _has_a_test(self) -> "Claim":
        if (self.contrast is None) == (self.command is None):
            raise ValueError("give either `contrast`, or `command` where no comparison answers the claim")
        if (self.contrast is None) != (self.direction is None):
            raise ValueError("`contrast` and `direction` belong together")
        return self


class Criterion(Settings):
    """How every claim is tested; fixed before the data."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    """Level of the test of a family, two-sided."""
    margin: PositiveFloat
    """Largest difference of two accuracies (fractions) that still counts as equal."""
    train_seeds: Annotated[int, Field(ge=2)]
    """Training seeds per side from which a claim gets a verdict; with fewer there are only points for or
    against it."""


class ClaimsFile(Settings):
    """A file of `config/claims/`: statements and how they are tested.

    `paper.yaml` has those of the paper; any other, such as `rounding.yaml`, hypotheses of our own, which are
    committed before the first run of the study that tests them.
    """

    test: Criterion
    """The test."""
    claims: list[Claim] = Field(min_length=1)
    """The claims, in the order in which they are shown."""

    @model_validator(mode="after")
    def _has_each_id_once(self) -> "ClaimsFile":
        ids = [claim.id for claim in self.claims]
        if repeated := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"claims: the id {repeated[0]} is given twice")
        return self


class Measurement(Settings):
    """What others measured in another set-up; never the paper's number."""

    source: str
    """Publication or repository."""
    setup: str
    """Model, data and training."""
    numbers: str
    """The numbers, in words."""
    accuracies: dict[Name, list[float]] = {}
    """Method -> its accuracies in percent, on the same benchmarks in the same order for all methods; only of
    runs of their own that train by RLVR."""
    second_hand: bool = False
    """Known only from third-party notes."""


class RelatedFile(Settings):
    """`config/claims/related.yaml`."""

    related: dict[Name, Measurement]
    """Name -> measurement."""


@dataclass(frozen=True)
class Claims:
    """All of `config/claims/`, with every name looked up.

    Attributes:
        files: name of a file without its ending -> its claims; `paper` first.
        numbers: accuracies of the paper as fractions: (key, benchmark) -> value.
        models: model of each key.
        sizes: problems and samples per problem of each benchmark.
        related: what others measured.
    """

    files: Mapping[str, ClaimsFile]
    numbers: Mapping[tuple[Key, str], float]
    models: Mapping[Key, str]
    sizes: Mapping[str, tuple[int, int]]
    related: Mapping[str, Measurement]

    @property
    def claims(self) -> list[Claim]:
        """The claims of all files."""
        return [claim for file in self.files.values() for claim in file.claims]

    @cached_property
    def _sources(self) -> Mapping[str, str]:
        return {claim.id: name for name, file in self.files.items() for claim in file.claims}

    def source_of(self, claim: Claim) -> str:
        """Return the name of the file that has a claim."""
        return self._sources[claim.id]

    def test_of(self, claim: Claim) -> Criterion:
        """Return how a claim is tested."""
        return self.files[self.source_of(claim)].test

    def family_of(self, claim: Claim) -> list[Claim]:
        """Return the claims that a claim is corrected together with, itself among them."""
        return [other for other in self.files[self.source_of(claim)].claims if other.family == claim.family]

    def fixed_in_advance(self, claim: Claim) -> str:
        """Return the hash of all that decides the verdict of a claim: a later change has another hash."""
        pair = claim.paper
        keys = (
            [(key, claim.contrast.benchmark) for key in (pair.method, pair.baseline)]
            if pair and claim.contrast
            else []
        )
        family = sorted(other.id for other in self.family_of(claim))
        decisive = claim.model_dump(include={"study", "contrast", "direction", "paper", "command"})
        if claim.contrast and claim.contrast.baseline_preset is None:
            del decisive["contrast"]["baseline_preset"]  # as in hashes that were registered before it existed
        numbers = [self.numbers[key] for key in keys]
        return content_hash([decisive, self.test_of(claim).model_dump(), family, numbers])


def load_claims(config: Path = Path("config")) -> Claims:
    """Read all claims, the numbers of the paper and what others measured.

    Raises:
        UserError: a file is missing or wrong, a claim names a number or a measurement that is not there, or
            two files have a claim of one name.
    """
    folder = config / "claims"
    measurements, where = read_yaml(folder / "related.yaml")
    related = parse(RelatedFile, measurements, where).related
    others = sorted({path.stem for path in folder.glob("*.yaml")} - {PAPER, "related"})
    read = {name: read_yaml(folder / f"{name}.yaml") for name in (PAPER, *others)}
    files = {name: parse(ClaimsFile, data, place) for name, (data, place) in read.items()}
    found = Claims(files, *_read_numbers(folder / "numbers.csv"), related)
    holders: dict[str, str] = {}
    for name, file in files.items():
        for position, claim in enumerate(file.claims):
            place = read[name][1].at("claims", position)
            if holders.setdefault(claim.id, name) != name:
                raise UserError(
                    f"{place}: id {claim.id!r} is in {holders[claim.id]}.yaml too; give it another id"
                )
            _check_names(claim, found, place)
    return found


def _read_numbers(
    path: Path,
) -> tuple[dict[tuple[Key, str], float], dict[Key, str], dict[str, tuple[int, int]]]:
    """Return accuracies, the model of each key, and the size of each benchmark (the paper's Table 2)."""
    numbers: dict[tuple[Key, str], float] = {}
    models: dict[Key, str] = {}
    sizes: dict[str, dict[str, int]] = {}
    for line, row in enumerate(read_csv(path, _COLUMNS).to_dict("records"), start=2):
        benchmark = row["benchmark"].lower().replace("-", "")
        try:
            if row["metric"] in ("n_problems", "k_samples"):
                sizes.setdefault(benchmark, {})[row["metric"]] = int(row["value"])
            elif row["metric"].startswith("Avg"):
                key = f"{row['table']}/{row['method']}/{row['setting']}"
                numbers[key, benchmark] = float(row["value"]) / 100
                models[key] = row["model"].lower()
        except ValueError:
            raise UserError(f"{path}, line {line}: value {row['value']!r} is not a number") from None
    return numbers, models, {name: (one["n_problems"], one["k_samples"]) for name, one in sizes.items()}


def _check_names(claim: Claim, claims: Claims, place: Place) -> None:
    for name in claim.related:
        if name not in claims.related:
            raise unknown_name(place, "related", name, claims.related.keys())
    if claim.paper and claim.contrast:
        benchmark = claim.contrast.benchmark
        for key in (claim.paper.method, claim.paper.baseline):
            if (key, benchmark) not in claims.numbers:
                known = [one for one, name in claims.numbers if name == benchmark]
                raise unknown_name(place, f"paper: number on {benchmark}", key, known)
