"""Dictionaries in a state block, as vm/dictionary.c lays them out: fixed capacity, keys and values
of some words each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CLEAR_WRITES = 2
REMOVE_WRITES = 7
_USED = 0  # number of records ever used
_HEAD = 2  # words before the buckets
_HOME, _SIDES, _KEY = 0, 2, 4  # words of a record


def add_writes(key_words: int) -> int:
    """Most words that adding a key writes, but for the value."""
    return 6 + key_words


def words_of(capacity: int, key_words: int, value_words: int) -> int:
    """Words of state that a dictionary of this shape takes."""
    return _HEAD + capacity * (2 + _KEY + key_words + value_words)


def items(
    words: Sequence[int], capacity: int, key_words: int, value_words: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Keys and values, in no order that means anything. `words` starts with the dictionary."""
    first = _HEAD + 2 * capacity
    size = _KEY + key_words + value_words

    def below(link: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        at = first + (link // 2 - 1) * size
        if link % 2:
            yield from below(words[at + _SIDES])
            yield from below(words[at + _SIDES + 1])
        else:
            middle = at + _KEY + key_words
            yield tuple(words[at + _KEY : middle]), tuple(words[middle : at + size])

    for bucket in range(2 * capacity):
        link = words[_HEAD + bucket]
        used = 0 < link // 2 <= words[_USED]
        if used and words[first + (link // 2 - 1) * size + _HOME] == bucket:
            yield from below(link)
