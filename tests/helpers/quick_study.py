"""A study of one run that takes seconds: a model that knows some sums, and a checkpoint every step."""

from pathlib import Path

import torch

from rlvr.models.pretrain import encode, sampled_accuracy
from rlvr.models.tiny import build_model, build_tokenizer

MODELS = "models: {small: {source: local, path: models/small}}"
DATASETS = """
datasets:
  digits: {source: arithmetic, levels: [L1], operations: ["+"], split: train, size: 60, style: bare}
  unseen: {source: arithmetic, levels: [L1], operations: ["+"], split: test, size: 10, style: bare, seed: 1}
"""
STUDY = """
title: A study that survives
models: [small]
methods: [{method: lora, parameters: {rank: 8, alpha: 16}}]
train_dataset: digits
answer_format: first-line-number
training:
  steps: 40
  prompts_per_step: 4
  group_size: 8
  learning_rate: 1.0e-3
  sampling: {max_new_tokens: 4}
  soft_overlong: {buffer_tokens: 2}
  rollout_batch_size: 64
  checkpoint_every: 1
evaluation:
  sampling: {max_new_tokens: 4}
  batch_size: 8
  benchmarks: {unseen: {dataset: unseen, title: Digits, samples_per_problem: 40}}
compute: {train_minutes: 20, generate_minutes: 20}
"""
STEPS = 40
RUN = "small--lora--recommended--main--s0"
TRAINED = f"results/faults/runs/{RUN}/run.json"
SAMPLES = f"results/faults/samples/{RUN}/unseen.parquet"


def write_study(folder: Path) -> None:
    """Write the study into a checkout, and its model, which knows some of the sums that it trains on."""
    for name, text in (("models", MODELS), ("datasets", DATASETS), ("studies/faults", STUDY)):
        (folder / "config" / f"{name}.yaml").write_text(text)
    for other in (folder / "config" / "studies").glob("*.yaml"):
        if other.stem != "faults":
            other.unlink()
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, hidden_size=64, layers=1, heads=1, intermediate_size=128, seed=0)
    rows = [{"problem": f"{a}+{b}", "answer": str(a + b)} for a in range(10) for b in range(10)]
    encoded = encode(tokenizer, rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    while sampled_accuracy(model, encoded) < 0.4:
        model(input_ids=encoded.ids, labels=encoded.labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder / "models" / "small")
    tokenizer.save_pretrained(folder / "models" / "small")
