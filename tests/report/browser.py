"""Chromium without a window, spoken to through its debugging pipe."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

_PATIENCE = 60  # seconds for one answer


class Browser:
    """A page in it. Everything that the page says on its console or asks of the network is kept."""

    def __init__(self, program: str, page: Path) -> None:
        # Its own children may still write there when it has ended.
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self.logged: list[str] = []
        self.asked: list[str] = []
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        arguments += ["--disable-background-networking", "--window-size=1280,900"]
        shell = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"'
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                shell,
                "bash",
                program,
                *arguments,
                f"--user-data-dir={self._home.name}",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.open(page)

    def open(self, page: Path) -> None:
        """Loads a file."""
        self.send("Page.navigate", url=page.as_uri())
        while not self.evaluate(
            "document.readyState === 'complete' && location.protocol === 'file:'"
        ):
            pass

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def settle(self) -> None:
        """Lets the page handle the events that are under way."""
        self.wait("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def wait(self, promise: str) -> None:
        """Until it is kept."""
        told = self.send("Runtime.evaluate", expression=promise, awaitPromise=True)
        assert "exceptionDetails" not in told, told

    def key(self, key: str) -> None:
        """Presses a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, x: float, y: float) -> None:
        """Clicks at a place of the view."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def theme(self, name: str) -> None:
        """`light` or `dark`; the page has been told when this returns, for its listener is older."""
        self.evaluate(
            f"themed = new Promise(done => {{ query = matchMedia('(prefers-color-scheme: {name})');"
            " if (query.matches) done(); else query.addEventListener('change', () => done()) })"
            " && null"
        )
        self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": name}],
        )
        self.wait("themed")

    def screenshot(self) -> bytes:
        """The view as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks, and waits for the answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == number:
                assert "error" not in told, told
                return dict(told["result"])
            self._happened(told)

    def _happened(self, told: dict[str, Any]) -> None:
        method, params = told.get("method"), told.get("params", {})
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.logged.append(json.dumps(params))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], _PATIENCE)
            part = os.read(self._in, 1 << 20) if ready else b""
            assert part, "the browser does not answer"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        self._process.wait()
        self._home.cleanup()
