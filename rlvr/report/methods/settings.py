"""How each variant was trained: its learning rate and settings, and where it departs from the others."""

from rlvr.config.overview import Words, compared, layer_words, method_words, plain, rate_words, training_words
from rlvr.config.resolved import RateFactor, TrainConfig, Variant
from rlvr.report.inputs import Inputs
from rlvr.report.methods.columns import Cell

OWN = ("rank", "alpha", "dropout")
"""Method settings with a column of their own."""
LAYERS = "Adapted layers"


def train_configs(inputs: Inputs) -> dict[Variant, TrainConfig]:
    """Return the configuration of every variant of which a run has ended; its training seeds share it."""
    found = {}
    for variant in inputs.trained:
        ended = [inputs.ended.get(run.run) for run in inputs.study.runs_of(variant)]
        config = next((record.run_info.config for record in ended if record), None)
        if config is not None:
            found[variant] = config
    return found


def shared_and_departures(inputs: Inputs) -> tuple[Words, dict[Variant, Words]]:
    """Return what the runs share, and of each variant where it departs from that."""
    configs = train_configs(inputs)
    usual, departures = compared([_words(config) for config in configs.values()])
    return usual, dict(zip(configs, departures, strict=True))


def rate_factors(inputs: Inputs) -> dict[Variant, RateFactor]:
    """Return the factor of the learning rate of every variant."""
    return {run.variant: run.rate_factor for run in inputs.study.runs if run.rate_factor}


def settings_cells(inputs: Inputs) -> dict[Variant, dict[str, Cell]]:
    """Return the cells of the columns about the configuration, of every variant of which a run has ended."""
    _, departures = shared_and_departures(inputs)
    factors = rate_factors(inputs)
    return {
        variant: _cells(config, factors.get(variant), departures[variant])
        for variant, config in train_configs(inputs).items()
    }


def _words(config: TrainConfig) -> Words:
    layers = layer_words(config.parameters)
    return training_words(config) | ({LAYERS: layers} if layers else {})


def _cells(config: TrainConfig, factor: RateFactor | None, departs: Words) -> dict[str, Cell]:
    rate, parameters = config.training.learning_rate, config.parameters
    origin = rate_words(rate, factor) if factor else "origin not recorded"
    cells = {"rate": Cell(text=f"{rate:g}", small=origin, value=rate)}
    for name in OWN:
        text = plain(parameters[name]) if name in parameters else "–"
        cells[name] = Cell(text=text, value=_number(parameters.get(name)))
    cells["layers"] = Cell(text=layer_words(parameters) or "–")
    cells["other"] = Cell(text=method_words(parameters, without=OWN) or "–")
    if departs:
        cells["departs"] = Cell(text="; ".join(f"{title}: {value}" for title, value in departs.items()))
    return cells


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
