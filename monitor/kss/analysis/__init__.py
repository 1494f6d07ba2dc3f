"""What a policy means, asked from outside: who may do what to whom (`query`), where data can flow
(`flow`), what differs between two policies (`diff`), and why an event was judged as it was
(`explain`).

All but the last rest on guards: what must hold for an interaction to be granted, with constants
folded (`guard`), which are decided over ranges of values instead of single ones (`abstract`,
`search`). Of the engines they share only the typed tree and the models' own semantics.
"""
