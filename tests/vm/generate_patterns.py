"""Random patterns over few characters, so that they match often; and texts for them."""

from __future__ import annotations

from random import Random

ATOMS = ["a", "b", "r", "e", ".", "[ab]", "[^a]", "[a-e]", "[^b-r]", r"\.", r"\ ", "()", "red"]
COUNTS = ["*", "+", "?", "{2}", "{0,1}", "{1,2}", "{2,}", "{0}"]
TEXTS = ["", "a", "ab", "ba", "red", "rr", "e", "aab", ". ", "bred", "é", "\x7f"]


def pattern(rng: Random, depth: int, boolean: bool = True) -> str:
    """A pattern; without `&` and `!` unless `boolean`, so that Python's `re` can read it too."""
    if depth == 0 or rng.random() < 0.25:
        return rng.choice(ATOMS)
    kinds = ["then"] * 4 + ["or"] * 3 + ["count"] * 3 + (["not", "and"] if boolean else [])
    inner = pattern(rng, depth - 1, boolean)
    match rng.choice(kinds):
        case "then":
            return inner + pattern(rng, depth - 1, boolean)
        case "or":
            return f"({inner}|{pattern(rng, depth - 1, boolean)})"
        case "and":
            return f"({inner}&{pattern(rng, depth - 1, boolean)})"
        case "not":
            return f"!({inner})"
        case _:
            return f"({inner}){rng.choice(COUNTS)}"


def text(rng: Random) -> bytes:
    """Short, of the characters that patterns are made of."""
    if rng.random() < 0.3:
        return rng.choice(TEXTS).encode()
    return bytes(rng.choices(b"abre. \xff", weights=[4, 3, 3, 2, 1, 1, 1], k=rng.randint(0, 7)))
