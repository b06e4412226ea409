"""Draw k answers to every problem of a benchmark, each with a seed of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rlvr.config.resolved import GenerateConfig, read_config
from rlvr.data.chat import opening, prompt_ids
from rlvr.data.problems import read_problems
from rlvr.evaluate.journal import Journal, Sample
from rlvr.files import content_hash, read_json, sha256_of, write_parquet
from rlvr.methods.weights import exported_weights
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.positions import check_lengths
from rlvr.progress import Steps
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.transformers import TransformersEngine
from rlvr.seeds import derive_seed

Key = tuple[str, int]
"""Problem id and sample index."""


@dataclass(frozen=True)
class Inputs:
    """What answers: a prepared model, and the exported run on it."""

    cell: GenerateConfig
    model: Path
    adapter: Path | None
    problems: dict[str, str]
    """Problem id -> problem."""


def generate(
    cell_path: Path, model: Path, data: Path, adapter: Path | None, journals: Path, output: Path
) -> None:
    """Write one row a sample; continue where a killed attempt stopped.

    Seeds depend on problem and sample only, not on the run: all methods answer with the same random numbers,
    which sharpens their paired comparison. The batch size changes speed and memory, not the samples (on a
    GPU, only by rounding: `rlvr.rollout.engines.transformers`), so an attempt may continue with another.

    Args:
        cell_path: resolved generate cell.
        model: prepared model folder.
        data: prepared benchmark.
        adapter: exported run; None measures the untrained model.
        journals: folder where finished samples are kept until the output is written.
        output: Parquet file.

    Raises:
        UserError: an input is missing or damaged, or the journal is, or a prompt is too long for the model.
    """
    cell = read_config(cell_path, GenerateConfig)
    table = read_problems(data)
    inputs = Inputs(cell, model, adapter, dict(zip(table["id"], table["problem"], strict=True)))
    seeds = sample_seeds(cell, list(inputs.problems))
    journal = Journal(journals / f"{fingerprint(inputs, data)}.jsonl", seeds)
    samples = journal.read()
    if samples:
        print(f"{len(samples)} of {len(seeds)} samples were drawn by an earlier attempt")
    missing = [key for key in seeds if key not in samples]
    with Steps(f"{output.parent.name} on {cell.benchmark}", len(seeds), len(samples)) as progress:
        for drawn in _draw(inputs, [(key, seeds[key]) for key in missing]):
            journal.append(drawn)
            samples |= {sample.key: sample for sample in drawn}
            progress.done(len(drawn))
    rows = [samples[key].model_dump() for key in seeds]
    write_parquet(output, pd.DataFrame(rows, columns=list(Sample.model_fields)))
    journal.remove()


def sample_seeds(cell: GenerateConfig, problem_ids: list[str]) -> dict[Key, int]:
    """Return the seed of every sample that is wanted, in the order of the output.

    With ``shared_seed`` all have the cell's own, as in the authors' script, where every request carries 42:
    the samples of a problem are then one sample, repeated.
    """
    return {
        (problem_id, index): cell.seed
        if cell.shared_seed
        else derive_seed(cell.seed, "evaluate", problem_id, index)
        for problem_id in problem_ids
        for index in range(cell.samples_per_problem)
    }


def fingerprint(inputs: Inputs, data: Path) -> str:
    """Return a name for what the samples depend on: cell (but for its batch size), model, adapter, data."""
    folder = inputs.adapter
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    return content_hash(
        {
            "cell": inputs.cell.model_dump(exclude={"batch_size"}),
            "model_sha256": read_json(inputs.model / "provenance.json")["sha256"],
            "adapter_sha256": {str(path.relative_to(folder)): sha256_of(path) for path in files if folder},
            "data_sha256": sha256_of(data),
        }
    )[:16]


def _draw(inputs: Inputs, wanted: list[tuple[Key, int]]) -> Iterator[list[Sample]]:
    """Yield the wanted samples batch by batch; the model is loaded only if there are any."""
    if not wanted:
        return
    cell = inputs.cell
    tokenizer = load_tokenizer(inputs.model)
    opened = opening(tokenizer, cell.prompt)
    prompts = {name: prompt_ids(tokenizer, cell.prompt, problem) for name, problem in inputs.problems.items()}
    check_lengths(inputs.model, prompts, cell.sampling.max_new_tokens)
    longest = max(len(prompt) for prompt in prompts.values())
    engine = TransformersEngine(load_model(inputs.model, cell.dtype), tokenizer, cell.batch_size, longest)
    if inputs.adapter:
        engine.load_weights(exported_weights(load_model(inputs.model, "float32"), inputs.adapter))
    for start in range(0, len(wanted), cell.batch_size):
        batch = wanted[start : start + cell.batch_size]
        requests = [Request(prompts[problem_id], seed) for (problem_id, _), seed in batch]
        yield [
            Sample(
                problem_id=problem_id,
                sample_index=index,
                seed=seed,
                text=opened + completion.text,
                n_tokens=len(completion.token_ids),
                finish_reason=completion.finish_reason,
                seconds=completion.seconds,
            )
            for ((problem_id, index), seed), completion in zip(
                batch, engine.generate(requests, cell.sampling), strict=True
            )
        ]
