"""Records of runs for tests, with all fields."""

from typing import Any

from rlvr.artifacts import FailedRun, Failure, Hardware, MetaInfo, RunInfo, RunRecord, TrainInfo
from rlvr.config.resolved import TrainConfig
from rlvr.config.training import Prompt, Sampling, Training
from rlvr.files import content_hash


def train_config(**changes: Any) -> TrainConfig:
    """LoRA on the tiny model, but for the changes."""
    fields: dict[str, Any] = {
        "study": "demo",
        "run": "tiny--lora--recommended--main--s0",
        "model": "tiny",
        "method": "lora",
        "preset": "recommended",
        "faults": (),
        "setting": "main",
        "train_seed": 0,
        "parameters": {"rank": 8, "alpha": 16},
        "dataset": "sums-train",
        "prompt": Prompt(),
        "answer_format": "first-line-number",
        "training": Training(
            steps=40,
            prompts_per_step=8,
            group_size=4,
            learning_rate=3e-3,
            sampling=Sampling(max_new_tokens=8),
        ),
    }
    fields |= changes
    return TrainConfig(**{"trains_as": fields["method"]} | fields)


def run_record(config: TrainConfig, **outcome: Any) -> RunRecord:
    """A record of a finished run; ``outcome`` changes fields of its train_info and its device_seconds."""
    seconds = outcome.pop("device_seconds", 10.25)
    names = ("run", "study", "model", "method", "preset", "trains_as", "faults", "setting", "train_seed")
    train_info: dict[str, Any] = {
        "trainable_parameters": 512,
        "total_parameters": 741_376,
        "steps": config.training.steps,
        "dropped_prompts": 0,
        "reward_first": 0.25,
        "reward_last": 0.75,
        "peak_memory_bytes": 612_000_000,
    }
    return RunRecord(
        run_info=RunInfo(
            **{name: getattr(config, name) for name in names},
            config=config,
            config_sha256=content_hash(config.model_dump()),
            status="finished",
            seconds=seconds,
            devices=1,
            device_seconds=seconds,
            attempts=1,
        ),
        train_info=TrainInfo(**train_info | outcome),
        meta_info=MetaInfo(
            git_commit="4f1c0de" + "0" * 33,
            git_dirty=False,
            packages={"torch": "2.13.0", "peft": "0.21.2"},
            hardware=Hardware(machine="x86_64", processor="two cores", cpu_count=2, accelerator=None),
            earlier_git_commits=[],
            model_sha256=content_hash(config.model),
            data_sha256=content_hash(config.dataset),
        ),
    )


def failed_run(config: TrainConfig, status: str = "diverged", **failure: Any) -> FailedRun:
    """A record of a failed run; ``failure`` changes fields of its failure."""
    record = run_record(config)
    fields: dict[str, Any] = {
        "reason": "the reward collapsed <b>at once</b>; lower training.learning_rate",
        "steps": 7,
        "reward_first": 0.51,
        "reward_last": -1.0,
        "log": f"logs/{config.study}/train/{config.run}.log",
        "last_lines": ["step 6", "step 7 <script>alert(1)</script>"],
    }
    return FailedRun(
        run_info=record.run_info.model_copy(update={"status": status}),
        failure=Failure(**fields | failure),
        meta_info=record.meta_info,
    )
