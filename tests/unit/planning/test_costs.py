"""What runs cost: memory against measured peaks, tokens in closed form, and what jobs ask for."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.config import documents
from rlvr.config.catalogue import Architecture
from rlvr.config.training import Training
from rlvr.errors import UserError
from rlvr.methods.presets import method_presets
from rlvr.methods.shape_cache import shape_of_architecture
from rlvr.planning import work
from rlvr.planning.costs import Costs, costs_on, misfits, needs_of_runs, read_needs, write_needs
from rlvr.planning.memory import GIB, trained_memory
from rlvr.planning.plan import Plan, load_plan, train_configs
from rlvr.planning.work import rounds_per_step
from rlvr.rollout.engines import graphed, static

MEASURED_GIB = {
    "full": 42.3, "lora": 17.1, "dora": 21.2, "adalora": 17.2, "miss": 15.7, "pissa": 17.3, "milora": 17.3,
    "lora_plus": 17.1, "rslora": 17.1, "lora_fa": 16.4, "vera": 17.4, "ia3": 17.4, "ln_tuning": 13.5,
    "rank1_lora": 16.4,
}  # fmt: skip
"""Peak of an update at 16k tokens on one H200 (docs/full-size.md)."""


@pytest.fixture(scope="module")
def paper(repository: Path) -> Plan:
    return load_plan("paper-1.5b", repository / "config")


@pytest.fixture(scope="module")
def costs(paper: Plan) -> Costs:
    return Costs(paper)


def test_updates_at_full_length_take_the_memory_that_was_measured(costs):
    for cost in costs.runs.values():
        if memory := cost.memory:
            peak = (memory.weights + memory.optimizer + memory.engine + memory.activations) / GIB
            assert peak == pytest.approx(MEASURED_GIB[cost.method], rel=0.05), cost.method


MEASURED_ON_CPU = {"lora": 2.780, "full": 4.128, "dora": 5.298, "ia3": 2.924, "ln_tuning": 2.732}
"""Peak of a process in GB: SmolLM2-135M, 1024 tokens in float32 (benchmarks/planned_memory.py)."""
SMOLLM2 = Architecture(
    model_type="llama", hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
    intermediate_size=1536, vocab_size=49152, tie_word_embeddings=True,
)  # fmt: skip


@pytest.mark.parametrize("name", MEASURED_ON_CPU)
def test_updates_on_a_cpu_take_the_memory_that_was_measured(repository, name):
    plan = load_plan("smollm2", repository / "config")
    shape = shape_of_architecture(SMOLLM2, "test")
    assert shape.parameters == 134_515_008
    assert (shape.vocabulary, shape.width, shape.cached, shape.tied) == (49152, 576, 2 * 30 * 3 * 64, True)
    training = Training(
        steps=1, prompts_per_step=1, group_size=8, learning_rate=1e-5, sampling={"max_new_tokens": 124},
        max_prompt_tokens=32, tokens_per_microbatch=1024, rollout_batch_size=8,
    )  # fmt: skip
    method = method_presets(repository / "config", name)["recommended"].trained
    config = next(train_configs(plan)).model_copy(update={"training": training})
    trained, device = method.expected_parameters(shape), plan.devices.devices["cpu"]
    peak = trained_memory(config, method, trained, shape, device).peak
    assert peak / 1e9 == pytest.approx(MEASURED_ON_CPU[name], rel=0.15)


def test_what_a_method_keeps_beside_the_base_takes_memory(repository):
    plan, shape = load_plan("smollm2", repository / "config"), shape_of_architecture(SMOLLM2, "test")
    config, device = next(train_configs(plan)), plan.devices.devices["cpu"]
    osf = method_presets(repository / "config", "osf")["recommended"].trained
    trained, kept = osf.expected_parameters(shape), osf.kept_numbers(shape)
    assert kept > trained > shape.parameters / 2
    weights = trained_memory(config, osf, trained, shape, device).weights
    assert weights == 4 * (shape.parameters + trained + kept)


def test_tokens_follow_from_the_study(costs, paper):
    lora = costs.runs["deepseek-r1-distill-qwen-1.5b--lora--paper--main--s42"]
    completions = 1024 * 16 * 8 * 16384 / 2
    assert lora.training.update_tokens == pytest.approx(completions + 1024 * 16 * 128)
    assert lora.training.rollout_tokens == pytest.approx(2 * completions), "two rounds a step"
    problems = 32 * (30 + 30 + 40 + 30) + 4 * (500 + 272)
    forgetting = 200 * 4096
    assert lora.evaluation.evaluation_tokens == pytest.approx((problems * 32768 + forgetting) / 2)
    untrained = costs.runs["deepseek-r1-distill-qwen-1.5b--base"]
    assert untrained.training.update_tokens == 0
    assert untrained.evaluation == lora.evaluation
    assert lora.trained == 36_929_536


def test_rounds_of_sampling_follow_from_the_informative_share(paper):
    training = paper.study.training
    assert training.dynamic_sampling is not None
    carried = training.model_copy(
        update={"dynamic_sampling": training.dynamic_sampling.model_copy(update={"surplus": "carry"})}
    )
    assert rounds_per_step(training, 0.4) == 3
    assert rounds_per_step(carried, 0.4) == 2.5
    assert rounds_per_step(carried, 0.1) == 4, "max_rounds"
    assert rounds_per_step(training.model_copy(update={"dynamic_sampling": None}), 0.1) == 1


def test_measured_rates_replace_the_roofline(paper):
    compute = paper.study.compute.model_copy(
        update={"update_tokens_per_second": 1000.0, "rollout_tokens_per_second": 500.0}
    )
    lora = Costs(paper, compute=compute).runs["deepseek-r1-distill-qwen-1.5b--lora--paper--main--s42"]
    expected = lora.training.update_tokens / 1000 + lora.training.rollout_tokens / 500
    assert lora.training.seconds == pytest.approx(expected, rel=0.01)
    assert lora.evaluation.seconds == pytest.approx(lora.evaluation.evaluation_tokens / 500)


def test_jobs_ask_for_what_the_study_says_and_otherwise_for_what_is_planned(paper, costs, tmp_path):
    lora = costs.runs["deepseek-r1-distill-qwen-1.5b--lora--paper--main--s42"]
    assert (lora.train.gpus, lora.train.threads, lora.train.minutes) == (1, 8, 2880)
    free = paper.study.compute.model_copy(update={"memory_mb": None, "train_minutes": None})
    planned = Costs(paper, compute=free).runs[lora.run].train
    assert planned.minutes > 2880
    assert planned.memory_mb < 64000
    full = Costs(paper, compute=free).runs[lora.run.replace("lora", "full")].train
    assert full.memory_mb > planned.memory_mb + 15_000, "a checkpoint of the optimizer is in main memory"
    write_needs(tmp_path / "needs.json", needs_of_runs(costs))
    assert read_needs(tmp_path / "needs.json") == needs_of_runs(costs)


def test_devices_together_divide_the_time_and_the_policy_of_full_fine_tuning(paper, costs):
    two = Costs(paper, compute=paper.study.compute.model_copy(update={"gpus": 2}))
    name = "deepseek-r1-distill-qwen-1.5b--{}--paper--main--s42"
    outside = 2 * 151936 * 1536 / 1_777_088_000  # embedding and output layer are whole on each
    for method, share in (("full", outside + (1 - outside) / 2), ("lora", 1.0)):
        one, both = costs.runs[name.format(method)], two.runs[name.format(method)]
        assert one.memory is not None
        assert both.memory is not None
        assert both.memory.optimizer == pytest.approx(one.memory.optimizer * share)
        assert both.training.seconds == pytest.approx(one.training.seconds / 2, rel=0.01)
        assert (both.train.gpus, both.generate.gpus) == (2, 1)


def test_the_process_of_every_device_loads_the_model(paper, costs):
    eight = Costs(paper, compute=paper.study.compute.model_copy(update={"gpus": 8}))
    name = "deepseek-r1-distill-qwen-1.5b--lora--paper--main--s42"
    assert eight.runs[name].main_bytes > 8 * (3 * GIB + 2 * 1_777_088_000) > costs.runs[name].main_bytes


def test_what_exceeds_the_memory_of_a_device_is_told(paper):
    assert not list(misfits(Costs(paper)))
    small = list(misfits(costs_on(paper, "L4", Path("resources"))))
    assert any("training of full takes about" in line and "of a l4" in line for line in small)
    assert any("lower evaluation.batch_size" in line for line in small)


def test_an_unknown_device_is_told_with_the_nearest(paper):
    with pytest.raises(UserError, match=r"compute\.device.*did you mean 'h100'"):
        costs_on(paper, "h10", Path("resources"))


def test_unknown_models_and_data_ask_for_defaults(repository, tmp_path):
    costs = Costs(load_plan("smollm2", repository / "config"), tmp_path)
    run = next(cost for cost in costs.runs.values() if cost.method == "lora")
    assert run.trained is None
    assert run.train.memory_mb > 0
    assert costs.shape("smollm2-135m-instruct") is None


PLANNING = """
import sys
from pathlib import Path
from rlvr.planning.checks import check_plan
from rlvr.planning.costs import Costs
from rlvr.planning.plan import load_plan
plan = load_plan("paper-1.5b", Path(sys.argv[1]))
check_plan(plan)
Costs(plan).runs
print([name for name in ("torch", "transformers", "peft", "pandas", "rich") if name in sys.modules])
"""


def test_planning_imports_no_library_that_takes_seconds(repository, costs):
    """Once the shape of a model is known, which the fixture sees to."""
    command = [sys.executable, "-c", PLANNING, str(repository / "config")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, check=True)
    assert done.stdout.strip() == "[]"


def test_every_file_is_parsed_once_and_every_run_resolved_once(repository, monkeypatch):
    parsed: list[str] = []
    loader = documents._Loader

    class Counting(loader):  # type: ignore[valid-type, misc]
        def __init__(self, text: str) -> None:
            parsed.append(text)
            super().__init__(text)

    monkeypatch.setattr(documents, "_Loader", Counting)
    documents._parsed.cache_clear()
    plan = load_plan("demo", repository / "config")
    assert len(Costs(plan).runs) == 15
    assert len(parsed) == len(set(parsed))
    assert plan.runs is plan.runs


def test_the_plan_counts_the_logits_that_training_holds_at_once():
    """Planning imports no torch, so it has the numbers again."""
    from rlvr.dapo.token_logprobs import CHUNK_LOGITS
    from rlvr.planning.memory import LOGITS

    assert {"cpu": CHUNK_LOGITS["cpu"], "gpu": CHUNK_LOGITS["cuda"]} == LOGITS


def test_the_plan_knows_when_a_step_of_sampling_is_recorded():
    assert (graphed.GROWTH, static.ENDED_SHARE["cuda"]) == (work.GROWTH, work.SHRINKS)
