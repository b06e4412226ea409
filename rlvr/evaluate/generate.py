"""Sample k completions for every problem of a benchmark, each with a seed of its own."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.artifacts import Sample, write_rows
from rlvr.config.resolved import GenerateConfig, read_config
from rlvr.data.chat import opening, prompt_ids
from rlvr.data.problems import read_problems
from rlvr.evaluate.journal import Journal, Key
from rlvr.files import content_hash, read_json, sha256_of
from rlvr.methods.weights import exported_weights
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.positions import check_lengths
from rlvr.progress import Steps
from rlvr.rollout.engines.base import Engine, Request
from rlvr.rollout.engines.factory import make_engine
from rlvr.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """Which model is evaluated on which problems, and how."""

    config: GenerateConfig
    model: Path
    """Prepared model folder."""
    adapter: Path | None
    """Exported run, or None for the untrained model."""
    problems: dict[str, str]
    """Problem id -> problem."""


def generate(
    config_path: Path, model: Path, data: Path, adapter: Path | None, journals: Path, output: Path
) -> None:
    """Write one row per sample; continue where a killed attempt stopped.

    Seeds depend on problem and sample only, not on the run: all methods sample with the same random numbers,
    which narrows the intervals of paired comparisons. The batch size changes speed and memory but no sample
    (on a GPU, only by rounding: `rlvr.rollout.engines.transformers`), so a later attempt may change it.

    Args:
        config_path: resolved configuration (`GenerateConfig`).
        model: prepared model folder.
        data: prepared benchmark.
        adapter: exported run; None evaluates the untrained model.
        journals: folder for finished samples until the output is written.
        output: Parquet file (:class:`rlvr.artifacts.Sample`).

    Raises:
        UserError: an input or the journal is missing or damaged, or a prompt is too long for the model.
    """
    config = read_config(config_path, GenerateConfig)
    table = read_problems(data)
    inputs = Inputs(config, model, adapter, dict(zip(table["id"], table["problem"], strict=True)))
    seeds = sample_seeds(config, list(inputs.problems))
    journal = Journal(journals / f"{fingerprint(inputs, data)}.jsonl", seeds)
    samples = journal.read()
    if samples:
        logger.info("continuing: %d of %d samples are in %s", len(samples), len(seeds), journal.path)
    missing = {key: seed for key, seed in seeds.items() if key not in samples}
    with Steps(f"{output.parent.name} on {config.benchmark}", len(seeds), len(samples)) as progress:
        for batch in _sample(inputs, missing):
            journal.append(batch)
            samples |= {sample.key: sample for sample in batch}
            progress.done(len(batch))
    write_rows(output, Sample, (samples[key].model_dump() for key in seeds))
    journal.remove()


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


def fingerprint(inputs: Inputs, data: Path) -> str:
    """Return a hash of what the samples depend on: model, adapter, data, configuration (not batch size)."""
    folder = inputs.adapter
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    return content_hash(
        {
            "config": inputs.config.model_dump(exclude={"batch_size"}),
            "model_sha256": read_json(inputs.model / "provenance.json")["sha256"],
            "adapter_sha256": {str(path.relative_to(folder)): sha256_of(path) for path in files if folder},
            "data_sha256": sha256_of(data),
        }
    )[:16]


def _serve(inputs: Inputs, tokenizer: "PreTrainedTokenizerBase", prompt_width: int) -> Engine:
    """Return an engine with the model or the run that is evaluated.

    A run is merged where the configuration says so, and in float32, where a merge loses nothing.
    """
    config, model, adapter = inputs.config, inputs.model, inputs.adapter
    merges = config.merged_dtype is not None or config.dtype == "float32"
    longest = prompt_width + config.sampling.max_new_tokens
    engine = make_engine(
        config.engine,
        model,
        tokenizer,
        dtype=config.dtype,
        weight_dtype=config.merged_dtype if merges else None,
        batch_size=config.batch_size,
        adapter=None if merges else adapter,
        prompt_width=prompt_width,
        longest=longest,
    )
    if merges and adapter:
        engine.load_weights(exported_weights(load_model(model, "float32"), adapter))
    return engine


def _sample(inputs: Inputs, seeds: dict[Key, int]) -> Iterator[list[Sample]]:
    """Yield the samples of some keys, batch by batch; the model is loaded only if there are any."""
    if not seeds:
        return
    config = inputs.config
    tokenizer = load_tokenizer(inputs.model)
    opened = opening(tokenizer, config.prompt)
    prompts = {
        name: prompt_ids(tokenizer, config.prompt, problem) for name, problem in inputs.problems.items()
    }
    check_lengths(inputs.model, prompts, config.sampling.max_new_tokens)
    engine = _serve(inputs, tokenizer, max(len(prompt) for prompt in prompts.values()))
    keys = list(seeds)
    for start in range(0, len(keys), config.batch_size):
        batch = keys[start : start + config.batch_size]
        requests = [Request(prompts[problem_id], seeds[problem_id, index]) for problem_id, index in batch]
        yield [
            Sample(
                problem_id=problem_id,
                sample_index=index,
                seed=seeds[problem_id, index],
                text=opened + completion.text,
                n_tokens=len(completion.token_ids),
                finish_reason=completion.finish_reason,
                seconds=completion.seconds,
            )
            for (problem_id, index), completion in zip(
                batch, engine.generate(requests, config.sampling), strict=True
            )
        ]
