"""Policy tests (PAL): sets of tests that stand in policy files, checked and run.

cases    what a test is, after its names are looked up
check    from syntax to cases, with findings
values   the messages that cases send
run      judges the cases on the engines
report   results as text, JSON and JUnit XML
"""

from __future__ import annotations
