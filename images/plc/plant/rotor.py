"""A rotor on magnetic bearings and its inverter: the physics of the plant, and nothing else.

Runs above two critical speeds, like every machine of its kind: on the way up and down it passes
through both, and each passage shakes it. Shaking heats one side of the rotor more than the other,
which bends it: a *thermal bow*. A bent rotor is out of balance, so the next passage shakes it more.
The bow goes by itself, in minutes or hours of a real machine; here in seconds, `straightens`.

So one passage is harmless, any number of them with rests between is, and a few in a row end with
the rotor in its casing. No momentary limit tells them apart: until the last one all readings are
such as the machine must be allowed, and the last one is faster than a brake, which leads through
the critical speeds itself.

The drive has no say in whether it may turn: a relay lets the inverter have power and holds the
brake off while `permit`, a count, goes on being counted. If it stops, or is 0, the brake falls in.
"""

from __future__ import annotations

import cmath
import math

SUBSTEP = 0.001  # s; within one, speed is taken as constant and the modes are solved exactly


class Rotor:
    """Inputs: `torque` (-1 to 1 of what the inverter can), `permit` (a count that goes on).
    Outputs: `encoder`, `pickup` (Hz, of two sensors), `vibration` (mm/s), `closed` (the relay),
    `broken`. Parameters: the others that `__init__` sets and no comment calls state."""

    def __init__(self) -> None:
        # inputs
        self.torque = 0.0
        self.permit = 0
        # outputs
        self.encoder = 0.0
        self.pickup = 0.0
        self.vibration = 0.0
        self.closed = 0
        self.broken = 0
        # parameters
        self.inertia = 0.05  # kg m2
        self.most_torque = 200.0  # N m
        self.brake = 160.0  # N m
        self.drag = 0.0025  # N m s
        self.critical_1 = 380.0  # Hz
        self.critical_2 = 660.0  # Hz
        self.damping = 16.0  # 1/s, of both modes
        self.shaking = 80.0  # mm/s2, of a straight rotor at a critical speed
        self.bowing = 0.55  # bow for each second at 1 mm/s, in straight rotors' unbalance
        self.straightens = 8.0  # s, in which a bow goes to 1/e
        self.clearance = 40.0  # mm/s at which the rotor touches its casing
        self.burst = 1500.0  # Hz
        self.hold = 0.005  # s, that the relay holds without another count
        # state
        self.speed = 0.0  # Hz
        self.bow = 0.0
        self.modes = [0j, 0j]
        self.counted = 0
        self.since = math.inf  # s since the last new count

    def step(self, dt: float) -> None:
        """Goes on by so many seconds."""
        self._relay(dt)
        count = max(1, round(dt / SUBSTEP))
        for _ in range(count):
            self._turn(dt / count)
            self._shake(dt / count)
        self.encoder = self.pickup = self.speed
        self.vibration = self._vibration()

    def _relay(self, dt: float) -> None:
        self.since = 0.0 if self.permit not in (0, self.counted) else self.since + dt
        self.counted = self.permit
        self.closed = int(self.permit != 0 and self.since < self.hold)

    def _turn(self, dt: float) -> None:
        if self.broken:
            self.speed *= math.exp(-20 * dt)
            return
        drive = max(-1.0, min(1.0, self.torque)) * self.most_torque if self.closed else -self.brake
        change = (drive - self.drag * 2 * math.pi * self.speed) / (2 * math.pi * self.inertia) * dt
        self.speed = max(0.0, self.speed + change)

    def _shake(self, dt: float) -> None:
        """Each mode as a slowly turning pointer: it is pushed by the unbalance, turns by how far
        the speed is from critical, and dies away."""
        for number, critical in enumerate((self.critical_1, self.critical_2)):
            push = self.shaking * (1 + self.bow) * min(1.0, (self.speed / critical) ** 2)
            away = complex(-self.damping, 2 * math.pi * (self.speed - critical))
            rests = -push / away
            self.modes[number] = rests + (self.modes[number] - rests) * cmath.exp(away * dt)
        vibration = self._vibration()
        self.bow += (self.bowing * vibration**2 - self.bow / self.straightens) * dt
        if vibration >= self.clearance or self.speed >= self.burst:
            self.broken = 1

    def _vibration(self) -> float:
        return 0.0 if self.broken else abs(self.modes[0]) + abs(self.modes[1])
