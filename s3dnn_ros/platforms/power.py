"""What a Jetson draws, by its INA3221 and INA238 sensors, and the energy that comes of it."""

from __future__ import annotations

import collections
import dataclasses
import logging
import math
from typing import Dict, List, Optional, Tuple

from s3dnn_ros.base.once import OnceLogger
from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.sysfs import Sysfs

_LOG = logging.getLogger(__name__)
TOTAL = 'total'
_IIO = 'sys/bus/i2c/drivers/ina3221x/*/iio:device*'
_HWMON = 'sys/class/hwmon/hwmon*'
# No module draws as much: whatever tells more is garbage.
_MOST_MW = 1e6
# Rails whose sum is all that the module draws; the first set that the board has counts.
_TOTALS = (
    ('VDD_IN',),
    ('POM_5V_IN',),     # Nano
    ('VIN',),           # Thor: the INA238 of its carrier board
    ('GPU', 'CPU', 'SOC', 'CV', 'VDDRQ', 'SYS5V'),
    ('VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0'),
)


@dataclasses.dataclass(frozen=True)
class Rail:
    """A measured supply: its power in mW, or its voltage in mV and its current in mA."""

    name: str
    files: Tuple[str, ...]


def find_rails(files: Sysfs) -> List[Rail]:
    """Return the rails by name: of JetPack 4 (iio) or JetPack 5 and later (hwmon).

    A device that does not tell whether it is their sensor is reported and left out.
    """
    rails = []
    for label in files.find(f'{_IIO}/rail_name_*'):
        folder, _, channel = label.rpartition('/rail_name_')
        rails += _rail(files, label, f'{folder}/in_power{channel}_input')
    for folder in files.find(_HWMON):
        sensor = _sensor(files, folder)
        if sensor == 'ina238':
            # its one rail is named by the whole device; 1 is the bus, and 0 the shunt
            rails += _rail(files, f'{folder}/label', f'{folder}/in1_input',
                           f'{folder}/curr1_input')
        if sensor != 'ina3221':
            continue
        for label in files.find(f'{folder}/in*_label'):
            channel = label[len(f'{folder}/in'):-len('_label')]
            rails += _rail(files, label, f'{folder}/in{channel}_input',
                           f'{folder}/curr{channel}_input')
    return rails


class PowerMeter:
    """Reads the rails. One that cannot be read is left out, reported once, and counted.

    Parameters
    ----------
    files : Sysfs

    """

    def __init__(self, files: Sysfs):
        self._files = files
        self._log_once = OnceLogger(_LOG)
        self._rails = find_rails(files)
        names = {rail.name for rail in self._rails}
        self._parts = next((parts for parts in _TOTALS if names.issuperset(parts)), ())
        self.failures = collections.Counter()   # by rail

    @property
    def knows_total(self) -> bool:
        """Tell whether the board has rails whose sum is all that it draws."""
        return bool(self._parts)

    def rails_mw(self) -> Dict[str, float]:
        """Return what each rail draws now."""
        rails_mw = {}
        for rail in self._rails:
            try:
                rails_mw[rail.name] = self._read_mw(rail)
            except PlatformError as error:
                self.failures[rail.name] += 1
                self._log_once.warning(rail.name, f'power rail {rail.name} is left out: {error}')
        return rails_mw

    def total_mw(self, rails_mw: Dict[str, float]) -> Optional[float]:
        """Return what the module draws as a whole; None if a rail is missing for that."""
        if not self._parts or any(name not in rails_mw for name in self._parts):
            return None
        return sum(rails_mw[name] for name in self._parts)

    def _read_mw(self, rail):
        values = [self._number(name) for name in rail.files]
        # mV times mA is µW
        power_mw = values[0] if len(values) == 1 else values[0] * values[1] / 1e3
        if power_mw > _MOST_MW:
            raise PlatformError(self._files.path(rail.files[0]), f'tells of {power_mw / 1e3:.3g} '
                                "W, which no board draws; see the sensor's driver")
        return power_mw

    def _number(self, name):
        text = self._files.text(name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0.0 <= value < math.inf:
            raise PlatformError(self._files.path(name), f"'{text}' is no power, voltage or "
                                "current; see the sensor's driver")
        return value


class EnergyCounter:
    """Adds up energy in mJ from samples of power, by the trapezoid rule, for each name.

    A name that is missing for some samples goes straight from the last one to the next.
    """

    def __init__(self):
        self._last: Dict[str, Tuple[float, float]] = {}
        self.energy_mj: Dict[str, float] = {}

    def add(self, now_s: float, powers_mw: Dict[str, float]):
        """Take samples of this moment; moments before the last one add nothing."""
        for name, power_mw in powers_mw.items():
            last_s, last_mw = self._last.get(name, (now_s, power_mw))
            step_mj = max(now_s - last_s, 0.0) * (last_mw + power_mw) / 2
            self.energy_mj[name] = self.energy_mj.get(name, 0.0) + step_mj
            self._last[name] = (now_s, power_mw)


class PowerSampler:
    """Adds up the energy since it was made, by a sample of all rails whenever it is asked.

    Parameters
    ----------
    meter : PowerMeter
    clock : Clock
        Tells the samples' times.

    """

    period_s = 0.1      # what a rail draws between two samples nobody sees

    def __init__(self, meter: PowerMeter, clock):
        self._meter = meter
        self._clock = clock
        self._counter = EnergyCounter()
        self._total_mw: Optional[float] = None
        self._sample()

    def energy_mj(self) -> Optional[float]:
        """Return what the module has used up to now; None if its total was never known."""
        self._sample()
        return self._counter.energy_mj.get(TOTAL)

    def power_mw(self) -> Optional[float]:
        """Return what the module drew at the last sample; None if a rail was missing for that."""
        return self._total_mw

    def rails_mj(self) -> Dict[str, float]:
        """Return what went through each rail up to now."""
        self._sample()
        return {name: energy_mj for name, energy_mj in self._counter.energy_mj.items()
                if name != TOTAL}

    def close(self):
        """Do nothing: files are open only while they are read."""

    def _sample(self):
        powers_mw = self._meter.rails_mw()
        self._total_mw = self._meter.total_mw(powers_mw)
        if self._total_mw is not None:
            powers_mw = {**powers_mw, TOTAL: self._total_mw}
        self._counter.add(self._clock.now_s(), powers_mw)


def _sensor(files, folder):
    """Return what a device calls itself; empty if that cannot be read, which is reported."""
    name = f'{folder}/name'
    try:
        return files.text(name) if files.exists(name) else ''
    except PlatformError as error:
        _LOG.warning(f'if this is a sensor of power, its rails are left out: {error}')
        return ''


def _rail(files, label, *sources):
    try:
        name = files.text(label)
    except PlatformError:
        return []
    # 'NC' is a channel that nothing is connected to; sums have no current of their own
    known = name and name != 'NC' and all(files.exists(source) for source in sources)
    return [Rail(name, sources)] if known else []
