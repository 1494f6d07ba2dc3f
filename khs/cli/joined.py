"""Options of khs run about what is outside: devices, lines, buses, plants, and time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_option = partial(typer.Option, rich_help_panel="Hardware in the loop, see docs/hil.md")

Serial: TypeAlias = Annotated[
    list[str] | None,
    _option(
        metavar="PARTITION.DEVICE=URL",
        help="Join a serial port: -, file:IN,OUT or a URL of pyserial; repeatable.",
    ),
]
DeviceModels: TypeAlias = Annotated[
    list[str] | None,
    _option(metavar="PARTITION.DEVICE=FILE", help="A model of the device in Python; repeatable."),
]
Serve: TypeAlias = Annotated[
    str | None,
    _option(metavar="NAME", help="Others come to its serial ports: khs://NAME/PARTITION/DEVICE."),
]
Gpio: TypeAlias = Annotated[
    list[str] | None,
    _option(
        metavar="PARTITION.DEVICE=SPEC",
        help="Join pins: file:IN,OUT or lines of a chip, gpiochip0:3=17,4=27; repeatable.",
    ),
]
BenchFile: TypeAlias = Annotated[
    Path | None,
    _option(metavar="FILE", help="A bench.toml: plants, and what devices are joined to."),
]
PaceName: TypeAlias = Annotated[
    str | None,
    _option(metavar="fast|real|outside:SOCKET", help="Default: real with live lines, else fast."),
]
MaxSlip: TypeAlias = Annotated[
    str | None,
    _option(metavar="TIME", help="A frame that ends later than that fails the run: 1ms."),
]
CanBuses: TypeAlias = Annotated[
    list[str] | None,
    _option(
        "--can",
        metavar="PARTITION.DEVICE=BUS",
        help="Join a CAN controller to a bus: a name, python-can's INTERFACE:CHANNEL, or "
        "file:IN.log; repeatable.",
    ),
]
CanLog: TypeAlias = Annotated[
    Path | None,
    _option(metavar="FILE", help="Write the frames on buses of --can to this file."),
]
