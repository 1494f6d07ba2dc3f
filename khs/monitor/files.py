"""Files of KasperskyOS' languages that are not (yet) those of a system: what KSS reads in them.

What is wrong with them is raised as ConfigError, with every finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kss.api import Policy, load_policy
from kss.api import load_init as kss_load_init
from kss.cgen import header_name
from kss.cgen.names import flat
from kss.errors import DescriptionError, Findings, KssError, Location
from kss.init import Connection, Init, Process
from kss.layout import Direction, Endpoint, EntityClass, Method
from kss.source import Search, Source
from kss.source import read_source as kss_read_source
from kss.template import Template

from khs.errors import ConfigError, KhsError
from khs.monitor import finding

__all__ = [
    "Connection",
    "Direction",
    "Endpoint",
    "EntityClass",
    "Init",
    "Location",
    "Method",
    "Policy",
    "Process",
    "Source",
    "flat",
    "header_name",
    "is_ours",
    "load_init",
    "load_policy_file",
    "read_source",
]


def read_source(path: Path, defines: Mapping[str, str]) -> Source:
    """A file's text, its templates expanded."""
    findings = Findings()
    source = kss_read_source(path, findings)
    source = Template(defines).expand(source, findings) if source else None
    if source is None or findings.failed:
        raise ConfigError(map(finding, findings.items))
    return source


def load_init(path: Path, defines: Mapping[str, str]) -> Init:
    """An init description; what its build would add may lack, and is noted."""
    try:
        return kss_load_init(path, defines, stub=True)
    except DescriptionError as error:
        raise ConfigError(map(finding, error.findings)) from None


def load_policy_file(path: Path, include: Iterable[Path], *, stub: bool) -> Policy:
    """A policy; with `stub`, what is not described is taken on trust."""
    try:
        return load_policy(path, include, stub=stub)
    except KssError as error:
        if not error.findings:
            raise KhsError(str(error)) from error
        raise ConfigError(map(finding, error.findings)) from None


def is_ours(name: str, suffix: str) -> bool:
    """Does KSS bring along the description of this name (`.edl`, `.cdl`, `.idl`)?"""
    return Search(()).exact(name, suffix) is not None
