"""Sample k completions for every problem of some benchmarks, each with a seed of its own."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlvr.artifacts import ReferenceScore, Sample, write_rows
from rlvr.artifacts.placeholders import why_no_model, write_no_rows
from rlvr.config.choices import DType
from rlvr.config.resolved import GenerateConfig, read_config
from rlvr.data.chat import opening, prompt_ids
from rlvr.data.problems import read_problems
from rlvr.errors import TryAgain, UserError
from rlvr.evaluate.finished import FINGERPRINT, finished_samples, is_finished
from rlvr.evaluate.journal import Journal, Key
from rlvr.evaluate.references import reference_ids, reference_texts, scored
from rlvr.files import content_hash, read_json, sha256_of
from rlvr.locks import exclusive
from rlvr.methods.weights import exported_weights
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.positions import check_lengths
from rlvr.progress import Steps
from rlvr.rollout.engines.base import Engine, Request
from rlvr.rollout.engines.factory import make_engine
from rlvr.seeds import derive_seed
from rlvr.stopping import StopRequest, stop_requests

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """The model that is evaluated."""

    model: Path
    """Prepared model folder."""
    adapter: Path | None
    """Exported run, or None for the untrained model."""


@dataclass(frozen=True)
class Task:
    """The samples of one benchmark: which there are to be, and which there are already."""

    config: GenerateConfig
    problems: dict[str, str]
    """Problem id -> problem."""
    seeds: dict[Key, int]
    """Seed of every sample, in the order of the output."""
    fingerprint: str
    journal: Journal
    output: Path
    samples: dict[Key, Sample]
    """What earlier attempts have sampled."""
    scores: Path | None
    """Where the log-probabilities of references are to be written; None if they are there or not wanted."""
    references: dict[str, str]
    """Problem id -> reference; empty where none are scored."""

    @property
    def scores_fingerprint(self) -> str:
        """Hash of what the log-probabilities depend on: as for samples, and the references."""
        return content_hash([self.fingerprint, self.references])

    @property
    def missing(self) -> dict[Key, int]:
        """Seeds of the samples that are still to be drawn."""
        return {key: seed for key, seed in self.seeds.items() if key not in self.samples}

    @property
    def unfinished(self) -> bool:
        """Whether an engine has anything to do."""
        return bool(self.missing or self.scores)


def generate(
    config_paths: Sequence[Path],
    model: Path,
    data: Sequence[Path],
    adapter: Path | None,
    journals: Path,
    output: Path,
    max_minutes: float | None = None,
    references: Path | None = None,
) -> None:
    """Write one table per benchmark with one row per sample; draw only the samples that are not there yet.

    A table of an earlier attempt gives its samples if they come from the same weights, problems and sampling
    parameters, so that a further benchmark, or more samples per problem, cost only what they add. What a
    killed attempt sampled is in its journals. Of a failed run, the tables have no rows.

    Seeds depend on problem and sample only, not on the run: all methods sample with the same random numbers,
    which narrows the intervals of paired comparisons. The batch size changes speed and memory but no sample
    (on a GPU, only by rounding: `rlvr.rollout.engines.transformers`), so a later attempt may change it.

    Args:
        config_paths: resolved configurations (`GenerateConfig`), one per benchmark.
        model: prepared model folder.
        data: prepared benchmarks, in the order of the configurations.
        adapter: exported run; None evaluates the untrained model.
        journals: folder for finished samples until the tables are written.
        output: folder of the tables, ``BENCHMARK.parquet`` (:class:`rlvr.artifacts.Sample`).
        max_minutes: time limit; before it, stop as at SIGTERM: the batch is finished and in its journal.
        references: folder of the log-probabilities of reference solutions, ``BENCHMARK.parquet``
            (:class:`rlvr.artifacts.ReferenceScore`), for the configurations that ask for them.

    Raises:
        TryAgain: stopped before the last batch, or another process writes these journals.
        UserError: an input or a journal is missing or damaged, or a prompt is too long for the model.
    """
    if len(config_paths) != len(data):
        raise UserError(f"{len(config_paths)} configurations and {len(data)} --data: give one for each")
    configs = [read_config(path, GenerateConfig) for path in config_paths]
    if references is None and (asking := [config.benchmark for config in configs if config.reference_format]):
        raise UserError(f"benchmark {asking[0]!r} scores reference solutions: give --references")
    if adapter and (reason := why_no_model(adapter)):
        logger.warning("nothing to sample from: %s", reason)
        for config in configs:
            write_no_rows(_table(output, config), Sample, reason)
            if references and config.reference_format:
                write_no_rows(_table(references, config), ReferenceScore, reason)
        return
    served = Served(model, adapter)
    weights = _weights_hashes(served)
    with stop_requests(max_minutes) as stop, exclusive(journals / "lock") as lock:
        tasks = [
            _task(config, table, weights, journals, output, references)
            for config, table in zip(configs, data, strict=True)
        ]
        for task, batches, scores in _sampled(served, tasks):
            with Steps(
                f"{output.name} on {task.config.benchmark}", len(task.seeds), len(task.samples)
            ) as progress:
                for batch in batches:
                    lock.check()
                    task.journal.append(batch)
                    task.samples.update((sample.key, sample) for sample in batch)
                    progress.done(len(batch))
                    _stop_if_asked(stop, tasks, journals)
            rows = (task.samples[key].model_dump() for key in task.seeds)
            write_rows(task.output, Sample, rows, {FINGERPRINT: task.fingerprint})
            if task.scores:
                write_rows(task.scores, ReferenceScore, scores, {FINGERPRINT: task.scores_fingerprint})
        for task in tasks:  # if a later benchmark fails, the workflow takes back the tables before it
            task.journal.remove()


def _stop_if_asked(stop: StopRequest, tasks: Sequence[Task], journals: Path) -> None:
    if (reason := stop.check()) and any(task.missing for task in tasks):
        done, wanted = sum(len(task.samples) for task in tasks), sum(len(task.seeds) for task in tasks)
        raise TryAgain(
            f"{reason} with {done} of {wanted} samples done; the same command continues from {journals}"
        )


def _task(
    config: GenerateConfig,
    data: Path,
    weights: dict[str, Any],
    journals: Path,
    output: Path,
    references: Path | None,
) -> Task:
    table = read_problems(data)
    problems = dict(zip(table["id"], table["problem"], strict=True))
    seeds = sample_seeds(config, list(problems))
    name = fingerprint(config, weights, data)
    journal = Journal(journals / f"{config.benchmark}-{name}.jsonl", seeds)
    path = _table(output, config)
    samples = finished_samples(path, name, seeds)
    if samples:
        logger.info("continuing: %d of %d samples are in %s", len(samples), len(seeds), path)
    if journaled := journal.read():
        logger.info("continuing: %d of %d samples are in %s", len(journaled), len(seeds), journal.path)
    scores = _table(references, config) if references and config.reference_format else None
    texts = reference_texts(table, config.reference_format) if config.reference_format else {}
    task = Task(config, problems, seeds, name, journal, path, samples | journaled, scores, texts)
    if scores and is_finished(scores, task.scores_fingerprint, ReferenceScore):
        return replace(task, scores=None)
    return task


def _table(output: Path, config: GenerateConfig) -> Path:
    return output / f"{config.benchmark}.parquet"


def sample_seeds(config: GenerateConfig, problem_ids: list[str]) -> dict[Key, int]:
    """Return the seed of every sample, in the order of the output.

    With ``shared_seed`` all samples have the configuration's own, as in the authors' script, where every
    request has seed 42: all samples of a problem are then the same.
    """
    return {
        (problem_id, index): config.seed
        if config.shared_seed
        else derive_seed(config.seed, "evaluate", problem_id, index)
        for problem_id in problem_ids
        for index in range(config.samples_per_problem)
    }


def fingerprint(config: GenerateConfig, weights: dict[str, Any], data: Path) -> str:
    """Return a hash of what a sample depends on: weights, data, configuration (neither batch size nor k).

    The references that are scored are left out: a finished benchmark can become one of forgetting without a
    new sample.
    """
    return content_hash(
        {
            "config": config.model_dump(exclude={"batch_size", "samples_per_problem", "reference_format"}),
            "data_sha256": sha256_of(data),
            **weights,
        }
    )[:16]


def _weights_hashes(served: Served) -> dict[str, Any]:
    """Return what names the weights: not the model card, nor the order of keys in a JSON file."""
    tensors = sorted(served.adapter.glob("*.safetensors")) if served.adapter else []
    settings = sorted(served.adapter.glob("*.json")) if served.adapter else []
    return {
        "model_sha256": read_json(served.model / "provenance.json")["sha256"],
        "adapter_sha256": {path.name: sha256_of(path) for path in tensors}
        | {path.name: content_hash(read_json(path)) for path in settings},
    }


class _Asked(NamedTuple):
    """What a benchmark asks, in tokens, by problem id."""

    prompts: dict[str, tuple[int, ...]]
    references: dict[str, list[int]]
    """Empty where none are scored."""
    new_tokens: int
    """Most tokens after a prompt."""

    @property
    def longest(self) -> int:
        """Most tokens of a prompt and what follows it."""
        return max((len(prompt) for prompt in self.prompts.values()), default=0) + self.new_tokens


_Work = tuple[Task, Iterator[list[Sample]], Iterator[ReferenceScore]]


def _sampled(served: Served, tasks: Sequence[Task]) -> Iterator[_Work]:
    """Yield every benchmark with the batches of its missing samples and the scores of its references.

    An engine is made only if something is missing, and serves all benchmarks in a row that are evaluated on
    weights of one precision.
    """
    tokenizer = load_tokenizer(served.model)
    asked = {task.config.benchmark: _asked(task, served, tokenizer) for task in tasks if task.unfinished}
    longest = max((one.longest for one in asked.values()), default=0)
    engine: Engine | None = None
    serves: DType | None = None
    for task in tasks:
        config = task.config
        if not task.unfinished:
            yield task, iter(()), iter(())
            continue
        if engine is None or serves != config.merged_dtype:
            engine = None  # two models at once may not fit
            engine, serves = _serve(config, served, tokenizer, longest), config.merged_dtype
        prompts, references, _ = asked[config.benchmark]
        batches = _batches(task, engine, prompts, opening(tokenizer, config.prompt))
        yield task, batches, scored(engine, prompts, references)


def _asked(task: Task, served: Served, tokenizer: "PreTrainedTokenizerBase") -> _Asked:
    """Return prompts and references, and check that the model has positions for what follows a prompt."""
    config = task.config
    rendered = prompt_ids(tokenizer, config.prompt, task.problems.values())
    prompts = dict(zip(task.problems, rendered, strict=True))
    references = reference_ids(tokenizer, task.references, opening(tokenizer, config.prompt))
    new_tokens = max(config.sampling.max_new_tokens, *map(len, references.values()), 0)
    check_lengths(served.model, prompts, new_tokens)
    return _Asked(prompts, references, new_tokens)


def _serve(
    config: GenerateConfig, served: Served, tokenizer: "PreTrainedTokenizerBase", longest: int
) -> Engine:
    """Return an engine with the model or the run that is evaluated.

    A run is merged where the configuration says so, and in float32, where a merge loses nothing. ``longest``
    is the number of tokens of the longest prompt and completion together.
    """
    model, adapter = served.model, served.adapter
    merges = config.merged_dtype is not None or config.dtype == "float32"
    engine = make_engine(
        config.engine,
        model,
        tokenizer,
        dtype=config.dtype,
        weight_dtype=config.merged_dtype if merges else None,
        batch_size=config.batch_size,
        batching=config.batching,
        adapter=None if merges else adapter,
        longest=longest,
    )
    if merges and adapter:
        engine.load_weights(exported_weights(load_model(model, "float32"), adapter))
    return engine


def _batches(
    task: Task, engine: Engine, prompts: dict[str, tuple[int, ...]], opened: str
) -> Iterator[list[Sample]]:
    """Yield the missing samples of a benchmark, batch by batch."""
    missing = task.missing
    keys, size = list(missing), task.config.batch_size
    longest = max(len(prompt) for prompt in prompts.values())
    for start in range(0, len(keys), size):
        batch = keys[start : start + size]
        requests = [Request(prompts[problem_id], missing[problem_id, index]) for problem_id, index in batch]
        completions = engine.generate(requests, task.config.sampling, longest)
        yield [
            Sample(
                problem_id=problem_id,
                sample_index=index,
                seed=missing[problem_id, index],
                text=opened + completion.text,
                n_tokens=len(completion.token_ids),
                finish_reason=completion.finish_reason,
                seconds=completion.seconds,
            )
            for (problem_id, index), completion in zip(batch, completions, strict=True)
        ]
