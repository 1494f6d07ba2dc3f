"""The pytest plugin: systems as fixtures. docs/hil-pytest.md says how it is used.

It is loaded by every pytest run of an environment that KHS is installed in: nothing of KHS is
imported here before a test asks for it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    from khs.hil.testing import Audit, CanBus, Console, Gpio, Partition, PlantUnderTest, Rig, Spec
    from khs.hil.testing.failure import Kept
    from khs.hil.testing.repeat import Repeats

_RIG: pytest.StashKey[Rig] = pytest.StashKey()
_KEPT: pytest.StashKey[Kept] = pytest.StashKey()
_REPEATS: pytest.StashKey[Repeats] = pytest.StashKey()

#: Name, what it takes, what it is. Each is an option --khs-NAME and a line khs_NAME of the
#: configuration.
_SETTINGS = {
    "system": ("SYSTEM", "System under test: a folder, an archive, or a shipped system"),
    "engine": ("ENGINE", "What it runs on: unicorn, qemu, or labgrid (with --lg-env)"),
    "board": ("BOARD", "This board instead of the system's own"),
    "bench": ("BENCH", "What is around it, a bench.toml: plants, lines, models"),
    "seed": ("N", "Recorded with the run"),
    "artifacts": ("DIR", "Where failed tests leave consoles, traces and recordings"),
    "boot": ("TIME", "Virtual time that partitions have to become NORMAL before tests: 1s"),
    "vtimeout": ("TIME", "Virtual time that a test has: 10s"),
}
_NO_LABGRID = "--khs-engine labgrid: labgrid is missing, or --lg-env is"
#: What is looked at before tests begin.
_CHECKED = (*_SETTINGS, "repeat-check")
_MARKERS = (
    'khs_requires(FEATURE, ...): skip the test where there is no such: "memory", "can", ...',
    'khs_vtimeout(TIME): virtual time that the test has, such as "200ms"',
    "khs_policy(FILE): run the test under another policy, beside the test's file",
    "khs_with(FILE, ...): lay these documents over the system, beside the test's file",
    "khs_system(SYSTEM): the test's system, instead of --khs-system",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("khs", "KHS, systems under test")
    for name, (metavar, text) in _SETTINGS.items():
        choices = {"choices": ("unicorn", "qemu", "labgrid")} if name == "engine" else {}
        more: dict[str, Any] = {**choices, "metavar": metavar, "default": None, "help": text}
        group.addoption(f"--khs-{name}", dest=f"khs_{name}", **more)
        parser.addini(f"khs_{name}", text, default="")
    group.addoption(
        "--khs-gdb",
        action="store_true",
        help="Hold at each failed test with a gdb server on a free port, which is printed",
    )
    group.addoption(
        "--khs-repeat-check",
        default=None,
        metavar="N",
        help="Run each test N times; its trace must be the same each time",
    )
    parser.addini("khs_repeat_check", "As --khs-repeat-check", default="")


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getoption("khs_gdb") and (_worker(config) or config.getoption("numprocesses", None)):
        raise pytest.UsageError("--khs-gdb holds a test for you to look at: not with -n")
    if config.getoption("numprocesses", None) and any(_given(config, name) for name in _CHECKED):
        _check(config)  # workers collect, and cannot tell of it


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is asked for is looked at once, if a test has use for it."""
    users = (item for item in session.items if "khs_system" in getattr(item, "fixturenames", ()))
    user = next(users, None)
    if user is None or _worker(session.config):
        return
    _check(session.config)
    is_there = session._fixturemanager.getfixturedefs("target", user)
    if _given(session.config, "engine") == "labgrid" and not is_there:
        raise pytest.UsageError(_NO_LABGRID)


def _check(config: pytest.Config) -> None:
    from khs.errors import KhsError
    from khs.hil.testing import settings

    try:
        settings.check(lambda name: _given(config, name), lambda place: _near(config, place))
    except KhsError as error:
        raise pytest.UsageError(str(error)) from None


def _worker(config: pytest.Config) -> str:
    """Of pytest-xdist."""
    return str(getattr(config, "workerinput", {}).get("workerid", ""))


def _given(config: pytest.Config, name: str) -> str:
    return _setting(config, name.replace("-", "_"))


def _setting(config: pytest.Config, name: str) -> str:
    """Of the command line, else of the configuration; "" if neither has it."""
    given = config.getoption(f"khs_{name}")
    return str(config.getini(f"khs_{name}") if given is None else given)


def _near(config: pytest.Config, place: str) -> str:
    """A path in the configuration begins where that stands; other names are shipped systems."""
    inipath = config.inipath
    near = (config.rootpath if inipath is None else inipath.parent) / place
    return str(near) if not Path(place).exists() and near.exists() else place


