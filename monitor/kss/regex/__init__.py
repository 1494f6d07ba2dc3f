"""Regular expressions of the Regex model: a language with `&` and `!` beside `|` and `*`.

syntax       what a pattern says: sets of bytes, concatenation, |, &, !, repetition
parser       from the text of a pattern to its syntax, with located errors
positions    does a text match? (the reference interpreter)
terms        expressions in normal form, and their derivatives
automaton    patterns to one minimal deterministic automaton (the checker and the compiler)
minimise     which states of an automaton are equivalent

`positions` and `automaton` share the syntax and nothing else, so that each is the other's oracle.
"""
