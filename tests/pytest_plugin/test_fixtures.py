"""What a test has of a system: each project's tests run in a pytest of its own."""

from __future__ import annotations

import shutil

import pytest

from tests.pytest_plugin.project import ROOT, Project, again, documented

EMULATORS = {"sabrelite": "qemu-system-arm", "pc": "qemu-system-i386", "q35": "qemu-system-x86_64"}
#: The same on every engine.
ECHO = """
    def test_echo(console, khs_system, partition):
        port = console("driver.uart3")
        port.expect("ready")
        port.sendline("hello there")
        assert port.expect("HELLO (.*)\\n", timeout="500ms")[1] == "THERE"
        assert port.unread == ""
        console("bystander").expect("period 0 at")
        assert partition("driver").mode == "normal"
        assert partition("driver").counters.hypercalls > 3
        assert khs_system.time > 0
        assert [row.name for row in khs_system.hypercalls(last=1)] != []

    def test_is_a_new_one(console, khs_system):
        assert console("driver.uart3").unread == "ready\\n"
"""


@pytest.mark.parametrize("board", EMULATORS)
def test_ports_on_unicorn(project: Project, board: str) -> None:
    project.write("test_uart.py", ECHO)
    done = project.pytest("--khs-system", "uart", "--khs-board", board)
    assert done.outcomes == {"test_echo": "passed", "test_is_a_new_one": "passed"}, done.output
    assert set(done.properties) >= {f"khs.uart.{key}" for key in ("image", "policy", "kernel")}
    assert len(done.properties["khs.uart.image"]) == 64


@pytest.mark.parametrize("board", ["sabrelite", "q35"])
def test_ports_on_qemu(project: Project, board: str) -> None:
    if shutil.which(EMULATORS[board]) is None:
        pytest.skip(f"{EMULATORS[board]} is not installed")
    project.write("test_uart.py", ECHO)
    project.write(
        "test_more.py",
        """
        import pytest

        @pytest.mark.khs_requires("memory")
        def test_memory(khs_system):
            raise AssertionError("never runs")

        def test_restart(partition):
            partition("driver").restart()

        def test_events(audit, khs_system):
            khs_system.run_for("500ms")
            assert audit.granted(src="bystander", method="Write")
        """,
    )
    done = project.pytest("--khs-system", "uart", "--khs-board", board, "--khs-engine", "qemu")
    assert done.outcomes == {
        "test_echo": "passed",
        "test_is_a_new_one": "passed",
        "test_memory": "skipped",
        "test_restart": "skipped",
        "test_events": "passed",
    }, done.output
    assert "(qemu) has not got memory" in done.output
    assert "(qemu) has not got restart" in done.output


def test_memory_and_modes(project: Project) -> None:
    """What one test does to the system, the next one does not see."""
    project.write(
        "test_memory.py",
        """
        import pytest

        BEGAN = []

        @pytest.mark.parametrize("again", [1, 2])
        def test_all(again, khs_system, partition, console):
            BEGAN.append(khs_system.time_ns)
            assert BEGAN[0] == BEGAN[-1]
            driver = partition("driver")
            address, size = driver.symbol("khs_start")
            before = driver.read_int("khs_start")
            driver.write_int("khs_start", 0x12345678, size)
            assert driver.read(address, 4) == bytes.fromhex("78563412") != before.to_bytes(4, "little")
            with pytest.raises(Exception, match="nobody may write at 0x40000000"):
                driver.write(0x40000000, b"x")
            with pytest.raises(Exception, match="nothing is mapped at"):
                driver.read(0x10, 4)
            with pytest.raises(Exception, match="no symbol nowhere"):
                driver.read("nowhere")
            other = partition("bystander")
            other.stop()
            assert (other.mode, other.counters.restarts) == ("idle", 0)
            said = console("bystander").text
            khs_system.run_for("50ms")
            assert console("bystander").text == said
            other.restart()
            khs_system.run_until(lambda: other.mode == "normal", timeout="50ms")
            assert other.counters.restarts == 1
            assert "period 0" in console("bystander").expect("period 0.*")[0]

        def test_unplugged(khs_system, console):
            console("driver.uart3").unplug()
            khs_system.run_for("10ms")
            (row,) = khs_system.health()
            assert (row.partition, row.error, row.action) == ("driver", "device-fault", "log")

        def test_snapshot(khs_system, console):
            port = console("driver.uart3")
            port.expect("ready")
            khs_system.run_for("5ms")
            here, at = khs_system.snapshot(), khs_system.time_ns
            port.send("abc")
            port.expect("ABC")
            khs_system.restore(here)
            assert khs_system.time_ns == at
            port.send("xyz")
            port.expect("^\\\\nXYZ")
            assert port.text == "ready\\nXYZ"
        """,
    )
    done = project.pytest("--khs-system", "uart")
    assert set(done.outcomes.values()) == {"passed"}, done.output


