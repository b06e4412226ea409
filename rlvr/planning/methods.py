"""The methods of a study with their presets: sets expanded, every name looked up, every preset checked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlvr.config.catalogue import MethodSets
from rlvr.config.documents import Place
from rlvr.config.known import listed as listed_names
from rlvr.config.known import nearest, unknown_name
from rlvr.config.loading import load_yaml, parse, read_yaml
from rlvr.config.presets import MethodChoice, MethodFile, Preset
from rlvr.config.resolved import RateFactor
from rlvr.config.schema import Study
from rlvr.config.studies import merged
from rlvr.config.training import Training
from rlvr.errors import UserError
from rlvr.methods import get_method, make_method


@dataclass(frozen=True)
class PlannedMethod:
    """One method of a study with its preset."""

    method: str
    preset_name: str
    preset: Preset
    choice: MethodChoice
    """The choice of the study, whose values replace the preset's."""
    place: Place
    """Where the study names it, for messages."""

    @property
    def trains_as(self) -> str:
        """The method that is trained."""
        return self.preset.trains_as or self.method

    @property
    def rate_factor(self) -> RateFactor:
        """What the learning rate of the study is multiplied by, and who gives it."""
        own = self.choice.learning_rate_factor
        if own is None:
            return RateFactor(value=self.preset.learning_rate_factor, given_by="preset")
        return RateFactor(value=own, given_by="study")


def planned_methods(study: Study, config: Path, place: Place) -> Iterator[PlannedMethod]:
    """Yield the methods of a study with their presets, sets expanded.

    Raises:
        UserError: a name is not known, a preset does not fit, or a method with its preset is listed twice.
    """
    around = study.tune.around if study.tune else {}
    listed: Counter[tuple[str, str]] = Counter()
    for where, choice in _expanded(study, config, place.at("methods")):
        method = choice.method
        assert method is not None
        listed[method, choice.preset] += 1
        if listed[method, choice.preset] > 1:
            raise UserError(
                f"{where}: {method} with preset {choice.preset} is listed twice; for other parameters "
                f"add a setting: `settings: {{NAME: {{methods: [{method}], parameters: ...}}}}`"
            )
        preset = _with_faults(_preset(config, choice, where), choice, where)
        _check_preset(preset, choice, study.training, config / "methods" / f"{choice.method}.yaml")
        if method in around:
            choice = choice.model_copy(update={"learning_rate_factor": around[method]})
        yield PlannedMethod(method, choice.preset, preset, choice, where)


def _expanded(study: Study, config: Path, methods: Place) -> Iterator[tuple[Place, MethodChoice]]:
    """Yield (place in the study, choice of one method), the members of a set one by one."""
    single = isinstance(study.methods, MethodChoice)
    choices = [study.methods] if isinstance(study.methods, MethodChoice) else study.methods
    for position, choice in enumerate(choices):
        place = methods if single else methods.at(position)
        if choice.set is None:
            yield place, choice
            continue
        sets = load_yaml(config / "method_sets.yaml", MethodSets).sets
        if choice.set not in sets:
            raise unknown_name(place, "set", choice.set, sets.keys())
        for method in sets[choice.set]:
            yield place, MethodChoice(method=method, preset=choice.preset, faults=choice.faults)


def _preset(config: Path, choice: MethodChoice, place: Place) -> Preset:
    assert choice.method is not None
    get_method(choice.method, place)
    path = config / "methods" / f"{choice.method}.yaml"
    presets = {str(name): preset for name, preset in load_yaml(path, MethodFile).presets.items()}
    if choice.preset not in presets:
        raise UserError(
            f"{place}: {path} has no preset {choice.preset!r}{nearest(choice.preset, presets)} "
            f"({listed_names(choice.preset, presets)})"
        )
    return presets[choice.preset]


def _with_faults(preset: Preset, choice: MethodChoice, place: Place) -> Preset:
    """Return the preset with those of its faults that the study chooses."""
    if choice.faults is None:
        return preset
    for fault in choice.faults:
        if fault not in preset.faults:
            raise UserError(
                f"{place}: faults: preset {choice.preset} of {choice.method} does not have {fault!r} "
                f"(it has: {', '.join(preset.faults) or 'none'})"
            )
    return preset.model_copy(update={"faults": choice.faults})


def _check_preset(preset: Preset, choice: MethodChoice, training: Training, path: Path) -> None:
    """Refuse a preset whose values do not fit, naming its own file and not the study's."""
    place = read_yaml(path)[1].at("presets", choice.preset)
    make_method(preset.trains_as or str(choice.method), preset.parameters, place)
    own = training.model_dump(exclude_unset=True)
    parse(Training, merged(own, preset.training, Training), place.at("training"))
