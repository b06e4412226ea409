"""The catalogues: models, data sets, prompts, evaluations and sets of methods that a study may name."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from rlvr.config.choices import DType
from rlvr.config.loading import load_yaml
from rlvr.config.schema import EvaluationPreset
from rlvr.config.training import Prompt
from rlvr.config.values import Fraction, Name, Revision, Seed, Settings, Sha256

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
    """Where problem and answer are in a row of the data.

    A name is a column, or a dotted path into it: `reward_model.ground_truth`, `1.value` (list items count
    from 0). A path also leads into JSON text.
    """

    problem: str = "problem"
    """The problem, without instructions: text, or a chat, of which the last user message is read."""
    answer: str = "answer"
    """The gold answer."""
    answer_form: Literal["bare", "list", "any-of", "all-of", "after-hashes", "boxed"] = "bare"
    """`bare`: the answer itself; `list`: a list of one answer; `any-of`: a list, each answer of which is
    correct; `all-of`: a list of answers that are required together; `after-hashes`: the text after `####`;
    `boxed`: the last `\\boxed` of a solution. A list may be JSON text."""
    id: str | None = None
    """A unique id; by default ids are made from row numbers."""
    alternates: str | None = None
    """A list of further correct answers; may be empty."""
    system_message: Literal["drop", "keep"] = "drop"
    """`keep` puts the system message of a chat before the problem."""
    instructions: tuple[str, ...] = ()
    """Texts to remove from each problem, such as the instructions of a prompt; one that no row contains is an
    error."""
    solution: str | None = None
    """A worked solution, whose log-probability a forgetting benchmark measures; by default the answer."""
    numbers: str | None = None
    """Of Countdown: a list of numbers. With `target` it takes the place of all other keys but `id`."""
    target: str | None = None
    """Of Countdown: the target, a whole number."""

    @model_validator(mode="after")
    def _numbers_have_a_target(self) -> "Columns":
        if (self.numbers is None) != (self.target is None):
            raise ValueError("numbers and target: a Countdown problem has both; give both, or neither")
        unread = self.model_dump(exclude_defaults=True).keys() - {"id", "numbers", "target"}
        if self.numbers is not None and unread:
            raise ValueError(f"{', '.join(sorted(unread))}: of Countdown, id, numbers and target are read")
        return self


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
    image: Literal["stop", "drop", "keep"] = "keep"
    """The problem needs a picture: `<image>`, `![..](..)`, `[asy]`, or an image column with content."""
    sentinel_answer: Literal["stop", "drop", "keep"] = "stop"
    """The gold answer stands for a missing one: `proof`, `notfound`, `None`, `N/A`, .."""
    marked_answer: Literal["stop", "drop", "keep"] = "stop"
    """The gold answer contains `\\boxed` or `####`: it is a solution, or lacks an `answer_form`."""
    list_answer: Literal["stop", "drop", "keep"] = "stop"
    """The gold answer is a list or an object written as text: `["1","2"]`, `{"value": "3"}`."""
    sentence_answer: Literal["stop", "drop", "keep"] = "keep"
    """The gold answer is a sentence or has several lines; only the same words are correct."""
    choice_letter: Literal["stop", "drop", "keep"] = "keep"
    """The gold answer is the letter of a choice: `B`, `(C)`."""
    unparsable_answer: Literal["stop", "drop"] = "stop"
    """The verifier does not accept the gold answer as its own answer."""
    text_answer: Literal["stop", "drop", "keep"] = "keep"
    """The verifier cannot parse the gold answer; only identical text is correct."""
    most_unmatchable: Fraction = 0.1
    """Largest share of gold answers that a correct answer hardly matches; if there are more, nothing is
    prepared. Counted are the kinds `sentinel_answer`, `marked_answer`, `list_answer`, `sentence_answer` and
    `text_answer`, where they are kept."""
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
    apart_from: list["ArithmeticData"] = []
    """Generated data sets whose operand pairs it leaves out: entries of this file, by `&name` and `*name`."""


class CountdownData(Settings):
    """Generated Countdown problems; train and test never share numbers and target."""

    source: Literal["countdown"]
    """Generated from a seed."""
    numbers: list[Literal[3, 4]] = Field(min_length=1)
    """How many numbers a problem has: 3 is easier than 4; both are mixed in equal parts."""
    operations: list[Literal["+", "-", "*", "/"]] = Field(default=["+", "-", "*", "/"], min_length=1)
    """Operations that problems are made with; a solution may use all four."""
    largest_number: int = Field(default=99, ge=2, le=999)
    """The numbers are from 1 up to this one."""
    largest_target: int = Field(default=99, ge=2, le=9999)
    """The targets are from 1 up to this one."""
    split: Literal["train", "test"]
    """Side of the split by numbers and target."""
    size: PositiveInt
    """Number of distinct problems."""
    style: Literal["question", "bare"] = "question"
    """`question`: a sentence; `bare`: "8,2,4=24" for the tiny model."""
    seed: Seed = 0
    """Seed of the selection."""


class LocalData(Settings):
    """A file or folder on this machine."""

    source: Literal["local"]
    """A file with one problem per row, or a folder of such files."""
    path: str
    """JSONL, JSON or CSV, also compressed (gzip, zstd, bzip2, lz4); Parquet or Arrow; a folder of such files;
    or a folder of `save_to_disk`. Relative to the repository or absolute."""
    split: str | None = None
    """Split of a folder, where it has several."""
    columns: Columns = Columns()
    """Where problem and answer are in a row."""
    rows: Rows | None = None
    """Rows to read; by default all."""
    checks: Checks = Checks()
    """Action for each kind of defect."""


class LocalCopy(Settings):
    """A local file or folder that is read instead of a download, if it exists."""

    path: str
    """A file or folder, as for `source: local`."""
    split: str | None = None
    """Split of a folder, where it has several."""
    columns: Columns = Columns(id="id")
    """Where problem and answer are in a row."""


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
    """Where problem and answer are in a row."""
    local: LocalCopy | None = None
    """For machines without network; the provenance records which of the two was read."""
    rows: Rows | None = None
    """Rows to read; by default all."""
    checks: Checks = Checks()
    """Action for each kind of defect."""


GeneratedData = ArithmeticData | CountdownData
DataEntry = Annotated[ArithmeticData | CountdownData | LocalData | HubData, Field(discriminator="source")]


def is_countdown(entry: DataEntry) -> bool:
    """Tell whether an answer to the problems of an entry is an expression of given numbers."""
    if isinstance(entry, LocalData | HubData):
        return entry.columns.numbers is not None
    return isinstance(entry, CountdownData)


class DataCatalogue(Settings):
    """`config/datasets.yaml`: every data set a study may name."""

    datasets: dict[Name, DataEntry]
    """Name -> where the problems come from."""
    problems: dict[Name, PositiveInt] = {}
    """Name -> problems of a data set, for plans before it is prepared; no result depends on it."""


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
        return [str(file) for file in data_files(Path(entry.path))] or [entry.path]
    if isinstance(entry, LocalModel):
        folder = Path(entry.path)
        return [str(file) for file in sorted(folder.glob("*")) if file.is_file()] or [entry.path]
    if isinstance(entry, HubData) and entry.local and Path(entry.local.path).exists():
        return [str(file) for file in data_files(Path(entry.local.path))] or [entry.local.path]
    if isinstance(entry, GgufModel) and entry.package is None:
        return [entry.file]
    return []


def data_files(path: Path) -> list[Path]:
    """Return a file itself, or all files of a folder and its subfolders but hidden ones, in order."""
    if not path.is_dir():
        return [path]
    found = (file for file in path.rglob("*") if file.is_file())
    return sorted(file for file in found if not any(part[0] == "." for part in file.relative_to(path).parts))
