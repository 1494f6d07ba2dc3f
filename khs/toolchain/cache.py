"""Build products kept by the hash of everything that went into them.

A product is a folder `<cache>/<kind>/<key>`: made under a temporary name and renamed when complete,
so that builds at the same time and builds that were killed do no harm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from khs.errors import ImageError
from khs.resources import shipped


def root() -> Path:
    """Where products are kept: KHS_CACHE, else the user's cache folder."""
    chosen = os.environ.get("KHS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "khs"


def key(parts: Iterable[str | bytes]) -> str:
    """A hash of `parts`, each with its length, so that no two lists of parts collide."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def product(kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a product: shipped, made before, or filled by `make`."""
    place = root() / kind / name
    for known in (shipped("cache") / kind / name, place):
        if known.is_dir():
            return known
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
    except OSError as error:
        raise ImageError(
            f"cannot write to the build cache {root()}: {error.strerror}\n"
            "  help: set KHS_CACHE to a folder that can be written"
        ) from error
    try:
        make(work)
        try:
            work.rename(place)
        except OSError:
            if not place.is_dir():  # else somebody made the same meanwhile
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place