def test_decisions_and_inputs(project: Project) -> None:
    """Of this test alone; a policy of its own for another one."""
    project.write(
        "test_gateway.py",
        """
        import pytest

        @pytest.mark.khs_vtimeout("3s")
        def test_setpoint(khs_system, console, audit):
            khs_system.inject("uplink", "SET temp=350\\n")
            console("logger").expect("setpoint 350 instead of 400", timeout="200ms")
            (asked,) = audit.granted(src="gateway", dst="controller", kind="request")
            assert asked.method == "Set" and list(asked.message.values()) == [350]
            assert asked.rule.startswith("security.psl:")
            assert not audit.denied()
            khs_system.run_until(lambda: audit.granted(method="Note"), timeout="1s")

        def test_only_its_own(khs_system, audit):
            assert len(audit) == 0
            assert khs_system.time < 1

        @pytest.mark.khs_policy("quiet.psl")
        def test_other_policy(khs_system, audit):
            khs_system.run_for("100ms")
            refused = audit.denied(src="sensor", method="telemetry.Report")
            assert refused and "no rule matches" in refused[0].why
            assert not audit.granted(method="Report")

        @pytest.mark.khs_with("attack.toml")
        def test_attack(khs_system, audit, partition):
            khs_system.run_for("3s")
            asked = audit.denied(src="gateway", dst="controller", method="Set")
            assert asked and asked[0].message == {"temperature": 9999}
            assert audit.denied(src="gateway", method="Force")[0].rule == ""
            assert partition("gateway").counters.faults > 0
            assert not audit.denied(src="controller")

        @pytest.mark.khs_requires("can")
        def test_can(khs_system):
            raise AssertionError("never runs")

        def test_gpio(gpio):
            raise AssertionError("never runs")

        @pytest.mark.khs_requires("cnn")
        def test_unknown(khs_system):
            raise AssertionError("never runs")
        """,
    )
    policy = (ROOT / "images" / "iot-gateway" / "security.psl").read_text()
    rule = "request src=gateway.Sensor, interface=gateway.ITelemetry, method=Report {\n    grant ()\n}\n"
    assert rule in policy
    (project.folder / "quiet.psl").write_text(policy.replace(rule, ""))
    done = project.pytest("--khs-system", "iot-gateway")
    assert done.outcomes == {
        "test_setpoint": "passed",
        "test_only_its_own": "passed",
        "test_other_policy": "passed",
        "test_attack": "passed",
        "test_can": "skipped",
        "test_gpio": "skipped",
        "test_unknown": "error",
    }, done.output
    assert "nothing is called cnn" in done.output
    assert "has not got gpio: GPIO of a partition" in done.output


