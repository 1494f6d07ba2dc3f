"""A drive with a speed limit, as an FMU: `python -m pythonfmu build -f drive.py` makes drive.fmu."""

from pythonfmu import Boolean, Fmi2Causality, Fmi2Slave, Fmi2Variability, Integer, Real, String

_DISCRETE = Fmi2Variability.discrete


class Drive(Fmi2Slave):
    """Its speed follows the setpoint, and never exceeds the limit. `alarm`: it would have."""

    author = "KHS"
    description = "A drive with a speed limit"

    def __init__(self, **given):
        super().__init__(**given)
        self.setpoint = 0.0
        self.speed = 0.0
        self.alarm = False
        self.steps = 0
        self.words = "stands"
        self.inertia = 0.5
        self.limit = 100.0
        self.register_variable(Real("setpoint", causality=Fmi2Causality.input))
        self.register_variable(Real("speed", causality=Fmi2Causality.output))
        self.register_variable(
            Boolean("alarm", causality=Fmi2Causality.output, variability=_DISCRETE)
        )
        self.register_variable(
            Integer("steps", causality=Fmi2Causality.output, variability=_DISCRETE)
        )
        self.register_variable(
            String("words", causality=Fmi2Causality.output, variability=_DISCRETE)
        )
        for name in ("inertia", "limit"):
            self.register_variable(
                Real(name, causality=Fmi2Causality.parameter, variability=Fmi2Variability.tunable)
            )

    def do_step(self, current_time, step_size):
        self.steps += 1
        self.speed += (self.setpoint - self.speed) * min(step_size / self.inertia, 1.0)
        self.alarm = self.speed > self.limit
        self.speed = min(self.speed, self.limit)
        self.words = "turns" if self.speed else "stands"
        return self.inertia > 0
