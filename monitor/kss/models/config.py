"""Reading the `config = ...` of policy objects: constant values with located findings."""

from __future__ import annotations

from kss import syntax
from kss.errors import Findings, did_you_mean
from kss.syntax import Span


class Reader:
    """Helpers that report what is wrong and return None; one for each policy object."""

    def __init__(self, declaration: syntax.ObjectDeclaration, findings: Findings) -> None:
        self.declaration = declaration
        self.findings = findings

    def wrong(self, span: Span, message: str, help: str = "", rule: str = "PSL-062") -> None:
        self.findings.error(rule, span.at, message, help, span.text)

    def only_types(self, *names: str) -> None:
        """Reports types beside those named, and those missing or repeated."""
        model, given = self.declaration.model.value, self.declaration.types
        for item in given:
            if item.name.value not in names:
                help = did_you_mean(item.name.value, names)
                message = f"{model} has no type parameter {item.name.value}"
                self.wrong(item.name.span, message, help, "PSL-061")
        misspelt = any(item.name.value not in names for item in given)
        for name in names:
            count = sum(item.name.value == name for item in given)
            if count == 0 and not misspelt:
                message = f"{model} needs 'type {name} = ...'"
                self.wrong(self.declaration.name.span, message, f"type {name} = ...", "PSL-060")
            elif count > 1:
                self.wrong(given[-1].span, f"type {name} is given twice", "take one out", "PSL-027")

    def configuration(self) -> syntax.Expression | None:
        """The value of the one `config = ...`."""
        given = self.declaration.configurations
        if not given:
            message = f"{self.declaration.model.value} needs 'config = ...'"
            self.wrong(self.declaration.name.span, message, "config = { ... }", "PSL-060")
            return None
        if len(given) > 1:
            self.wrong(given[1].span, "config is given twice", "take one out", "PSL-027")
        return given[0].value

    def fields(self, node: syntax.Expression, *names: str) -> dict[str, syntax.Expression] | None:
        """The fields of a dictionary, all of `names` required and no others."""
        if not isinstance(node, syntax.Dict):
            self.wrong(
                node.span, "config is a dictionary", "{ " + " : ..., ".join(names) + " : ... }"
            )
            return None
        found: dict[str, syntax.Expression] = {}
        for entry in node.entries:
            if entry.key in found:
                self.wrong(entry.span, f"{entry.key} is given twice", "take one out", "PSL-027")
            elif entry.key not in names:
                help = did_you_mean(str(entry.key), names)
                self.wrong(entry.span, f"config has no field {entry.key}", help, "PSL-061")
            else:
                found[str(entry.key)] = entry.value
        missing = [name for name in names if name not in found]
        if missing:
            message = f"config lacks {', '.join(missing)}"
            self.wrong(node.span, message, f"{missing[0]} : ...", "PSL-060")
        return None if missing else found

    def integer(self, node: syntax.Expression, low: int, high: int) -> int | None:
        """An integer literal from `low` to `high`."""
        value = node.value if isinstance(node, syntax.Literal) else None
        if type(value) is not int:
            self.wrong(node.span, "an integer is needed here", f"{low} to {high}")
            return None
        if not low <= value <= high:
            self.wrong(node.span, f"{value} is out of range", f"{low} to {high}")
            return None
        return value

    def text(self, node: syntax.Expression) -> str | None:
        if isinstance(node, syntax.Literal) and isinstance(node.value, str):
            return node.value
        self.wrong(node.span, "a text is needed here", "put it in double quotes")
        return None

    def texts(self, node: syntax.Expression) -> list[tuple[str, Span]] | None:
        """A list of different texts with their places."""
        if not isinstance(node, syntax.List):
            self.wrong(node.span, "a list of texts is needed here", '["...", "..."]')
            return None
        found: list[tuple[str, Span]] = []
        for item in node.items:
            value = self.text(item)
            if value is not None and any(value == other for other, _ in found):
                self.wrong(item.span, f'"{value}" is listed twice', "take one out")
            elif value is not None:
                found.append((value, item.span))
        return found
