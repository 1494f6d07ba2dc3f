"""Writes an audit trail (its form: `kss.trail.chain`).

A record is completed when the write that carried it has returned: from then on the operating system
has it, and no end of this process loses it (with `durable`, no loss of power either: the write is
followed by fdatasync). A crash in the middle of a write leaves whole records and at most one torn
line; opening the file again takes the torn line off and says so in the next record.

The file is full when the system or `limit` says so; it is slow when a write takes longer than
`patience` seconds. A record that is not written is a lost one. Set to count, the trail goes on, and
the next record that can be written follows one that tells how many were lost. Set to stop, it
raises TrailFullError and has come to its end: what is appended after that is lost too, and told of
when the trail is closed, if there is room then.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import select
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any

from kss.errors import KssError
from kss.trail.chain import MAGIC, VERSION, ChainError, Link, seal, unseal

PATIENCE = 10.0  # seconds
_BATCH = 1 << 18  # bytes of one write, about
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class OnFull(StrEnum):
    """What happens to a record that cannot be written."""

    STOP = "stop"
    COUNT = "count"


class TrailError(KssError):
    """The audit trail cannot be written to."""


class TrailFullError(TrailError):
    """The audit trail is full or slow, and set to stop the run then."""


class Trail:
    """An audit trail that grows. `head` is the hash of the last completed record, `records` how
    many this process completed, `lost` how many it could not write; `problem` says why, or that
    the file was slow, "" if all was well. Not for several threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        begin: Mapping[str, Any] | None = None,
        on_full: OnFull = OnFull.STOP,
        limit: int | None = None,
        patience: float = PATIENCE,
        durable: bool = False,
    ) -> None:
        """Opens or makes the file; `begin`, a few facts about the run, is told in its next record.
        `limit`: bytes the file may have. Raises TrailError if it is no trail, damaged or in use.
        """
        self.path, self.on_full = path, on_full
        self.records = self.lost = 0
        self.problem = ""
        self._limit, self._patience, self._durable = limit, patience, durable
        self._unreported = 0
        self._rest = b""  # of a line that a pipe took only in part
        self._stuck = False  # the pipe took nothing last time: do not wait for it again
        self._late = ""  # a write that was late, but complete
        self._ended = False  # set to stop, and there was reason to
        self._fd, self._regular = _open(path)
        try:
            self._link, self._size, torn = self._resume()
            first = {"audit": VERSION} if self._link.seq == 0 else {}
            self.append({**first, "record": "begin", "run": dict(begin or {})})
            if torn:
                self.append({"record": "recovered", "torn": len(torn), "sha256": _sha256(torn)})
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def head(self) -> str:
        return self._link.head

    def __enter__(self) -> Trail:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; what was appended is in it. Never raises for a full one."""
        if self._fd < 0:
            return
        if self._unreported:  # perhaps there is room to tell what was lost
            with suppress(TrailFullError):
                self._append([])
        os.close(self._fd)
        self._fd = -1

    def append(self, fields: Mapping[str, Any]) -> bool:
        """Appends one record; see `append_all`."""
        return self.append_all((fields,)) == 1

    def append_all(self, records: Iterable[Mapping[str, Any]]) -> int:
        """Appends records and returns how many of them are completed.

        Raises TrailFullError if one cannot be written and the trail is set to stop; those before
        it are completed, those behind it lost.
        """
        waiting = list(records)
        if self._ended:
            self._lose(len(waiting))
            raise TrailFullError(self.problem)
        return self._append(waiting)

    def _append(self, waiting: list[Mapping[str, Any]]) -> int:
        notices = 0
        if self._unreported:
            waiting.insert(0, {"record": "lost", "lost": self._unreported})
            notices = 1
        done, why = 0, ""
        while done < len(waiting) and not why:
            count, why = self._batch(waiting[done:])
            done += count
        self.records += done
        if done and notices:
            self._unreported = 0
        if why or self._late:
            self._fail(len(waiting) - max(done, notices), why or self._late)
        return max(0, done - notices)

    def _fail(self, missing: int, why: str) -> None:
        self.problem, self._late = f"the audit trail {self.path} {why}", ""
        self._lose(missing)
        if self.on_full is OnFull.STOP:
            self._ended = True
            raise TrailFullError(self.problem)

    def _lose(self, count: int) -> None:
        self.lost += count
        self._unreported += count

    # ---- writing

    def _batch(self, records: list[Mapping[str, Any]]) -> tuple[int, str]:
        """Writes some of the records; returns how many are completed, and what kept the next one
        from it ("" if nothing did)."""
        lines: list[bytes] = []
        links, size = [self._link], 0
        for fields in records:
            line, link = seal(fields, links[-1])
            size += len(line)
            if self._limit is not None and self._size + size > self._limit:
                break
            lines.append(line)
            links.append(link)
            if size >= _BATCH:
                break
        if not lines:
            return 0, f"is full: it may have {self._limit} bytes"
        data = b"".join(lines)
        written, why = self._write(data)
        whole = data.count(b"\n", 0, written)
        if self._keep(data, written):
            whole += 1
        self._link = links[whole]
        return whole, why

    def _keep(self, data: bytes, written: int) -> bool:
        """After a write that ended within a line: takes its beginning back. A pipe cannot; then the
        rest is remembered, and the answer is yes: the line belongs to the chain."""
        end = data.rfind(b"\n", 0, written) + 1
        if self._regular:
            if end < written:
                os.ftruncate(self._fd, self._size + end)
            self._size += end
        elif end < written:
            self._rest = data[written : data.index(b"\n", written) + 1]
            return True
        return False

    def _write(self, data: bytes) -> tuple[int, str]:
        """Writes bytes; returns how many of them, and why not all (or that it took too long)."""
        began, written, why = time.monotonic(), 0, ""
        owed = len(self._rest)
        block = self._rest + data
        try:
            while written < len(block) and not why:
                if self._regular or self._ready(began):
                    written += os.write(self._fd, block[written:])
                else:
                    why = f"is slow: it took nothing for {self._patience:g} s"
            if self._durable and self._regular:
                os.fdatasync(self._fd)
        except BlockingIOError:  # someone else filled the pipe meanwhile
            why = "is slow: others write to it"
        except OSError as error:
            why = f"{'is full' if error.errno in _FULL else 'fails'}: {error.strerror}"
        self._rest = block[written:owed]
        seconds = time.monotonic() - began
        if not why and seconds > self._patience:
            self._late = f"is slow: a write took {seconds:.1f} s"
        return max(0, written - owed), why

    def _ready(self, began: float) -> bool:
        """Waits until a pipe takes more, but not beyond the patience."""
        left = 0.0 if self._stuck else self._patience - (time.monotonic() - began)
        self._stuck = not select.select([], [self._fd], [], max(0.0, left))[1]
        return not self._stuck

    # ---- going on with a file that is there

    def _resume(self) -> tuple[Link, int, bytes]:
        """Where the chain goes on, the file's size, and the torn line that was taken off."""
        if not self._regular:
            return Link(), 0, b""
        size = os.fstat(self._fd).st_size
        start = os.pread(self._fd, len(MAGIC), 0)
        if start != MAGIC[: len(start)]:
            raise TrailError(f"{self.path} is no audit trail: name another file")
        last, torn = self._tail(size)
        link = self._last(last) if last else Link()
        if torn:
            os.ftruncate(self._fd, size - len(torn))
        return link, size - len(torn), torn

    def _tail(self, size: int) -> tuple[bytes, bytes]:
        """The last whole line, b"" if there is none, and what follows it."""
        chunk = 1 << 16
        while True:
            tail = os.pread(self._fd, chunk, max(0, size - chunk))
            end = tail.rfind(b"\n") + 1
            begin = tail.rfind(b"\n", 0, max(0, end - 1)) + 1
            if chunk >= size or (begin and end):
                return tail[begin:end], tail[end:]
            chunk *= 4

    def _last(self, line: bytes) -> Link:
        try:
            record = unseal(line)
            return Link(int(record["seq"]) + 1, str(record["hash"]))
        except (ChainError, KeyError, ValueError) as error:
            raise TrailError(
                f"{self.path}: the last record does not verify ({error}): keep the file as it is"
                " and name another"
            ) from None


def _open(path: Path) -> tuple[int, bool]:
    """A descriptor that only appends, and whether it is a regular file's."""
    try:
        regular = not path.exists() or stat.S_ISREG(path.stat().st_mode)
        if not regular:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), False
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        nobody = error.errno == errno.ENXIO
        why = "nobody reads from it" if nobody else error.strerror
        raise TrailError(f"cannot write the audit trail {path}: {why}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise TrailError(f"the audit trail {path} is in use by another process") from None
    return fd, True


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
