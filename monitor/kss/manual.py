"""The generated part of docs/policy.md: the table of findings.

`python -m kss.manual docs/policy.md` brings the file up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kss.rules import RULES

BEGIN, END = "<!-- findings: generated -->\n", "<!-- end of findings -->\n"


def findings() -> str:
    """A row a rule."""
    rows = [f"| {rule} | {text} |\n" for rule, text in RULES.items()]
    return "| rule | finding |\n|---|---|\n" + "".join(rows)


def updated(text: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page has no {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{BEGIN}{findings()}{END}{after}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(updated(page.read_text("utf-8")), "utf-8")
