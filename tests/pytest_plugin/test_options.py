"""Options that no test could have are told once, before any begins."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.project import Project

TESTS = """
    def test_one(khs_system): ...
    def test_two(khs_system): ...
"""
WRONG = [
    (("--khs-system", "uatr"), "--khs-system uatr: uatr: no folder", "did you mean 'uart'?"),
    (("--khs-board", "sabrelight"), "--khs-board sabrelight: ", 'no board "sabrelight"'),
    (("--khs-seed", "x"), "--khs-seed x: not a number", ""),
    (("--khs-vtimeout", "soon"), '--khs-vtimeout soon: "soon" is not a time', "help: "),
    (("--khs-boot", "1"), "--khs-boot 1: ", "help: "),
    (("--khs-bench", "none.toml"), "--khs-bench none.toml: ", ""),
    (("--khs-artifacts", "/dev/null/x"), "no folder can be made in /dev/null", ""),
    (("--khs-repeat-check", "0"), "--khs-repeat-check 0: not a number from 1 on", ""),
    (("--khs-repeat-check", "2", "--khs-engine", "qemu"), "qemu does not do the same each", ""),
]


@pytest.mark.parametrize(
    ("options", "told", "more"), WRONG, ids=[row[0][0] + row[0][1] for row in WRONG]
)
def test_usage(project: Project, options: tuple[str, ...], told: str, more: str) -> None:
    project.write("test_it.py", TESTS)
    done = project.pytest("--khs-system", "uart", *options)
    assert (done.code, done.outcomes) == (4, {}), done.output
    assert done.output.count(told) == 1 and more in done.output, done.output
    assert "Traceback" not in done.output and "INTERNALERROR" not in done.output


def test_of_the_configuration_and_with_workers(project: Project) -> None:
    project.write("test_it.py", TESTS)
    project.write("pytest.ini", "[pytest]\nkhs_system = uart\nkhs_engine = quemu\n")
    for options in ((), ("-p", "xdist", "-n", "2")):
        done = project.pytest(*options)
        assert (done.code, done.output.count("--khs-engine quemu: one of")) == (4, 1), done.output


def test_nobody_elses_tests_are_stopped(project: Project) -> None:
    project.write("test_it.py", "def test_other(): ...")
    done = project.pytest("--khs-system", "uatr", "--khs-seed", "x")
    assert (done.code, done.outcomes) == (0, {"test_other": "passed"})


def test_what_cannot_be_kept_costs_no_result(project: Project) -> None:
    """The folder went away during the session."""
    project.write(
        "test_it.py",
        """
        def test_fails(khs_system, tmp_path_factory):
            with open("kept", "w"): ...
            raise ValueError

        def test_passes(khs_system): ...
        """,
    )
    done = project.pytest("--khs-system", "uart", "--khs-artifacts", "kept")
    assert done.outcomes == {"test_fails": "failure", "test_passes": "passed"}, done.output
    assert "nothing is kept: " in done.output and "ValueError" in done.output


def test_patterns(project: Project) -> None:
    project.write("test_it.py", "def test_it(console): console('driver.uart3').expect('(')")
    done = project.pytest("--khs-system", "uart")
    assert done.outcomes == {"test_it": "failure"}
    assert "KhsError: '(' is no regular expression: missing )" in done.output
    assert "_parser.py" not in done.output
