"""A visitor: no rule mentions what this program tries."""

from __future__ import annotations

from pathlib import Path

from wire import Port, RefusedError


def main() -> None:
    port = Port("shop.Till", Path("interfaces"))
    for name in ("Open", "Total"):
        try:
            print(f"visitor: {name} -> {port.call('till', name)}", flush=True)
        except RefusedError as error:
            print(f"visitor: {name} -> refused: {error}", flush=True)


if __name__ == "__main__":
    main()