# ---- systems -----------------------------------------------------------------------------------


class _Systems:
    """Those of a session, each booted once."""

    def __init__(self, config: pytest.Config, tell: Callable[[str, object], None]) -> None:
        self._config, self._tell = config, tell
        self._open: dict[Spec, Rig] = {}

    def rig(self, request: pytest.FixtureRequest) -> Rig:
        """As the test wants it, where tests begin. KhsError if it cannot be had."""
        from khs.hil.testing import Spec
        from khs.hil.testing.duration import ns

        def given(name: str) -> str:
            return _setting(self._config, name)

        system = _marked(request.node, "khs_system") or getattr(request, "param", None)
        system = system or given("system")
        vtimeout_ns = ns(_marked(request.node, "khs_vtimeout") or given("vtimeout") or "10s")
        if given("engine") == "labgrid":
            rig = self._on_target(request)
        elif not system and not given("bench"):
            pytest.skip("no system under test: --khs-system, or khs_system in the configuration")
        else:
            spec = Spec(
                _near(self._config, str(system or self._system_of_bench())),
                given("engine") or "unicorn",
                given("board") or None,
                int(given("seed")) if given("seed") else None,
                _policy(request),
                self._bench(),
                tuple(map(Path, _overlays(request))),
                ns(given("boot") or "1s"),
            )
            rig = self._opened(spec)
        rig.require(*_required(request.node))
        rig.reset()
        rig.begin(vtimeout_ns)
        return rig

    def _bench(self) -> str | None:
        given = _setting(self._config, "bench")
        return _near(self._config, given) if given else None

    def _system_of_bench(self) -> str:
        from khs.hil.bench import read

        return read(Path(self._bench() or "")).system

    def _opened(self, spec: Spec) -> Rig:
        from khs.hil.testing import opened

        if spec not in self._open:
            rig = self._open[spec] = opened(spec)
            for key, value in rig.hashes.items():
                self._tell(f"khs.{Path(spec.system).name}.{key}", value)
        return self._open[spec]

    def _on_target(self, request: pytest.FixtureRequest) -> Rig:
        from khs.hil.testing import Spec
        from khs.hil.testing.target import OnTarget

        try:
            target = request.getfixturevalue("target")
        except pytest.FixtureLookupError:
            pytest.fail(_NO_LABGRID, pytrace=False)
        key = Spec(str(target.name), "labgrid")
        if key not in self._open:
            self._open[key] = OnTarget(target, key.vtimeout_ns)
        return self._open[key]

    def close(self) -> None:
        for rig in self._open.values():
            rig.close()


def _marked(item: pytest.Item, name: str) -> Any:
    """The argument of the closest such marker."""
    marker = item.get_closest_marker(name)
    if marker is None:
        return None
    if len(marker.args) != 1:
        pytest.fail(f"{item.nodeid}: {name} takes one argument", pytrace=False)
    return marker.args[0]


def _required(item: pytest.Item) -> list[str]:
    return [str(each) for mark in item.iter_markers("khs_requires") for each in mark.args]


def _policy(request: pytest.FixtureRequest) -> str | None:
    """A file beside the test's, or a policy of the system by name."""
    name = _marked(request.node, "khs_policy")
    if name is None:
        return None
    beside = request.node.path.parent / str(name)
    return str(beside) if beside.is_file() else str(name)


def _overlays(request: pytest.FixtureRequest) -> list[str]:
    """Files beside the test's, or as they are."""
    names = [str(each) for mark in request.node.iter_markers("khs_with") for each in mark.args]
    here = request.node.path.parent
    return [str(here / name) if (here / name).is_file() else name for name in reversed(names)]


# ---- fixtures ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _khs_systems(
    pytestconfig: pytest.Config, record_testsuite_property: Callable[[str, object], None]
) -> Iterator[_Systems]:
    systems = _Systems(pytestconfig, record_testsuite_property)
    yield systems
    systems.close()


@pytest.fixture
def khs_system(request: pytest.FixtureRequest, _khs_systems: _Systems) -> Iterator[Rig]:
    """The system under test (khs.hil.testing.Rig), booted, and as no test has seen it before."""
    rig = _khs_systems.rig(request)
    request.node.stash[_RIG] = rig
    yield rig
    repeats = request.node.stash.get(_REPEATS, None)
    if repeats is not None:
        repeats.add(rig)


@pytest.fixture
def partition(khs_system: Rig) -> Callable[[str], Partition]:
    """`partition("controller")`: mode, counters, memory, restart (khs.hil.testing.Partition)."""
    return khs_system.partition


