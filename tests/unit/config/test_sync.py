"""Defaults that follow from other settings: what samples, in which precision, and how much at once."""

import pytest

from rlvr.config.training import Training
from rlvr.planning.plan import load_plan, train_configs

REQUIRED = {
    **{"steps": 1, "prompts_per_step": 1, "group_size": 2, "learning_rate": 1e-3},
    "sampling": {"max_new_tokens": 4},
}


@pytest.mark.parametrize(
    ("settings", "sync", "rollout_dtype"),
    [
        ({}, "live", "float32"),
        ({"dtype": "bfloat16"}, "live", "bfloat16"),
        ({"dtype": "bfloat16", "rollout_dtype": "bfloat16"}, "live", "bfloat16"),
        ({"rounding": "nearest", "rollout_compute_dtype": None}, "live", "float32"),
        ({"rollout_dtype": "bfloat16"}, "merged", "bfloat16"),
        ({"dtype": "bfloat16", "rollout_dtype": "float32"}, "merged", "float32"),
        ({"rollout_compute_dtype": "float32"}, "merged", "float32"),
        ({"rounding": "stochastic"}, "merged", "float32"),
        ({"sync": "merged", "dtype": "bfloat16"}, "merged", "float32"),
        ({"sync": "adapter", "rollout_dtype": "bfloat16"}, "adapter", "bfloat16"),
        ({"sync": "live", "dtype": "float16"}, "live", "float16"),
    ],
)
def test_the_policy_itself_samples_unless_sent_weights_are_asked_for(settings, sync, rollout_dtype):
    training = Training.model_validate({**REQUIRED, **settings})
    assert (training.sync, training.rollout_dtype) == (sync, rollout_dtype)
    assert not {"sync", "rollout_dtype"} & (training.model_fields_set - settings.keys()), "nothing was given"
    assert Training.model_validate(training.model_dump()) == training, (
        "resolved, it is read as it was written"
    )


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ({}, 768),
        ({"dtype": "bfloat16"}, 1024),
        ({"dtype": "float16", "tokens_per_microbatch": 512}, 512),
        ({"rollout_dtype": "bfloat16"}, 768),
    ],
)
def test_a_microbatch_is_larger_where_its_tokens_need_half_of_the_memory(settings, tokens):
    training = Training.model_validate({**REQUIRED, **settings})
    assert training.tokens_per_microbatch == tokens
    assert not {"tokens_per_microbatch"} & (training.model_fields_set - settings.keys()), "nothing was given"


def test_the_default_is_that_of_each_setting(repository, tmp_path):
    """Of a study that says nothing, a setting that rounds sent weights has sent weights, and no other."""
    (tmp_path / "studies").mkdir()
    for path in (repository / "config").iterdir():
        if path.name != "studies":
            (tmp_path / path.name).symlink_to(path)
    for path in (repository / "config/studies").iterdir():
        (tmp_path / "studies" / path.name).symlink_to(path)
    (tmp_path / "studies/mine.yaml").write_text(
        "extends: demo\nsettings:\n  main: {}\n  rounded: {training: {rollout_dtype: bfloat16}}\n"
    )
    chosen = {(c.setting, c.training.sync) for c in train_configs(load_plan("mine", tmp_path))}
    assert chosen == {("main", "live"), ("rounded", "merged")}


@pytest.mark.parametrize(
    ("study", "sync"),
    [
        *[(name, "merged") for name in ("paper-1.5b", "released-1.5b", "smollm2-precision")],
        *[(name, "live") for name in ("demo", "grid", "smollm2", "smollm2-gpu")],
    ],
)
def test_studies_that_reproduce_the_paper_sample_from_merged_weights(repository, study, sync):
    assert {c.training.sync for c in train_configs(load_plan(study, repository / "config"))} == {sync}
