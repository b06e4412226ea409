"""The curves of training."""

from dataclasses import dataclass

from rlvr.config.resolved import Variant
from rlvr.report.charts.curves import Curve, training_curve, training_panels
from rlvr.report.inputs import Inputs
from rlvr.report.panels import ModelPanels, Panels, panels_of_models
from rlvr.report.section import Section

REFERENCE_METHOD = "lora"  # dashed in the panels of the others
CURVES: list[tuple[str, str, float | None]] = [  # title, column of the log, largest possible value
    ("Mean reward", "reward/mean", None),
    ("Completion length (tokens)", "completion/length_mean", None),
    ("Share of informative groups", "groups/informative_fraction", 1.0),
    ("Weight-sync noise-to-signal ratio", "sync/noise_to_signal", None),
    ("Mismatch KL (nats per token)", "rollout/mismatch_kl", None),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Context of the section.

    Attributes:
        reference: the method of the dashed curves.
        several_references: whether the curves of different variants of it are dashed in different panels.
    """

    models: list[ModelPanels]
    reference: str
    several_references: bool


def build(inputs: Inputs) -> Training:
    """Return the curves of every model: the reward first."""
    references = [
        sum(v.method == REFERENCE_METHOD for v in inputs.trained_of(m)) for m in inputs.study.models
    ]
    return Training(
        models=panels_of_models(inputs, _groups),
        reference=REFERENCE_METHOD,
        several_references=max(references) > 1,
    )


def reference_of(inputs: Inputs, variant: Variant) -> Variant | None:
    """Return the LoRA variant to compare with: the nearest in preset, then in setting.

    A LoRA variant is compared with the first one of its preset, and that with the first one of the study.
    None for the latter, and where the study has no LoRA.
    """
    candidates = [other for other in inputs.trained_of(variant.model) if other.method == REFERENCE_METHOD]
    if variant.method != REFERENCE_METHOD:
        return min(
            candidates,
            key=lambda other: (other.preset != variant.preset, other.setting != variant.setting),
            default=None,
        )
    first_of_preset = next(other for other in candidates if other.preset == variant.preset)
    return next((other for other in (first_of_preset, candidates[0]) if other != variant), None)


def _groups(inputs: Inputs, model: str) -> list[Panels]:
    variants = inputs.trained_of(model)
    references = {
        inputs.label(variant): inputs.label(reference)
        for variant in variants
        if (reference := reference_of(inputs, variant))
    }
    return [
        Panels(
            title=title,
            figures=training_panels(
                {inputs.label(variant): _curve(inputs, variant, column) for variant in variants},
                references,
                title,
                ceiling,
            ),
        )
        for title, column, ceiling in CURVES
    ]


def _curve(inputs: Inputs, variant: Variant, column: str) -> Curve | None:
    runs = inputs.study.runs_of(variant)
    logs = [log for run in runs if (log := inputs.train_logs.get(run.run)) is not None and len(log)]
    return training_curve(logs, column) if logs else None


SECTION = Section(order=60, id="training", title="Training", template="training.html", build=build)
