"""What MkDocs needs beside Markdown: pages that are kept elsewhere, and links to files that are not pages."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "README.md": "index.md",
    "config/README.md": "configuration.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "reports/example.html": "example.html",
}
"""Files of the repository outside `docs/` -> where the site has them."""
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\((?P<target>[^)\s]+)\)")
REQUEST = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\ssrc=["']?(?:https?:)?//[^\s>]*"""
    r"""|<link\b[^>]*rel=["']?(?:stylesheet|preconnect|preload)[^>]*(?:https?:)?//[^\s>]*"""
)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that are kept elsewhere."""
    for source, target in ELSEWHERE.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Point links at the site where it has their target; of a link to a source file, only the text stays."""
    sites = {site: source for source, site in ELSEWHERE.items()}
    here = page.file.src_uri
    source = sites.get(here, f"docs/{here}")
    code: list[str] = []

    def keep(match: re.Match[str]) -> str:
        code.append(match[0])
        return f"\0{len(code) - 1}\0"

    def rewrite(match: re.Match[str]) -> str:
        text = LINK.sub(rewrite, match["text"])
        path, _, anchor = match["target"].partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return f"{match['image']}[{text}]({match['target']})"
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        site = ELSEWHERE.get(wanted, wanted.removeprefix("docs/") if wanted.startswith("docs/") else None)
        if site is None and (ROOT / wanted).exists():
            return text
        target = posixpath.relpath(site or wanted, posixpath.dirname(here) or ".")
        return f"{match['image']}[{text}]({target}{'#' if anchor else ''}{anchor})"

    rewritten = LINK.sub(rewrite, CODE.sub(keep, markdown))
    return re.sub("\0(\\d+)\0", lambda match: code[int(match[1])], rewritten)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Refuse a page that would load something from elsewhere."""
    if request := REQUEST.search(output):
        raise PluginError(f"{page.file.src_uri} loads from another server: {request[0]}")
    return output
