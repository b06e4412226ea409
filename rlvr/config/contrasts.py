"""Which pairs of runs a study compares."""

from rlvr.config.values import Name, Settings


class Contrasts(Settings):
    """Which pairs a study compares: two sides that differ in one thing and are alike in all others."""

    methods: list[Name] = ["base", "full", "lora"]
    """Methods that all others are compared with, in the same setting and preset; `base` is the untrained
    model. `[]`: none."""
    presets: list[Name] | None = None
    """Presets that the other presets of a method are compared with, such as `[paper]`; `null`: the first that
    the study lists for the method, `[]`: none."""
    settings: list[Name] | None = None
    """Settings that the other settings of a method are compared with; `null`: its first, `[]`: none. A
    setting with fewer `steps` is a checkpoint of a longer one, because a seed gives the same steps; not for
    AdaLoRA, whose schedule depends on their number."""
