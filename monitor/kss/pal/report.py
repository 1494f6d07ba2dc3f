"""Results of policy tests: as text, as JSON, as JUnit XML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any
from xml.etree import ElementTree

from kss.pal.cases import Case
from kss.pal.run import CaseResult, TestResult


def set_title(result: TestResult) -> str:
    at = result.set.location
    return result.set.title or f"{at.file}:{at.line}"


def test_title(result: TestResult) -> str:
    return result.test.title or f"line {result.test.location.line}"


def case_title(case: Case) -> str:
    return f'"{case.title}"' if case.title else case.text


def text(results: Iterable[TestResult]) -> Iterator[str]:
    """Lines as they come: a test each, and what is wrong with those that fail; then a summary."""
    tests = failed = cases = empty = 0
    for result in results:
        word = "ok  " if result.passed else "FAIL" if result.cases else "empty"
        empty += not result.cases
        number = len(result.cases)
        tests, failed, cases = tests + 1, failed + (not result.passed), cases + number
        of = f"{number} case{'s'[: number != 1]}"
        yield f"{word} {set_title(result)} / {test_title(result)} ({of})"
        for each in result.cases:
            if not each.passed:
                yield from _failure(each)
    without = f"; {empty} without a case" if empty else ""
    yield f"{tests - failed} of {tests} tests passed, {cases} cases{without}"


def _failure(result: CaseResult) -> Iterator[str]:
    case = result.case
    actual = result.actual or "nothing"
    at = case.location
    yield f"     {at.file}:{at.line}: {case_title(case)}: expected {case.expected}, got {actual}"
    if case.title:
        yield f"       {case.text}"
    for line in result.why:
        yield f"       {line}"


def document(results: Iterable[TestResult]) -> dict[str, Any]:
    """One JSON document; `passed` and `failed` count cases, `empty` lists tests that have none."""
    listed = list(results)
    cases = [_case(result, each) for result in listed for each in result.cases]
    passed = sum(case["passed"] for case in cases)
    empty = [_test(result) for result in listed if not result.cases]
    return {"passed": passed, "failed": len(cases) - passed, "cases": cases, "empty": empty}


def _test(result: TestResult) -> dict[str, Any]:
    at = result.test.location
    titles = {"set": set_title(result), "test": test_title(result)}
    return {**titles, "file": at.file, "line": at.line}


def _case(result: TestResult, each: CaseResult) -> dict[str, Any]:
    at = each.case.location
    return {
        "set": set_title(result),
        "test": test_title(result),
        "title": each.case.title,
        "event": each.case.text,
        "file": at.file,
        "line": at.line,
        "expected": each.case.expected,
        "actual": each.actual,
        "passed": each.passed,
        "why": list(each.why),
    }


def junit(results: Iterable[TestResult]) -> str:
    """A test suite for each set, a test case for each test. There are no times: a run depends on
    nothing but the files."""
    listed = list(results)
    root = ElementTree.Element("testsuites", _counts(listed))
    for title, group in groupby(listed, key=set_title):
        tests = list(group)
        suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(title)} | _counts(tests))
        for result in tests:
            _junit_test(suite, result)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(results: list[TestResult]) -> dict[str, str]:
    failed = sum(not result.passed for result in results)
    return {"tests": str(len(results)), "failures": str(failed), "errors": "0"}


def _junit_test(suite: ElementTree.Element, result: TestResult) -> None:
    at = result.test.location
    names = {"name": _clean(test_title(result)), "classname": _clean(set_title(result))}
    test = ElementTree.SubElement(
        suite, "testcase", names | {"file": at.file, "line": str(at.line)}
    )
    failures = [line.strip() for each in result.cases if not each.passed for line in _failure(each)]
    failures += [] if result.cases else ["the test has no case"]
    if failures:
        told = ElementTree.SubElement(test, "failure", {"message": _clean(failures[0])})
        told.text = _clean("\n".join(failures))


def _clean(words: str) -> str:
    """Without the characters that XML does not have."""
    return "".join(c if c in "\t\n" or c.isprintable() else "?" for c in words)
