"""khs/core/hypercall.h: the table as the kernel reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

from khs.abi import emit_c
from khs.abi.table import Argument, Hypercall, Service, Table, is_length


def header(table: Table) -> str:
    """The whole header, freestanding C11."""
    return "\n".join(
        [
            "/* The hypercall table for the kernel's dispatcher.",
            f" * {emit_c.NOTE}. */",
            "#ifndef KHS_CORE_HYPERCALL_H",
            "#define KHS_CORE_HYPERCALL_H",
            "",
            "#include <stddef.h>",
            "#include <stdint.h>",
            "",
            '#include "config.h"',
            "",
            *emit_c.numbers(table),
            "",
            *_services(table),
            "",
            *emit_c.structs(table),
            *_arguments(table),
            "",
            *_masks(table),
            "",
            *_privileges(table),
            "",
            "#endif",
            "",
        ]
    )


def _services(table: Table) -> list[str]:
    """Endpoint and method ids of the events that hypercalls raise at the kernel's class."""
    endpoints = {service.endpoint: service.riid for service in table.services}
    riids = [
        (f"KHS_RIID_{_upper(endpoint.partition('.')[0])}", f"{riid}u", endpoint)
        for endpoint, riid in endpoints.items()
    ]
    mids = [
        (_mid(service), f"{service.mid}u", f"{service.endpoint}.{service.method}")
        for service in table.services
    ]
    return [
        "/* Kernel services as security events: endpoint ids in class kl.core.Core, method ids. */",
        *emit_c.defines(riids),
        *emit_c.defines(mids),
    ]


def _mid(service: Service) -> str:
    component = service.endpoint.partition(".")[0]
    return f"KHS_MID_{_upper(component)}_{_upper(service.method)}"


def _upper(name: str) -> str:
    """SET_MODE for SetMode."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def _arguments(table: Table) -> list[str]:
    rows = [f"    [{emit_c.macro(row)}] = {len(row.arguments)}," for row in table.hypercalls]
    return [
        "/* Arguments of each hypercall. */",
        "static const uint8_t khs_hypercall_arguments[KHS_HYPERCALLS] = {",
        *rows,
        "};",
    ]


def _masks(table: Table) -> list[str]:
    values = {row: {a for a in row.arguments if a.kind == "u32"} for row in table.hypercalls}
    lengths = {row: {a for a in row.arguments if is_length(row, a)} for row in table.hypercalls}
    return [
        "/* Which arguments have 32 bits, a bit each, and which of those are lengths. */",
        *_mask("khs_hypercall_values", values),
        *_mask("khs_hypercall_lengths", lengths),
    ]


def _mask(name: str, chosen: Mapping[Hypercall, Set[Argument]]) -> list[str]:
    rows = []
    for row, arguments in chosen.items():
        bits = sum(1 << n for n, each in enumerate(row.arguments) if each in arguments)
        rows += [f"    [{emit_c.macro(row)}] = {bits:#x},"] if bits else []
    return [f"static const uint8_t {name}[KHS_HYPERCALLS] = {{", *rows, "};"]


def _privileges(table: Table) -> list[str]:
    rows = [
        f"    [{emit_c.macro(row)}] = KHS_PRIV_{row.privilege.replace('-', '_').upper()},"
        for row in table.hypercalls
        if row.privilege
    ]
    return [
        "/* The privilege a hypercall needs, a bit of enum khs_privilege; 0 = none. */",
        "static const uint8_t khs_hypercall_privilege[KHS_HYPERCALLS] = {",
        *rows,
        "};",
    ]
