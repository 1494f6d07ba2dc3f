"""The plant as an FMU: `python -m pythonfmu build -f drive_fmu.py rotor.py -d DIR` makes Drive.fmu.

plant/build.py does that and says where it lies."""

from __future__ import annotations

from pythonfmu import Fmi2Causality, Fmi2Slave, Fmi2Variability, Integer, Real
from rotor import Rotor

PARAMETERS = (
    *("inertia", "most_torque", "brake", "drag", "critical_1", "critical_2", "damping"),
    *("shaking", "bowing", "straightens", "clearance", "burst", "hold"),
)


class Drive(Fmi2Slave):
    """Wraps the rotor: the same class, variable by variable."""

    author = "KHS"
    description = "A supercritical rotor with its inverter and relay"

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rotor = Rotor()
        takes, gives, fixed = (
            {"causality": causality, "variability": variability}
            for causality, variability in (
                (Fmi2Causality.input, None),
                (Fmi2Causality.output, None),
                (Fmi2Causality.parameter, Fmi2Variability.tunable),
            )
        )
        self._offer(Real, "torque", **takes)
        self._offer(Integer, "permit", **{**takes, "variability": Fmi2Variability.discrete})
        for name in ("encoder", "pickup", "vibration"):
            self._offer(Real, name, **gives)
        for name in ("closed", "broken"):
            self._offer(Integer, name, **{**gives, "variability": Fmi2Variability.discrete})
        for name in PARAMETERS:
            self._offer(Real, name, **fixed)

    def _offer(self, kind: type, name: str, **about: object) -> None:
        self.register_variable(
            kind(
                name,
                getter=lambda: getattr(self.rotor, name),
                setter=lambda value: setattr(self.rotor, name, value),
                **about,
            )
        )

    def do_step(self, current_time: float, step_size: float) -> bool:
        self.rotor.step(step_size)
        return True
