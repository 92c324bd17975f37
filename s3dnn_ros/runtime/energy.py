"""What every instance uses: the energy of an interval is of those who were busy in it."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
from typing import Callable, Dict, Iterable, Mapping, Optional

from s3dnn_ros.base.once import OnceLogger
from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms import EnergyMeter

_LOG = logging.getLogger(__name__)


class EnergySplit:
    """Deals energy out among instances, in proportion to their busy seconds (DERIVED).

    Attributes
    ----------
    of_instances_mj : dict of str to float
        What each has got.
    idle_mj : float
        What was used in intervals in which nobody was busy.

    """

    def __init__(self, instances: Iterable[str]):
        self.of_instances_mj: Dict[str, float] = dict.fromkeys(instances, 0.0)
        self.idle_mj = 0.0
        self._last_mj: Optional[float] = None
        self._last_busy_s: Mapping[str, float] = {}

    @property
    def total_mj(self) -> float:
        """Return all that was used since the first reading."""
        return self.idle_mj + sum(self.of_instances_mj.values())

    def add(self, energy_mj: float, busy_s: Mapping[str, float]):
        """Deal out what was used since the last reading; the first one only begins.

        Both readings count from any moment on, the same one every time. What goes back (a clock
        was set, a driver loaded again) counts as nothing.
        """
        if energy_mj == self._last_mj:
            return      # a GPU's counter steps now and then: the interval lasts until it does
        if self._last_mj is not None:
            self._deal_out(max(0.0, energy_mj - self._last_mj), {
                name: max(0.0, seconds - self._last_busy_s.get(name, 0.0))
                for name, seconds in busy_s.items()})
        self._last_mj, self._last_busy_s = energy_mj, busy_s

    def _deal_out(self, energy_mj, busy_s):
        all_s = sum(busy_s.values())
        if not all_s:
            self.idle_mj += energy_mj
            return
        for name, seconds in busy_s.items():
            self.of_instances_mj[name] += energy_mj * (seconds / all_s)


@dataclasses.dataclass(frozen=True)
class EnergyUse:
    """What is drawn now, and was used since the account began; NaN where nobody can tell.

    `of_instances_mj` is empty as long as nobody can tell.
    """

    power_mw: float = math.nan
    energy_mj: float = math.nan
    of_instances_mj: Mapping[str, float] = dataclasses.field(default_factory=dict)


class EnergyAccount:
    """Reads a meter in a thread of its own, and keeps the account of every instance.

    Parameters
    ----------
    meter : EnergyMeter
        It is closed at the end.
    instances : iterable of str
    busy_s : callable
        Returns for each instance the seconds in which it had work on the device, up to now.

    Attributes
    ----------
    use : EnergyUse
        As of the last reading.

    """

    def __init__(self, meter: EnergyMeter, instances: Iterable[str],
                 busy_s: Callable[[], Mapping[str, float]]):
        self.use = EnergyUse()
        self._meter = meter
        self._split = EnergySplit(instances)
        self._busy_s = busy_s
        self._log_once = OnceLogger(_LOG)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name='s3dnn-energy', daemon=True)

    def start(self):
        """Start the thread."""
        self._thread.start()

    def read(self):
        """Take one reading; what was used since the last one that succeeded is dealt out."""
        try:
            energy_mj, power_mw = self._meter.energy_mj(), self._meter.power_mw()
        except PlatformError as error:
            self._log_once.warning('meter', f'nobody can tell power and energy at times: {error}')
            energy_mj = power_mw = None
        if energy_mj is None or power_mw is None:
            self.use = dataclasses.replace(self.use, power_mw=math.nan)
            return
        self._split.add(energy_mj, self._busy_s())
        self.use = EnergyUse(power_mw, self._split.total_mj, dict(self._split.of_instances_mj))

    def close(self):
        """End the thread, and close the meter."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._meter.close()

    def _run(self):
        self.read()
        while not self._ended.wait(self._meter.period_s):
            self.read()
