"""The clerk: works, and sometimes tries what the policy does not allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wire import Port, RefusedError


def main() -> None:
    port = Port("shop.Till", Path("interfaces"))

    def ask(name: str, **values: Any) -> None:
        shown = ", ".join(f"{key}={value}" for key, value in values.items())
        try:
            answer = port.call("till", name, **values)
            told = ", ".join(f"{key} {value}" for key, value in answer.items()) or "done"
        except RefusedError as error:
            told = f"refused: {error}"
        except ValueError as error:
            told = f"error: {error}"
        print(f"clerk: {name}({shown}) -> {told}", flush=True)

    ask("Charge", cents=995, customer="Mr. Early")
    ask("Open", cashier="Ada")
    ask("Charge", cents=995, customer="Mrs. Grey")
    ask("Charge", cents=5_000_000, customer="Mrs. Grey")
    ask("Charge", cents=100, customer="")
    ask("Charge", cents=100, customer="nobody")
    ask("Total")


if __name__ == "__main__":
    main()
