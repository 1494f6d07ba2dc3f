"""khs/core/hypercall.h: the table as the kernel reads it."""

from __future__ import annotations

import re

from khs.abi import emit_c
from khs.abi.table import Hypercall, Service, Table, is_length


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
            *_rows(table),
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


def _rows(table: Table) -> list[str]:
    rows = [
        f"    X({', '.join([row.name.removeprefix('khs_'), *_row(row)])})"
        for row in table.hypercalls
    ]
    return [
        "/* Each hypercall: its number of arguments, which of them have 32 bits, which of those",
        " * are lengths (a bit each), and the privilege it needs, of enum khs_privilege. */",
        "#define KHS_HYPERCALL_ROWS(X) \\",
        *(f"{row} \\" for row in rows[:-1]),
        rows[-1],
    ]


def _row(row: Hypercall) -> list[str]:
    values = [each.kind == "u32" for each in row.arguments]
    lengths = [is_length(row, each) for each in row.arguments]
    privilege = f"KHS_PRIV_{row.privilege.replace('-', '_').upper()}" if row.privilege else "0"
    return [str(len(row.arguments)), _bits(values), _bits(lengths), privilege]


def _bits(flags: list[bool]) -> str:
    return f"{sum(1 << n for n, flag in enumerate(flags) if flag):#x}"
