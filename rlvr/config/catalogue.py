"""The catalogues: models, data sets, prompts, evaluations and sets of methods that a study may name."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from rlvr.config.loading import load_yaml
from rlvr.config.schema import (
    DType,
    EvaluationPreset,
    Fraction,
    Name,
    Prompt,
    Revision,
    Seed,
    Settings,
    Sha256,
)

# --- models -------------------------------------------------------------------------------------


class Pretraining(Settings):
    """Supervised pretraining of the built-in model, until about half of its answers are correct."""

    model_config = ConfigDict(allow_inf_nan=False)

    datasets: list[Name] = Field(min_length=1)
    """Training sets (keys of `datasets.yaml`) mixed in equal parts by problem."""
    validation_datasets: list[Name] = Field(min_length=1)
    """Sets on which sampled accuracy is measured; never a benchmark of a study."""
    target_accuracy: Fraction = 0.5
    """Stop as soon as sampled accuracy (temperature 1) reaches this."""
    max_steps: PositiveInt = 4000
    """Stop with an error after this many steps."""
    batch_size: PositiveInt = 256
    """Problems per step."""
    learning_rate: PositiveFloat = 2e-3
    """Peak learning rate of AdamW."""


class TinyModel(Settings):
    """A Qwen2-architecture model built and pretrained by the pipeline itself."""

    source: Literal["tiny"]
    """Built in: nothing is downloaded."""
    hidden_size: PositiveInt = 128
    """Width; a multiple of the head size 64, which every vLLM build supports."""
    layers: PositiveInt = 3
    """Decoder layers."""
    heads: PositiveInt = 2
    """Attention heads; `hidden_size` = 64 x `heads`."""
    intermediate_size: PositiveInt = 384
    """Width of the feed-forward part."""
    seed: Seed = 0
    """Seed of initialisation and pretraining."""
    pretraining: Pretraining
    """How it is pretrained."""

    @model_validator(mode="after")
    def _head_size_is_64(self) -> "TinyModel":
        if self.hidden_size != 64 * self.heads:
            raise ValueError(f"hidden_size must be 64 x heads = {64 * self.heads}, not {self.hidden_size}")
        return self


class GgufModel(Settings):
    """A model in a GGUF file, dequantised once into safetensors."""

    source: Literal["gguf"]
    """A GGUF file in an installed Python package, or at a path."""
    package: str | None = None
    """Import name of an installed package that contains the file."""
    file: str
    """File name in `package`, or a path if no package is given."""
    sha256: Sha256
    """Checksum of the file; a different file is refused."""
    dtype: DType = "float32"
    """Precision of the converted weights; not finer than any `training.dtype` that uses them."""


class LocalModel(Settings):
    """A Hugging Face model folder on this machine."""

    source: Literal["local"]
    """A folder with `config.json`, safetensors and tokenizer files."""
    path: str
    """The folder, relative to the repository or absolute."""


class Architecture(Settings):
    """Keys of a model's own `config.json`, of any family; sizes and parameter counts follow from them.

    Any key of that file may be given (`hidden_size`, `num_hidden_layers`, ..); what is not given has the
    default of its family in Transformers.
    """

    model_config = ConfigDict(extra="allow")

    model_type: str
    """Family, such as `qwen2`."""


class HubModel(Settings):
    """A model on the Hugging Face hub at a pinned revision."""

    source: Literal["hub"]
    """Downloaded (or found in the local cache) by `huggingface_hub`."""
    repo: str
    """`owner/name` on the hub."""
    revision: Revision
    """Full commit hash; a branch could change."""
    architecture: Architecture | None = None
    """Keys of its `config.json`, to count parameters and check methods before the download; a download that
    differs in one of them is refused."""


ModelEntry = Annotated[TinyModel | GgufModel | LocalModel | HubModel, Field(discriminator="source")]


class ModelCatalogue(Settings):
    """`config/models.yaml`: every model a study may name."""

    models: dict[Name, ModelEntry]
    """Name -> where the model comes from."""


# --- data ---------------------------------------------------------------------------------------


class Columns(Settings):
    """Names of the columns in the data that is read."""

    problem: str = "problem"
    """Column with the problem text, without instructions."""
    answer: str = "answer"
    """Column with the gold answer."""
    answer_form: Literal["bare", "list", "after-hashes"] = "bare"
    """`bare`: the answer itself; `list`: a list with one answer; `after-hashes`: the text after `####`."""
    id: str | None = None
    """Column with a unique id; by default ids are made from row numbers."""
    alternates: str | None = None
    """Column with a list of further correct answers; may be empty."""


class Rows(Settings):
    """A slice of a data set, in its own order."""

    skip: NonNegativeInt = 0
    """Rows skipped at the beginning."""
    take: PositiveInt
    """Rows read after them; if there are fewer, that is an error."""


class Checks(Settings):
    """Action for each kind of defect.

    `stop`: prepare nothing and list the rows; `drop`: leave the row out and list it beside the prepared
    file; `keep`: use the row, report and count it.
    """

    missing_field: Literal["stop", "drop"] = "stop"
    """A mapped column is absent, null, or neither text nor a number; or the id is blank."""
    empty_answer: Literal["stop", "drop"] = "stop"
    """The gold answer is blank."""
    empty_problem: Literal["stop", "drop"] = "stop"
    """The problem is blank."""
    long_problem: Literal["stop", "drop", "keep"] = "stop"
    """The problem has more than `longest_problem` characters."""
    control_characters: Literal["stop", "drop", "keep"] = "stop"
    """Problem or answer has control characters other than line feed and tab, often a damaged `\\frac`."""
    duplicate_id: Literal["stop", "drop"] = "stop"
    """An earlier row has the same id; `drop` keeps the earlier one."""
    duplicate_problem: Literal["stop", "drop", "keep"] = "stop"
    """An earlier row has the same problem, ignoring white space; `drop` keeps the earlier one."""
    unparsable_answer: Literal["stop", "drop"] = "stop"
    """The verifier does not accept the gold answer as its own answer."""
    text_answer: Literal["stop", "drop", "keep"] = "keep"
    """The verifier cannot parse the gold answer; only identical text is correct."""
    longest_problem: PositiveInt = 10_000
    """Characters; the longest problem of the configured data sets has 4,415."""


class ArithmeticData(Settings):
    """Generated arithmetic; train and test never share an operand pair."""

    source: Literal["arithmetic"]
    """Generated from a seed."""
    levels: list[Literal["L1", "L2", "L3", "L4"]] = Field(min_length=1)
    """L1 one digit; L2 0..20 and the times table to 12; L3 two digits; L4 two operations."""
    operations: list[Literal["+", "-", "*"]] = Field(min_length=1)
    """Operations to use."""
    split: Literal["train", "test"]
    """Side of the split by operand pair."""
    size: PositiveInt
    """Number of distinct problems."""
    style: Literal["question", "bare"] = "question"
    """`question`: "What is 12 + 34?"; `bare`: "12+34" for the tiny model."""
    seed: Seed = 0
    """Seed of the selection."""


class LocalData(Settings):
    """A JSONL or Parquet file on this machine."""

    source: Literal["local"]
    """A file with one problem per line or row."""
    path: str
    """The file, relative to the repository or absolute."""
    columns: Columns = Columns()
    """Names of the columns."""
    rows: Rows | None = None
    """Rows to read; by default all."""
    checks: Checks = Checks()
    """Action for each kind of defect."""


class LocalCopy(Settings):
    """A local file that is read instead of a download, if it exists."""

    path: str
    """A JSONL or Parquet file, relative to the repository or absolute."""
    columns: Columns = Columns(id="id")
    """Names of the columns."""


class HubData(Settings):
    """A dataset on the Hugging Face hub at a pinned revision."""

    source: Literal["hub"]
    """Loaded by `datasets`, from the network or the local cache."""
    repo: str
    """`owner/name` on the hub."""
    revision: Revision
    """Full commit hash."""
    split: str
    """Split name."""
    config: str | None = None
    """Configuration name, where the dataset has several."""
    columns: Columns = Columns()
    """Names of the columns."""
    local: LocalCopy | None = None
    """For machines without network; the provenance records which of the two was read."""
    rows: Rows | None = None
    """Rows to read; by default all."""
    checks: Checks = Checks()
    """Action for each kind of defect."""


DataEntry = Annotated[ArithmeticData | LocalData | HubData, Field(discriminator="source")]


class DataCatalogue(Settings):
    """`config/datasets.yaml`: every data set a study may name."""

    datasets: dict[Name, DataEntry]
    """Name -> where the problems come from."""


# --- prompts, evaluations, sets of methods --------------------------------------------------------


class NamedPrompt(Prompt):
    """One entry of the catalogue of prompts."""

    source: str
    """Where the prompt is from."""


class PromptCatalogue(Settings):
    """`config/prompts.yaml`: prompts that a study may name."""

    prompts: dict[Name, NamedPrompt]
    """Name -> prompt."""


class EvaluationCatalogue(Settings):
    """`config/evaluations.yaml`: evaluation presets that a study may name and change."""

    evaluations: dict[Name, EvaluationPreset]
    """Name -> preset."""


class MethodSets(Settings):
    """`config/method_sets.yaml`: lists of methods that a study may name."""

    sets: dict[Name, Annotated[list[Name], Field(min_length=1)]]
    """Name -> methods, in the order of tables and figures."""


# --- entries --------------------------------------------------------------------------------------


def catalogue_entries(config: Path = Path("config")) -> dict[str, BaseModel]:
    """Return the entries of the catalogues of models and data as `models/NAME` and `data/NAME`."""
    models = load_yaml(config / "models.yaml", ModelCatalogue).models
    datasets = load_yaml(config / "datasets.yaml", DataCatalogue).datasets
    return {
        **{f"models/{name}": entry for name, entry in models.items()},
        **{f"data/{name}": entry for name, entry in datasets.items()},
    }


def entry_files(entry: BaseModel) -> list[str]:
    """Return the local files that a catalogue entry reads, or its folder if that is empty."""
    if isinstance(entry, LocalData):
        return [entry.path]
    if isinstance(entry, LocalModel):
        folder = Path(entry.path)
        return [str(file) for file in sorted(folder.glob("*")) if file.is_file()] or [entry.path]
    if isinstance(entry, HubData) and entry.local and Path(entry.local.path).exists():
        return [entry.local.path]
    if isinstance(entry, GgufModel) and entry.package is None:
        return [entry.file]
    return []