def test_time_is_over(project: Project) -> None:
    project.write(
        "test_time.py",
        """
        import pytest

        @pytest.mark.khs_vtimeout("100ms")
        def test_expect(console):
            console("driver.uart3").expect("never")

        @pytest.mark.khs_vtimeout("100ms")
        def test_run(khs_system):
            khs_system.run_for("90ms")
            khs_system.run_for("20ms")

        def test_partly(console, khs_system):
            began = khs_system.time_ns
            with pytest.raises(AssertionError, match="did not come within 12.5 ms; unread is 'ready"):
                console("driver.uart3").expect("never", timeout="12.5ms")
            assert khs_system.time_ns - began == 12_500_000
            console("driver.uart3").expect_nothing("never", during="10ms")
            with pytest.raises(AssertionError, match="'ready' came"):
                console("driver.uart3").expect_nothing("ready", during="10ms")

        def test_names(console, partition, khs_system):
            with pytest.raises(Exception, match="did you mean driver.uart3"):
                console("driver.uart2")
            with pytest.raises(Exception, match="did you mean driver?"):
                partition("drivers")
            with pytest.raises(Exception, match="has no input"):
                console("bystander").send("x")
            with pytest.raises(Exception, match="no known unit"):
                khs_system.run_for("5 hours")
            with pytest.raises(Exception, match="has no input uplink"):
                khs_system.inject("uplink", "x")
        """,
    )
    done = project.pytest("--khs-system", "uart")
    assert done.outcomes == {
        "test_expect": "failure",
        "test_run": "failure",
        "test_partly": "passed",
        "test_names": "passed",
    }, done.output
    assert "'never' did not come within 100 ms" in done.output
    assert "the test's virtual time, 100 ms, is over" in done.output


def test_configuration_and_other_systems(project: Project) -> None:
    (project.folder / "pytest.ini").write_text(
        "[pytest]\nkhs_system = system\nkhs_board = q35\nkhs_vtimeout = 200ms\nkhs_boot = 0ms\n"
    )
    shutil.copytree(ROOT / "images" / "uart", project.folder / "system")
    project.write(
        "test_ini.py",
        """
        import pytest

        def test_ini(khs_system):
            assert str(khs_system) == "uart on q35 (unicorn)"
            assert khs_system.time_ns == 0
            assert khs_system.vtimeout_ns == 200_000_000

        @pytest.mark.khs_system("iot-gateway")
        def test_marker(khs_system):
            assert str(khs_system) == "iot-gateway on q35 (unicorn)"

        @pytest.mark.parametrize("khs_system", ["iot-gateway", "uart"], indirect=True)
        def test_parameter(khs_system):
            assert str(khs_system).startswith(("iot-gateway on", "uart on"))
        """,
    )
    done = project.pytest()
    assert len(done.outcomes) == 4
    assert set(done.outcomes.values()) == {"passed"}, done.output


def test_no_system_no_test(project: Project) -> None:
    project.write("test_none.py", "def test_it(khs_system): ...")
    assert project.pytest().outcomes == {"test_it": "skipped"}
    done = project.pytest("--khs-system", "uarts")
    assert (done.code, done.outcomes) == (4, {})
    assert "did you mean 'uart'?" in done.output


