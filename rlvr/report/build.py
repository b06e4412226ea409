"""The builder: reads one study, renders its sections, writes one self-contained page."""

from base64 import b64encode
from dataclasses import dataclass, fields
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rlvr.files import write_text
from rlvr.report import text
from rlvr.report.embedded import script_json
from rlvr.report.inputs import Inputs, read_inputs
from rlvr.report.section import PARTS, Section
from rlvr.report.sections import all_sections
from rlvr.report.sections.verdict import question

SCRIPTS = ("state", "table", "methods", "lines", "samples", "export", "page")
"""Files of the one script of the page, in order; each may use what those before it define."""
STYLES = ("report", "samples")
"""Files of the one style of the page, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedSection:
    """One section as it appears on the page; ``data`` is None where the script needs nothing of it."""

    part: str
    id: str
    title: str
    body: Markup
    data: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedPart:
    """One part of the page."""

    id: str
    title: str
    sections: list[RenderedSection]


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
    rendered = [found for section in all_sections() if (found := _section(section, inputs, environment))]
    parts = [
        RenderedPart(id=part, title=title, sections=[one for one in rendered if one.part == part])
        for part, title in PARTS.items()
    ]
    style = "".join(_asset(f"{name}.css") for name in STYLES)
    script = "".join(_asset(f"scripts/{name}.js") for name in SCRIPTS)
    return environment.get_template("report.html").render(
        parts=[part for part in parts if part.sections],
        data=script_json({one.id: one.data for one in rendered if one.data is not None}),
        style=Markup(style),
        script=Markup(script),
        question=question(inputs),
        policy=content_security_policy(style, script),
    )


def content_security_policy(style: str, script: str) -> str:
    """Return the policy of a page with one style and one script: nothing else loads, runs or is sent."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_source_hash(script)}'",
            f"style-src '{_source_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _source_hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (files("rlvr.report") / "templates" / name).read_text(encoding="utf-8")


def _section(section: Section, inputs: Inputs, environment: jinja2.Environment) -> RenderedSection | None:
    context = section.build(inputs)
    if context is None:
        return None
    values = {field.name: getattr(context, field.name) for field in fields(context)}
    data = values.pop("data", None)
    body = environment.get_template(f"sections/{section.template}").render(values)
    return RenderedSection(
        part=section.part, id=section.id, title=section.title, body=Markup(body), data=data
    )


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
