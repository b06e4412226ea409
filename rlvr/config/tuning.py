"""A study with `tune` as a grid: a setting for each rate, and validation as its only benchmark."""

from typing import Any

from rlvr.config.documents import Place
from rlvr.config.schema import Study
from rlvr.errors import UserError

VALIDATION = "validation"
"""Name of the only benchmark of a study that tunes."""


def tuning_grid(study: Study, place: Place) -> dict[str, Any]:
    """Return the values of a study whose settings are the rates to try, evaluated on validation problems.

    The benchmarks that it had are never sampled; their data sets go to `tune.apart_from`. Runs are compared
    with the untrained model alone.

    Args:
        study: a study with `tune`.
        place: its files, for messages.

    Raises:
        UserError: it has settings of its own.
    """
    tune = study.tune
    assert tune is not None
    if "settings" in study.model_fields_set:
        raise UserError(
            f"{place.at('settings')}: the settings of a study with `tune` are its rates; leave them out "
            "(`settings: null` takes out those of the study that it extends), and tune what another setting "
            "trains in a study of its own"
        )
    tests = [benchmark.dataset for benchmark in study.evaluation.benchmarks.values()]
    values = study.model_dump(exclude_unset=True)
    values["tune"]["apart_from"] = list(dict.fromkeys([*tests, *tune.apart_from]))
    values["evaluation"]["benchmarks"] = {VALIDATION: values["tune"]["validation"]}
    values["settings"] = {f"x{factor:g}": {"learning_rate_factor": factor} for factor in sorted(tune.factors)}
    for rate in sorted(tune.rates):
        values["settings"][f"r{rate:g}"] = {"training": {"learning_rate": rate}, "rate": "shared"}
    values["contrasts"] = {"methods": ["base"], "presets": [], "settings": []}
    return values
