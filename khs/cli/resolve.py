"""khs resolve"""

from __future__ import annotations

from khs.cli import common, options


def resolve(
    system: options.System,
    board: options.Board = None,
    overlays: options.Overlays = None,
    as_json: options.Json = False,
) -> int:
    """Print the effective configuration: overlays laid over, defaults filled in.

    What is printed is a system.toml itself: nothing in it is left to a default. That of an archive
    is the one it was built with.

        khs resolve images/iot-gateway --with attack.toml
        khs resolve gateway.khs
    """
    from khs.image.open import resolve_system

    document = resolve_system(system, common.layers(system, overlays), board)
    if as_json:
        import tomllib

        common.print_json(tomllib.loads(document))
    else:
        print(document, end="")
    return common.OK
