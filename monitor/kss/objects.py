"""Policy objects: those that nk files create and those that the policy declares."""

from __future__ import annotations

from kss import syntax
from kss.aliases import Aliases
from kss.calls import Known
from kss.codegen.objects import oversize
from kss.errors import Findings, Location, another_name, did_you_mean
from kss.loader import Loader
from kss.models import FILES, MODELS
from kss.models.model import MAX_SIDS, Model
from kss.models.record import Record
from kss.own.shipped import shipped
from kss.tree import PolicyObject
from kss.types import Type


class Objects:
    """Declares the objects in order: predeclared ones first."""

    def __init__(self, loader: Loader, main: Location, findings: Findings) -> None:
        self._findings = findings
        self.items: list[PolicyObject] = []
        self.known: dict[str, Known] = {}
        self.broken: set[str] = set()
        self._places: dict[str, Location] = {}
        self._own = loader.models
        self._lost_models = loader.lost_models
        self._models = {name for file in loader.provided for name in FILES[file]}
        for model in MODELS.values():
            if model.name in self._models and model.predeclared is not None:
                self._add(model, model.predeclared, {}, None, model.name, main)
        self._aliases = Aliases(loader.of(syntax.TypeDeclaration), findings, loader.hidden)
        for declaration in loader.of(syntax.ObjectDeclaration):
            self._declare(declaration)
        self.broken |= loader.hidden - set(self.known)
        if large := oversize(self.items, MAX_SIDS):
            findings.add(large)

    def _add(
        self,
        model: Model,
        name: str,
        types: dict[str, Type],
        config: object,
        identity: str,
        at: Location,
    ) -> None:
        index = len(self.items)
        self.items.append(PolicyObject(name, index, model.name, types, config, identity, at))
        self.known[name] = Known(index, model.name, config, types, model.signatures(types, config))

    def _declare(self, declaration: syntax.ObjectDeclaration) -> None:
        name, at = declaration.name.value, declaration.name.span.at
        if name in self.known or name in self.broken:
            message = f"there is already a policy object {name}"
            help = another_name(self._places.get(name))
            self._findings.error("PSL-020", at, message, help, name)
            return
        self._places[name] = at
        if name[0].isupper():
            message = f"the name {name} starts with an uppercase letter"
            self._findings.warning("PSL-080", at, message, name[0].lower() + name[1:], name)
        model = self._model(declaration)
        types: dict[str, Type] = {}
        for item in declaration.types:
            found = self._aliases.resolve(item.type, types)
            if found is not None:
                types[item.name.value] = found
        setup = model.configure(declaration, types, self._findings) if model else None
        if model is None or setup is None or len(types) < len(declaration.types):
            self.broken.add(name)
        else:
            self._add(model, name, types, setup.config, setup.identity, at)

    def _model(self, declaration: syntax.ObjectDeclaration) -> Model | None:
        word = declaration.model
        if word.value in self._own:
            return Record(self._own[word.value])
        model = MODELS.get(word.value)
        message = help = ""
        if model is None and word.value in shipped():
            message = f"model {word.value} is not included"
            help = f"use {shipped()[word.value]}._"
        elif model is None and self._lost_models:
            return None
        elif model is None:
            message = f"unknown model {word.value}"
            known = [m.name for m in MODELS.values() if m.declarable]
            help = did_you_mean(word.value, [*known, *self._own, *shipped()])
        elif not model.declarable and model.predeclared is None:
            message = f"unknown model {word.value}"
            help = "own models have names of their own: use MODEL._"
        elif not model.declarable:
            message = f"{model.name} objects are not declared"
            help = f"there is one: {model.predeclared}"
        elif model.name not in self._models:
            message = f"model {model.name} is not included"
            help = f"use {model.file}._"
        if message:
            self._findings.error("PSL-021", word.span.at, message, help, word.value)
            return None
        return model
