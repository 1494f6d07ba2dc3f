"""Batches in a child process, which may die of one.

The child reads jobs from stdin and writes outcomes to stdout, a JSON document a line.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from tests.fuzz.batch import Job, Outcome, run

ROOT = Path(__file__).parents[2]
#: Seconds after which a batch hangs.
PATIENCE = 120.0
COMMAND = (sys.executable, "-m", "tests.fuzz.worker")


class Worker:
    """Runs batches one after the other, in a new child after each that died."""

    def __init__(self, command: Sequence[str] = COMMAND, patience: float = PATIENCE) -> None:
        self._command, self._patience = command, patience
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def run(self, job: Job) -> Outcome:
        """A child that dies or hangs makes an outcome that says so."""
        child = self._start()
        assert child.stdin and child.stdout
        try:
            child.stdin.write(json.dumps(asdict(job)) + "\n")
            child.stdin.flush()
            answer = self._answer(child)
        except BrokenPipeError:
            answer = ""
        if answer:
            return Outcome(**json.loads(answer))
        self._child = None
        hangs = child.poll() is None and not self._ended(child)
        child.kill()
        child.communicate()
        return Outcome(
            wrong=[
                "the host hangs" if hangs else f"the host process died: {_how(child.returncode)}"
            ]
        )

    def _start(self) -> subprocess.Popen[str]:
        if self._child is None:
            path = os.pathsep.join([str(ROOT), str(ROOT / "monitor")])
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
            )
        return self._child

    def _answer(self, child: subprocess.Popen[str]) -> str:
        assert child.stdout
        ready, _, _ = select.select([child.stdout], [], [], self._patience)
        return child.stdout.readline() if ready else ""

    @staticmethod
    def _ended(child: subprocess.Popen[str]) -> bool:
        """It closed its output: it has ended or is about to."""
        assert child.stdout
        if not select.select([child.stdout], [], [], 0)[0]:
            return False
        child.wait(10)
        return True


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return signal.Signals(-status).name


def main() -> None:
    """The child."""
    for line in sys.stdin:
        outcome = run(Job(**json.loads(line)))
        print(json.dumps(outcome.to_json()), flush=True)


if __name__ == "__main__":
    main()