def test_plants(project: Project) -> None:
    project.write(
        "vessel.py",
        """
        from khs.hil import Plant

        class Vessel(Plant):
            def __init__(self):
                self.heat, self.gain = 0.0, 0.5

            def step(self, dt):
                self.heat += self.gain * dt
        """,
    )
    project.write(
        "bench.toml",
        """
        format = 1
        [bench]
        system = "iot-gateway"
        [plant.vessel]
        python = "vessel.py"
        [plant.vessel.outputs]
        heat = { region = "plant", offset = 0, type = "u32", scale = 0.001 }
        """,
    )
    project.write(
        "test_plant.py",
        """
        import pytest

        @pytest.mark.parametrize("again", [1, 2])
        def test_heats(again, khs_system, plant):
            vessel = plant("vessel")
            steps = vessel.steps
            khs_system.run_for("200ms")
            assert vessel.steps == steps + 10
            assert vessel["heat"] == pytest.approx(0.5 * 0.02 * vessel.steps)
            vessel["heat"] = 0.9
            khs_system.run_for("20ms")
            assert vessel["heat"] == pytest.approx(0.91)
            with pytest.raises(Exception, match="no variable cold"):
                vessel["cold"]

        def test_fails(khs_system, plant):
            khs_system.run_for("200ms")
            plant("vessel")["heat"] = 0.5
            khs_system.run_for("200ms")
            raise AssertionError
        """,
    )
    done = project.pytest("--khs-bench", "bench.toml")
    assert list(done.outcomes.values()) == ["passed", "passed", "failure"], done.output
    assert "equal: the trace is the recorded one" in again(done.properties["khs_replay"])
    project.write("test_plant.py", "def test_none(plant): ...")
    done = project.pytest("--khs-system", "uart")
    assert done.outcomes == {"test_none": "skipped"}
    assert "has not got plant" in done.output


def test_as_documented(project: Project) -> None:
    """Ten lines, and the command below them."""
    example = documented("python")
    assert len(example.splitlines()) == 10
    project.write("test_gateway.py", example)
    done = project.pytest("--khs-system", "iot-gateway")
    wanted = {"test_setpoint": "passed", "test_actuator_comes_back": "passed"}
    assert done.outcomes == wanted, done.output


@pytest.mark.parametrize("board", ["sabrelite", "q35"])
def test_buses(project: Project, board: str) -> None:
    """With the test as a node; without a bench all controllers are on one bus."""
    project.write(
        "test_can.py",
        """
        import pytest
        from khs.hil.testing import Frame

        @pytest.mark.parametrize("again", [1, 2])
        def test_answer(again, khs_system, can_bus):
            field = can_bus()
            field.send(Frame(0x300, b"abc"))
            assert field.expect(0x301, timeout="30ms").data == bytes(~c & 255 for c in b"abc")
            asked = field.expect(0x100, timeout="30ms")
            answer = field.expect(lambda frame: frame.id == asked.id + 1)
            assert answer in field.frames

        def test_counts(console):
            console("asker").expect("40 asked|[0-9]+ asked, [0-9]+ answered, 0 wrong, 0 lost")

        @pytest.mark.parametrize("again", [1, 2])
        def test_bus_off(again, khs_system, can_bus):
            field = can_bus()
            field.disturb(32)
            khs_system.run_until(khs_system.health, timeout="30ms")
            (told,) = khs_system.health()
            assert "can2: bus off" in told.text
            assert field.frames == [Frame(0x100, bytes(4))]  # the answer was never whole
            assert field.expect(0x101, timeout="30ms") in field.frames  # now it is

        def test_none_such(can_bus):
            with pytest.raises(Exception, match="has no CAN bus fields"):
                can_bus("fields")
            with pytest.raises(Exception, match="the bus can has no DBC"):
                can_bus().send("Status", {"Rpm": 3})

        def test_fails(can_bus, partition):
            partition("asker").restart()
            can_bus().send(Frame(0x300, b"abc"))
            can_bus().expect(0x302, timeout="40ms")
        """,
    )
    done = project.pytest("--khs-system", "can", "--khs-board", board)
    assert list(done.outcomes.values()) == ["passed"] * 6 + ["failure"], done.output
    assert "770 did not come within 40 ms; unread are" in done.output
    assert "khs console CAN can" in done.output and "301#9E9D9C" in done.output
    assert "equal: the trace is the recorded one" in again(done.properties["khs_replay"])


DBC = """VERSION ""
BU_: A B
BO_ 256 Ask: 4 A
 SG_ Number : 0|32@1+ (1,0) [0|0] "" B
BO_ 768 Other: 2 A
 SG_ Rpm : 0|16@1+ (0.5,0) [0|0] "" B
BO_ 769 OtherBack: 2 B
 SG_ Rpm : 0|16@1+ (0.5,0) [0|0] "" A
"""


