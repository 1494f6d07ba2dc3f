"""From text to syntax, for every language: tokens, then one parser of recursive descent each.

    tokens        words, numbers, texts and operators of a file
    parser        what the parsers share: expectations, findings, going on after a syntax error
    recovery      where to go on, and what the broken declaration hides
    expressions   expressions and types of PSL; integer expressions of IDL
    psl, pal      policies and their tests
    edl, idl      classes and components; packages

A syntax error ends a declaration, not the file: parsing goes on with the next one, so that one run
tells them all. Nothing here looks a name up.
"""

from __future__ import annotations
