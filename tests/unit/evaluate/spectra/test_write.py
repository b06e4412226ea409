"""The table of spectra: every method, every precision of the base, checkpoints, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from rlvr.artifacts import RunFolder, RunRecord, SpectrumRow, read_record, read_rows, write_record
from rlvr.config.resolved import checkpoint_name
from rlvr.errors import UserError
from rlvr.evaluate.spectra.updates import TrainedRun
from rlvr.evaluate.spectra.write import write_spectra
from rlvr.files import write_json
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import run_policy, trained_state
from rlvr.methods.weights import merged_weights
from tests.helpers.grid import DTYPES, NAMES
from tests.helpers.records import failed_run, run_record, train_config
from tests.helpers.small_methods import base_model, method_of, train, training


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small model in each precision."""
    root = tmp_path_factory.mktemp("resources")
    for dtype in DTYPES:
        folder = root / "models" / dtype
        base_model(dtype).save_pretrained(folder)
        write_json(folder / "provenance.json", {"sha256": dtype})
    return root


def finished_run(root: Path, name: str, dtype: str = "float32", steps: int = 2, **changes) -> RunFolder:
    """A run of a few optimizer steps, saved as a real run is, with what its merged weights then are."""
    run = f"{dtype}--{name}--recommended--main--s0"
    parameters = method_of(name).parameters.model_dump(mode="json")
    config = train_config(
        **{"run": run, "model": dtype, "method": name, "parameters": parameters}
        | {"training": training().model_copy(update={"dtype": dtype, "rollout_dtype": dtype})}
        | changes
    )
    method = trained_method(config)
    torch.manual_seed(0)
    policy = run_policy(config, method, base_model(dtype))
    train(method, policy, dtype, steps=steps, rate=0.1)
    folder = RunFolder(root / "runs" / run)
    folder.root.mkdir(parents=True)
    save(trained_state(method, policy), folder.trained)
    record = run_record(config, steps=steps)
    meta = record.meta_info.model_copy(update={"model_sha256": dtype})
    write_record(folder.record, record.model_copy(update={"meta_info": meta}))
    merged = {key: weight.detach().clone() for key, weight in merged_weights(method, policy)}
    torch.save(merged, folder.root / "merged.pt")
    return folder


def save(state: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.cpu().contiguous().clone() for name, tensor in state.items()}, path)


def spectra(root: Path, resources: Path, runs: list[RunFolder], **options) -> pd.DataFrame:
    write_spectra([run.root for run in runs], root / "spectra.parquet", resources, root / "cache", **options)
    return read_rows(root / "spectra.parquet", SpectrumRow)


