"""Which pairs of a study are compared (`contrasts` of the study), and which of them are one family."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from rlvr.analysis.inputs.groups import Group
from rlvr.config.contrasts import Contrasts
from rlvr.config.resolved import BASE, Variant

Kind = Literal["methods", "presets", "settings"]


@dataclass(frozen=True)
class Pair:
    """A method and what it is compared with; they differ in their ``contrast`` and in nothing else."""

    contrast: Kind
    method: Group
    baseline: Group

    @property
    def family(self) -> tuple[str, ...]:
        """What the comparisons of one family have in common; Holm's correction is for a family.

        All methods and presets of a setting against one method; all methods of a setting against one preset;
        all settings of a method against one setting.
        """
        method, baseline = self.method, self.baseline
        shared = {
            "methods": (method.setting, baseline.method, baseline.setting),
            "presets": (method.setting, baseline.preset),
            "settings": (baseline.method, baseline.setting),
        }
        return self.contrast, method.model, *shared[self.contrast]


def pairs_of(groups: list[Group], planned: list[Variant], contrasts: Contrasts) -> Iterator[Pair]:
    """Yield the pairs to compare, by method, in the order of the study.

    They are chosen among all that the study plans, so that a method is never compared with another baseline
    because its own has failed.

    Args:
        groups: the methods that there are.
        planned: all rows of the study.
        contrasts: what it compares.
    """
    found = {group.variant: group for group in groups}
    for group in groups:
        for kind, baseline in baselines(group.variant, planned, contrasts):
            if baseline in found:
                yield Pair(kind, group, found[baseline])


def baselines(
    variant: Variant, planned: list[Variant], contrasts: Contrasts
) -> Iterator[tuple[Kind, Variant]]:
    """Yield what a study compares one of its rows with: nothing for an untrained model."""
    if variant.method == BASE:
        return
    for name in contrasts.methods:
        if baseline := method_baseline(variant, name, planned):
            yield "methods", baseline
    for preset in _named(variant, planned, "preset", contrasts.presets):
        yield "presets", preset
    for setting in _named(variant, planned, "setting", contrasts.settings):
        yield "settings", setting


def method_baseline(variant: Variant, method: str, planned: list[Variant]) -> Variant | None:
    """Return another method to compare with: same model and setting, same preset where it has several.

    None where the study has no such baseline, where the variant is of the baseline's own method, and where
    the baseline has several presets but not the variant's: no comparable baseline then.
    """
    if variant.method == method:
        return None
    candidates = [
        other
        for other in planned
        if other.method == method
        and other.model == variant.model
        and (method == BASE or other.setting == variant.setting)
    ]
    same_preset = [other for other in candidates if other.preset == variant.preset]
    matches = same_preset or candidates
    return matches[0] if len(matches) == 1 else None


def _named(
    variant: Variant,
    planned: list[Variant],
    varied: Literal["preset", "setting"],
    names: list[str] | None,
) -> list[Variant]:
    """Return the same method in other presets or settings: those named, or the first of the study."""
    own = getattr(variant, varied)
    alike = [other for other in planned if replace(other, **{varied: own}) == variant]
    wanted = [getattr(alike[0], varied)] if names is None else names
    return [
        other for name in wanted for other in alike if getattr(other, varied) == name and other != variant
    ]
