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

    khs resolve images/iot-gateway --with attack.toml
    """
    from khs import config
    from khs.image.open import find_system

    document = config.resolve(
        find_system(system), overlays=common.layers(system, overlays), board=board
    )
    if as_json:
        import tomllib

        common.print_json(tomllib.loads(document))
    else:
        print(document, end="")
    return common.OK
