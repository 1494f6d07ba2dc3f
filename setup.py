"""Builds the wheel: a platform wheel that carries the native libraries and everything shipped.

    khs/_lib/libkhs.so, kss/_lib/libkss.so     built by scripts/build_native.py
    khs/_data/boards, partitions, images, docs copied
    khs/_data/khs/core, monitor/vm, boards     what firmware is built from, as in the project
    khs/_data/cache                            the shipped systems' programs and firmware,
                                               prebuilt, so that they run without a cross compiler

An editable install needs none of this: the files are used where they are.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
DATA = ("boards", "partitions", "images", "docs", "khs/core", "monitor/examples", "monitor/vm")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "monitor/README.md")  # for docs
PACKAGE_FILES = (
    *("*.toml", "*.idl", "*.cdl", "*.edl", "*.psl", "*.model", "*.xml", "*.gdb"),
    *("*.css", "*.js", "*.tcss"),
    "py.typed",
)
LIBRARIES = (("khs/_lib", "khs/_lib"), ("monitor/kss/_lib", "kss/_lib"))
IGNORED = shutil.ignore_patterns("__pycache__", "*.o", "*.khs", "*.fmu", ".*")


class BinaryDistribution(Distribution):
    def has_ext_modules(self) -> bool:
        return True


class BuildPy(build_py):
    """Python files as usual, then the rest."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib)
        subprocess.run([sys.executable, "scripts/build_native.py"], cwd=ROOT, check=True)
        for source, place in LIBRARIES:
            for library in (ROOT / source).glob("*.so"):
                copy(library, target / place / library.name)
        for folder, package in (("khs", "khs"), ("monitor/kss", "kss")):
            for pattern in PACKAGE_FILES:
                for path in (ROOT / folder).rglob(pattern):
                    copy(path, target / package / path.relative_to(ROOT / folder))
        templates = ROOT / "khs/new/templates"
        if templates.is_dir():
            copy_tree(templates, target / "khs/new/templates")
        for name in DATA:
            copy_tree(ROOT / name, target / "khs/_data" / name)
        for name in PAGES:
            copy(ROOT / name, target / "khs/_data" / name)
        prebuild(target)
        count_lines(target)


class BdistWheel(bdist_wheel):
    """Runs on any Python 3.11+: the libraries do not use Python's own interface."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def copy_tree(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=IGNORED)


def prebuild(target: Path) -> None:
    """Programs of the shipped systems, and firmware; none without a cross compiler."""
    cache = target / "khs/_data/cache"
    shutil.rmtree(cache, ignore_errors=True)
    subprocess.run([sys.executable, "scripts/prebuild.py", str(cache)], cwd=ROOT, check=True)


def count_lines(target: Path) -> None:
    """How many lines one has to trust; not all sources are in the wheel."""
    sys.path.insert(0, str(ROOT))
    spec = importlib.util.spec_from_file_location("lines", ROOT / "khs/image/lines.py")
    assert spec is not None
    assert spec.loader is not None
    lines = importlib.util.module_from_spec(spec)
    sys.modules["lines"] = lines
    spec.loader.exec_module(lines)  # by itself: khs.image needs packages that a build may lack
    text = json.dumps(lines.count_project(ROOT), indent=1) + "\n"
    (target / "khs/image/trusted_lines.json").write_text(text, encoding="utf-8")


setup(
    distclass=BinaryDistribution,
    cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel},
)
