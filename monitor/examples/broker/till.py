"""The till: takes what it is told to take."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from wire import Port


def main() -> None:
    port, receipts, total = Port("shop.Till", Path("interfaces")), 0, 0
    while True:
        call = port.next_call()
        if call.method.name == "Open":
            port.answer(call)
        elif call.method.name == "Total":
            port.answer(call, cents=total)
        elif call.values["customer"] == "nobody":
            port.answer(call, error=True, why=1)
        else:
            receipts, total = receipts + 1, total + call.values["cents"]
            port.answer(call, receipt=receipts)


if __name__ == "__main__":
    with suppress(EOFError):
        main()