def of(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    return table[table["measure"] == measure]


@pytest.mark.parametrize("name", NAMES)
def test_the_update_of_every_method_is_trained_minus_base(name, resources, tmp_path):
    """In one precision of the base each, in turn; the numbers are those of the policy that was trained."""
    dtype = DTYPES[NAMES.index(name) % len(DTYPES)]
    folder = finished_run(tmp_path, name, dtype)
    base = {key: weight.float() for key, weight in base_model(dtype).named_parameters()}
    expected = {key: weight - base[key] for key, weight in torch.load(folder.root / "merged.pt").items()}
    table = spectra(tmp_path, resources, [folder])
    norms = of(table, "update/norm").set_index("layer")["value"]
    found = {layer: layer if layer in expected else f"{layer}.weight" for layer in norms.index}
    missing = expected.keys() - found.values()
    assert all(key.endswith(".bias") and not expected[key].any() for key in missing)
    assert norms.max() > 0
    for layer, key in found.items():
        assert norms[layer] == pytest.approx(float(expected[key].norm()), rel=1e-3, abs=1e-6), key
    for side in ("right", "left"):
        ends = of(table, f"energy/{side}").query("components == 1")["value"].dropna()
        np.testing.assert_allclose(ends, 1, atol=1e-6)
    changed = of(table, "unchanged/float32").set_index("layer")["value"]
    for layer, key in found.items():
        assert changed[layer] == pytest.approx(float((expected[key] == 0).double().mean())), key


def test_factors_give_the_spectrum_of_the_merged_update(resources, tmp_path):
    """LoRA-family updates are decomposed from their factors: exactly what the merged weights differ by."""
    folder = finished_run(tmp_path, "pissa")
    run = TrainedRun(run_record_of(folder), resources / "models" / "float32")
    layers = [update for update in run.updates(folder.trained) if update.layer]
    assert len(layers) == 14
    for update in layers:
        down, up = update.factors
        torch.testing.assert_close(up @ down, update.trained - update.base, atol=1e-5, rtol=1e-3)


def run_record_of(folder: RunFolder) -> RunRecord:
    return read_record(folder.record, RunRecord)


def test_runs_of_one_model_and_seed_are_compared_in_every_common_layer(resources, tmp_path):
    lora, rslora, ln = (finished_run(tmp_path, name) for name in ("lora", "rslora", "ln_tuning"))
    other_seed = finished_run(
        tmp_path / "s1", "lora", run="float32--lora--recommended--main--s1", train_seed=1
    )
    table = spectra(tmp_path, resources, [lora, rslora, ln, other_seed])
    pairs = of(table, "overlap/left")[["run", "other"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [[lora.root.name, rslora.root.name]]
    overlap = of(table, "overlap/right")
    assert overlap["layer"].is_unique and len(overlap) == 14
    assert overlap["value"].between(0, 1 + 1e-9).all()
    smallest, largest = (
        of(table, f"{end}_angle/right")["value"].to_numpy() for end in ("smallest", "largest")
    )
    assert (smallest <= largest).all() and (largest <= 90 + 1e-6).all()
    bases = of(table, "energy/base")
    assert set(bases["run"]) == {"float32--base"} and bases.groupby("layer").size().eq(16).all()
    norms_only = table[(table["run"] == ln.root.name) & table["measure"].str.startswith("energy")]
    assert norms_only.empty and not of(table[table["run"] == ln.root.name], "update/norm").empty


def test_equal_updates_have_no_angle(resources, tmp_path):
    first = finished_run(tmp_path, "lora")
    second = finished_run(tmp_path / "2", "lora", run="float32--lora--paper--main--s0", preset="paper")
    table = spectra(tmp_path, resources, [first, second])
    np.testing.assert_allclose(of(table, "overlap/right")["value"], 1, atol=1e-6)
    np.testing.assert_allclose(of(table, "largest_angle/left")["value"], 0, atol=0.1)


def test_checkpoints_of_this_very_run_are_measured_too(resources, tmp_path):
    folder = finished_run(tmp_path, "lora", steps=3)
    record = run_record_of(folder)
    hashes = {"model_sha256": "float32", "data_sha256": record.meta_info.data_sha256}
    config = record.run_info.config
    own = tmp_path / "checkpoints" / config.run / checkpoint_name(config, hashes)
    for step in (1, 2, 3):
        earlier = finished_run(tmp_path / str(step), "lora", steps=step)
        own.joinpath(f"step-{step:06d}").mkdir(parents=True)
        earlier.trained.rename(own / f"step-{step:06d}" / "trained.safetensors")
    foreign = own.with_name("0" * 16) / "step-000001"
    foreign.mkdir(parents=True)
    table = spectra(tmp_path, resources, [folder], checkpoints=tmp_path / "checkpoints")
    norms = of(table, "update/norm").groupby("step")["value"].sum()
    assert list(norms.index) == [1, 2, 3]
    assert norms.is_monotonic_increasing


def test_a_fault_of_the_sync_does_not_reach_the_spectrum(resources, tmp_path):
    """The released merge leaves another base at every sync; the update is measured against the real one."""
    released = {"preset": "released", "faults": ("in_place_merge",)}
    folder = finished_run(tmp_path, "lora", "bfloat16", **released)
    base = dict(base_model("bfloat16").named_parameters())
    run = TrainedRun(run_record_of(folder), resources / "models" / "bfloat16")
    for update in (update for update in run.updates(folder.trained) if update.layer):
        assert torch.equal(update.base, base[update.name].float())
        down, up = update.factors
        torch.testing.assert_close(update.trained, update.base + up @ down)


def test_a_failed_run_has_no_rows_and_is_named(resources, tmp_path, caplog):
    lora = finished_run(tmp_path, "lora")
    failed = RunFolder(tmp_path / "runs" / "float32--dora--recommended--main--s0")
    write_record(failed.record, failed_run(train_config(run=failed.root.name, method="dora")))
    with caplog.at_level("WARNING", logger="rlvr"):
        table = spectra(tmp_path, resources, [lora, failed])
    assert set(table["run"]) == {lora.root.name, "float32--base"}
    assert f"{failed.root.name} failed" in caplog.text


def test_another_model_than_the_run_s_is_refused(resources, tmp_path):
    folder = finished_run(tmp_path, "lora")
    with pytest.raises(UserError, match=r"was not trained on .*bfloat16"):
        TrainedRun(run_record_of(folder), resources / "models" / "bfloat16")