@pytest.fixture
def console(khs_system: Rig) -> Callable[[str], Console]:
    """`console("logger")`, `console("driver.uart3")`: expect and send (khs.hil.testing.Console)."""
    return khs_system.console


@pytest.fixture
def can_bus(khs_system: Rig) -> Callable[..., CanBus]:
    """`can_bus()`, `can_bus("field")`: send and expect frames (khs.hil.testing.CanBus)."""
    khs_system.require("can")
    return khs_system.can_bus


@pytest.fixture
def gpio(khs_system: Rig) -> Callable[[str], Gpio]:
    """`gpio("pins.gpio1")`: set, level and expect of pins (khs.hil.testing.Gpio)."""
    khs_system.require("gpio")
    return khs_system.gpio


@pytest.fixture
def plant(khs_system: Rig) -> Callable[[str], PlantUnderTest]:
    """`plant("drive")`: variables of a plant of --khs-bench (khs.hil.testing.PlantUnderTest)."""
    khs_system.require("plant")
    return khs_system.plant


@pytest.fixture
def audit(khs_system: Rig) -> Audit:
    """What the policy decided in this test (khs.hil.testing.Audit)."""
    return khs_system.audit


# ---- what goes wrong ---------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Generator[None, object, object]:
    __tracebackhide__ = True
    return (yield from _worded(as_told=fixturedef.argname == "khs_system"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    __tracebackhide__ = True
    return (yield from _worded())


def _worded(as_told: bool = False) -> Generator[None, object, object]:
    """What a system cannot do skips the test; `as_told`: errors of ours without our code."""
    __tracebackhide__ = True
    try:
        return (yield)
    except Exception as error:
        if "khs.errors" not in sys.modules:
            raise
        from khs.errors import KhsError
        from khs.hil.testing.errors import UnsupportedError, end_in_test

        if isinstance(error, UnsupportedError):
            raise pytest.skip.Exception(str(error), _use_item_location=True) from None
        if as_told and isinstance(error, KhsError):
            pytest.fail(str(error), pytrace=False)
        if isinstance(error, KhsError):
            end_in_test(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    rig = item.stash.get(_RIG, None)
    if rig is not None and report.failed and report.when in ("setup", "call"):
        _attach(item, rig, report)
    return report


def _attach(item: pytest.Item, rig: Rig, report: pytest.TestReport) -> None:
    from khs.hil.testing import failure

    try:
        kept = failure.keep(rig, _folder(item))
    except OSError as error:
        report.sections.append(("khs", f"nothing is kept: {error}"))
        return
    report.sections.extend(kept.sections)
    if kept.command is not None:
        item.user_properties.append(("khs_replay", kept.command))
    if kept.recording is not None and item.config.getoption("khs_gdb"):
        capture = item.config.pluginmanager.getplugin("capturemanager")
        print_ = item.config.get_terminal_writer().line
        with capture.global_and_fixture_disabled():
            print_()
            print_(f"{item.nodeid} failed: {report.longreprtext.strip().splitlines()[-1]}")
            failure.hold(kept.recording)


def _folder(item: pytest.Item) -> Path:
    """Of the test's artifacts; workers of pytest-xdist have folders of their own."""
    config = item.config
    given = _setting(config, "artifacts")
    if given:
        base = config.rootpath / given if not config.getoption("khs_artifacts") else Path(given)
        base = base.absolute() / _worker(config)
    else:
        factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined]
        base = factory.getbasetemp() / "khs"
    return base / re.sub(r"[^\w.\-]+", "-", item.nodeid).strip("-")[-200:]


# ---- repeating ---------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    times = int(_setting(item.config, "repeat_check") or 1)
    if times < 2 or "khs_system" not in getattr(item, "fixturenames", ()):
        return None
    from khs.hil.testing.repeat import Repeats

    factory: pytest.TempPathFactory = item.config._tmp_path_factory  # type: ignore[attr-defined]
    repeats = item.stash[_REPEATS] = Repeats(factory.mktemp("khs-repeat"))
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for number in range(times):
        last = number == times - 1
        if number:
            cast(Any, item)._initrequest()  # as pytest-rerunfailures does
        reports = runtestprotocol(item, log=False, nextitem=nextitem if last else item.parent)  # type: ignore[arg-type]
        if any(not report.passed for report in reports):
            break
    difference = repeats.difference(_folder(item))
    for report in reports:
        if report.when == "call" and report.passed and difference is not None:
            report.outcome, report.longrepr = "failed", difference
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
