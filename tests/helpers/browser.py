"""A page in headless Chromium, driven through its DevTools protocol: no driver to install."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
]
TIMEOUT = 120  # seconds for one answer on a busy machine


@dataclass
class Tab:
    """One open page. ``events`` are those that the browser has sent, as (method, parameters)."""

    _out: int
    _in: int
    _session: str = ""
    _number: int = 0
    _buffer: bytes = b""
    events: list[tuple[str, dict]] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> dict:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append((answer.get("method", ""), answer.get("params", {})))
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _read(self) -> dict:
        while b"\0" not in self._buffer:
            got = os.read(self._in, 1 << 20)
            assert got, "the browser has ended"
            self._buffer += got
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a local page and wait until it has loaded."""
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri() + fragment)
        ended = time.monotonic() + TIMEOUT
        loaded = (
            f"document.readyState === 'complete' && location.href.startsWith({json.dumps(path.as_uri())})"
        )
        while not self.run(loaded):
            assert time.monotonic() < ended, f"{path} did not load"

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; not held back by the page's policy."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def complaints(self) -> list[str]:
        """Return what the browser has reported: blocked requests, errors of the script."""
        self.run("1")
        logged = [params["entry"]["text"] for method, params in self.events if method == "Log.entryAdded"]
        thrown = [
            str(params["exceptionDetails"]) for method, params in self.events if "exceptionThrown" in method
        ]
        return logged + thrown


@contextmanager
def chromium() -> Iterator[Tab]:
    """Start the browser with one empty page of 1366 x 800 pixels; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    to_browser, out = os.pipe()
    in_, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        redirect = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'  # the protocol is on descriptors 3 and 4
        process = subprocess.Popen(
            ["bash", "-c", redirect, "chromium", *command],
            pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        try:
            tab = Tab(out, in_)
            target = tab.call("Target.createTarget", url="about:blank")["targetId"]
            tab._session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                tab.call(f"{domain}.enable")
            tab.resize(1366, 800)
            yield tab
        finally:
            process.kill()
            process.wait()
            os.close(out)
            os.close(in_)