def test_buses_of_a_bench(project: Project) -> None:
    (project.folder / "field.dbc").write_text(DBC)
    project.write(
        "bench.toml",
        """
        format = 1
        [bench]
        system = "can"
        [can.field]
        nodes = ["asker.can1", "answerer.can2"]
        dbc = "field.dbc"
        """,
    )
    project.write(
        "test_dbc.py",
        """
        import pytest

        def test_messages(can_bus):
            field = can_bus("field")
            field.send("Other", {"Rpm": 12.5})
            back = field.decode(field.expect("OtherBack", timeout="30ms"))
            assert back == ("OtherBack", {"Rpm": (0xFFFF - 25) * 0.5})
            assert field.decode(field.expect("Ask"))[0] == "Ask"
            with pytest.raises(Exception, match="there is no message Asks"):
                field.expect("Asks")
        """,
    )
    done = project.pytest("--khs-bench", "bench.toml")
    assert done.outcomes == {"test_messages": "passed"}, done.output


def test_pins(project: Project) -> None:
    """The driver shows pins 0 to 7, inverted, at 8 to 15, in its windows 3 ms to 5 ms."""
    project.write(
        "test_pins.py",
        """
        import pytest

        pytestmark = pytest.mark.khs_requires("gpio")

        @pytest.mark.parametrize("again", [1, 2])
        def test_follows(again, gpio, khs_system):
            pins = gpio("pins.gpio1")
            assert (pins.level(8), pins.level(0), pins.level(23)) == (True, None, None)
            began = khs_system.time_ns
            assert pins.expect(8, 1).level and khs_system.time_ns == began
            pins.set(0, True)
            assert pins.level(0) is True
            low = pins.expect(8, False, timeout="20ms")
            assert (low.pin, pins.level(8), pins.changes[-1]) == (8, False, low)
            assert 3_000_000 <= low.time_ns % 10_000_000 < 5_000_000
            here = khs_system.snapshot()
            pins.set(0, 0)
            khs_system.run_for("20ms")
            assert pins.level(8) and len(pins.changes) == 18
            khs_system.restore(here)
            khs_system.run_for("20ms")
            assert (pins.level(8), pins.level(0), len(pins.changes)) == (False, True, 17)

        def test_short(gpio):
            # A file of the bench has it for 100 us.
            pins = gpio("pins.gpio1")
            low = pins.expect(9, 0, timeout="80ms")
            assert 0 < low.time_ns - 63_100_000 < 1000
            assert [row.level for row in pins.changes if row.pin == 9] == [True, False, True]

        def test_names(gpio):
            with pytest.raises(Exception, match="has no pins pins.gpio2\\n  help: did you mean pins.g"):
                gpio("pins.gpio2")
            with pytest.raises(Exception, match="no pin 32\\n  help: 0 to 31"):
                gpio("pins.gpio1").set(32, 1)

        def test_fails(gpio):
            pins = gpio("pins.gpio1")
            pins.set(3, 1)
            pins.set(2, 1)
            pins.expect(11, 0, timeout="20ms")
            pins.expect(12, 0, timeout="20ms")
        """,
    )
    project.write("in", "63100us 1=1\n63200us 1=0\n")
    bench = '[bench]\nsystem = "devices"\n[gpio]\n"pins.gpio1" = "file:in"\n'
    project.write("bench.toml", "format = 1\n" + bench)
    done = project.pytest("--khs-bench", "bench.toml")
    wanted = ["passed"] * 4 + ["failure"]
    assert list(done.outcomes.values()) == wanted, done.output
    assert (
        "pins.gpio1: pin 12 did not become 0 within 20 ms; it is 1 since 3.000936 ms" in done.output
    )
    assert "khs console GPIO pins.gpio1" in done.output
    assert "equal: the trace is the recorded one" in again(done.properties["khs_replay"])
