"""Which pairs of a study are compared (`contrasts` of the study), and which of them are one family."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rlvr.analysis.inputs.groups import Group
from rlvr.config.resolved import BASE
from rlvr.config.schema import Contrasts

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


def pairs_of(groups: list[Group], contrasts: Contrasts) -> Iterator[Pair]:
    """Yield the pairs to compare, by method, in the order of the study."""
    for group in groups:
        if group.method == BASE:
            continue
        for name in contrasts.methods:
            if baseline := method_baseline(group, name, groups):
                yield Pair("methods", group, baseline)
        for baseline in _variants(group, groups, "preset", contrasts.presets):
            yield Pair("presets", group, baseline)
        for baseline in _variants(group, groups, "setting", contrasts.settings):
            yield Pair("settings", group, baseline)


def method_baseline(group: Group, method: str, groups: list[Group]) -> Group | None:
    """Return another method to compare with: same model and setting, same preset where it has several.

    None where the study has no such baseline, where the group is of the baseline's own method, and where the
    baseline has several presets but not the group's: no comparable baseline then.
    """
    if group.method == method:
        return None
    candidates = [
        other
        for other in groups
        if other.method == method
        and other.model == group.model
        and (method == BASE or other.setting == group.setting)
    ]
    same_preset = [other for other in candidates if other.preset == group.preset]
    matches = same_preset or candidates
    return matches[0] if len(matches) == 1 else None


def _variants(
    group: Group, groups: list[Group], varied: Literal["preset", "setting"], named: list[str] | None
) -> list[Group]:
    """Return the group's method in other presets or settings: those named, or the first of the study."""
    kept = [label for label in group.labels if label != varied]
    alike = [other for other in groups if all(other.labels[label] == group.labels[label] for label in kept)]
    wanted = [alike[0].labels[varied]] if named is None else named
    return [
        other for name in wanted for other in alike if other.labels[varied] == name and other is not group
    ]
