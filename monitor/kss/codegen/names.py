"""Tables of names for texts of messages to be looked up in, as vm/names.c reads them."""

from __future__ import annotations

from collections.abc import Iterable

from kss.codegen.object import to_words

NONE = 0xFFFFFFFF  # the number of a text that is no name
_HEAD, _NAME = 2, 3  # words of the table's head, and of each name


def table(names: Iterable[str]) -> list[int]:
    """The words of a table in which each name has its place as its number."""
    numbered = sorted((name.encode(), number) for number, name in enumerate(names))
    texts = [to_words(name) for name, _ in numbered]
    start = _HEAD + _NAME * len(numbered)
    entries: list[int] = []
    for (name, number), text in zip(numbered, texts, strict=True):
        entries += [number, start, len(name)]
        start += len(text)
    return [start, len(numbered), *entries, *(word for text in texts for word in text)]
