"""The builder: reads one study, renders its sections, writes one self-contained page."""

from dataclasses import dataclass, fields
from pathlib import Path

import jinja2
from markupsafe import Markup

from rlvr.files import write_text
from rlvr.report import text
from rlvr.report.inputs import Inputs, read_inputs
from rlvr.report.sections import all_sections


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedSection:
    """One section as it appears on the page."""

    id: str
    title: str
    body: Markup


def build_report(study_manifest: Path, results: Path, resources: Path, output: Path) -> None:
    """Write the report of one study as one HTML file that makes no requests.

    The page shows what has been run so far and marks what has not. The same inputs give the same bytes.

    Args:
        study_manifest: the resolved study, ``results/STUDY/configs/study.json``.
        results: the folder ``results/STUDY``.
        resources: the folder that holds ``data/`` and ``models/``.
        output: the page to write, ``reports/STUDY.html``.

    Raises:
        UserError: an input is missing or damaged; the message names the file.
    """
    write_text(output, render(read_inputs(study_manifest, results, resources)))


def render(inputs: Inputs) -> str:
    """Return the page of one study."""
    environment = _environment(inputs)
    sections = []
    for section in all_sections():
        context = section.build(inputs)
        if context is not None:
            values = {field.name: getattr(context, field.name) for field in fields(context)}
            body = environment.get_template(f"sections/{section.template}").render(values)
            sections.append(RenderedSection(id=section.id, title=section.title, body=Markup(body)))
    return environment.get_template("report.html").render(sections=sections)


def _environment(inputs: Inputs) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rlvr.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "points", "p_value", "number", "count", "listing", "visible"):
        environment.filters[name] = getattr(text, name)
    environment.globals.update(study=inputs.study, several_models=inputs.several_models)
    return environment
