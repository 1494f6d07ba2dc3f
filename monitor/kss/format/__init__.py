"""One canonical form of policies and interface descriptions: `kss fmt`.

    mask      placeholders and tags of templates, made readable for the lexer
    roles     what the grammar knows of a token: brackets, parts, signs, wraps
    gaps      what stands between tokens: comments, line ends
    spacing   which tokens have a space between them
    layout    lines: what fits, what is broken, and how
    lines     lines as they are written, columns aligned

It works on tokens, not on the tree: comments and what the tree does not tell stay where they are.
Only white space ever changes, which is checked before a text is given back.
"""

from __future__ import annotations

from kss.errors import Findings
from kss.format import roles
from kss.format.gaps import Gaps
from kss.format.layout import Layout
from kss.format.mask import masked
from kss.grammar.tokens import tokenize
from kss.source import Source

LANGUAGES = {
    ".psl": roles.of_policy,
    ".edl": roles.of_description,
    ".cdl": roles.of_description,
    ".idl": roles.of_package,
}


def language(name: str) -> str | None:
    """The suffix that tells how a file is read (`security.psl.in` is `.psl`), None for others."""
    name = name.removesuffix(".in")
    return next((suffix for suffix in LANGUAGES if name.endswith(suffix)), None)


def format_source(source: Source, suffix: str, findings: Findings) -> str | None:
    """The text in its canonical form; None after a syntax error, which is among `findings`."""
    readable = Source(source.name, masked(source.text))
    known = LANGUAGES[suffix](readable, findings)
    if known is None:
        return None
    gaps = Gaps(source.text, readable.text, known.tokens)
    text = Layout(gaps, known).run()
    again = masked(text)
    tokens = tokenize(again, known.operators)
    same = gaps.content() == Gaps(text, again, tokens).content()
    # the halves of an arrow touch: with a space between them they are two operators
    same = same and all(tokens.starts[i + 1] == tokens.starts[i] + 1 for i in known.arrows)
    assert same, f"{source.name}: formatting would change more than white space"
    return text
