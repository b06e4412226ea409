"""The page in a browser."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.report_page import Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def browse(path: Path, profile: Path, *options: str) -> subprocess.CompletedProcess:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--enable-logging=stderr", "--v=0", *options, "--dump-dom", path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_the_browser_has_nothing_to_complain_about(html, tmp_path):
    good, bad = tmp_path / "good.html", tmp_path / "bad.html"
    good.write_text(html)
    bad.write_text(html.replace("</body>", "<script src='https://example.org/x.js'></script></body>"))
    assert "CONSOLE" in browse(bad, tmp_path / "profile").stderr, (
        "this browser reports nothing: the test is blind"
    )
    seen = browse(good, tmp_path / "profile")
    assert "CONSOLE" not in seen.stderr
    assert "<title>Which method should one train with?" in seen.stdout  # not "owned"


def test_sorting_by_a_click_and_no_sideways_scrolling_on_a_telephone(html, tmp_path):
    path = tmp_path / "clicked.html"
    probe = """<script>
      const buttons = document.querySelectorAll("#results thead button");
      buttons[1].click();
      const table = document.querySelector("#results table");
      const rows = Array.from(table.tBodies[0].rows, (row) => row.cells[1].dataset.value);
      const sorts = Array.from(table.tHead.rows[0].cells, (cell) => cell.ariaSort);
      document.querySelectorAll("details").forEach((d) => { d.open = true; });
      const widths = [document.documentElement.scrollWidth, innerWidth];
      document.body.dataset.probe = JSON.stringify({ rows, sorts, widths });
    </script></body>"""
    path.write_text(html.replace("</body>", probe))
    seen = browse(path, tmp_path / "profile", "--window-size=380,900").stdout
    found = json.loads(Page(seen).all("body")[0]["attributes"]["data-probe"])
    values = [float(value) for value in found["rows"][:-1]]
    assert values == sorted(values, reverse=True) and found["rows"][-1] == ""
    assert found["sorts"].count("descending") == 1 and found["sorts"][1] == "descending"
    assert found["widths"][0] <= found["widths"][1] <= 500
