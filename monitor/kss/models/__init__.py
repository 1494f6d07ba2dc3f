"""The security models, one file each. A new one is written beside these and listed in `MODELS`."""

from __future__ import annotations

from kss.models.base import Base
from kss.models.boolean import Bool
from kss.models.flow import Flow
from kss.models.math import Math
from kss.models.model import Model
from kss.models.pred import Pred
from kss.models.structure import Struct

_ALL: tuple[Model, ...] = (Pred(), Bool(), Math(), Struct(), Base(), Flow())

MODELS: dict[str, Model] = {model.name: model for model in _ALL}

# nk.basic and nk.base imply each other: published policies rely on both readings.
_BASIC = ("Pred", "Bool", "Math", "Struct", "Base")
FILES: dict[str, tuple[str, ...]] = {
    "nk.basic": _BASIC,
    "nk.base": _BASIC,
    **{model.file: (model.name,) for model in _ALL if model.name not in _BASIC},
}

# Files of the language that hold models this version does not have.
NOT_YET: dict[str, str] = {
    file: model
    for file, model in {
        "nk.regex": "Regex",
        "nk.hashmap": "HashSet",
        "nk.staticmap": "StaticMap",
        "nk.mic": "Mic",
        "nk.rbac": "Rbac",
    }.items()
    if file not in FILES
}

# operator -> the model that it belongs to
OPERATORS: dict[str, Model] = {symbol: model for model in _ALL for symbol in model.operators}
