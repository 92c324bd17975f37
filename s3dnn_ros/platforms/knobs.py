"""What can be turned on a board: frequencies, and cores that are on or off.

A knob knows the legal order of its writes: the governor is `userspace` before a frequency is
set, and the lowest frequency is never above the highest, not even between two writes.
"""

from __future__ import annotations

import logging
import re
from typing import Dict, Iterable, Optional, Protocol, Sequence, Tuple

from s3dnn_ros.base.once import OnceLogger
from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.sysfs import Sysfs

_LOG = logging.getLogger(__name__)

CPUS = 'sys/devices/system/cpu'
EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'
EMC_CAP = 'sys/kernel/nvpmodel_emc_cap/emc_iso_cap'
Saved = Dict[str, str]      # a file's name in the knob's folder to its text


class Knob(Protocol):
    """One thing that can be turned. `kind` and `folder` are enough to find it again."""

    kind: str
    folder: str

    def values(self) -> Tuple[int, ...]:
        """Return what it can be set to, ascending; PlatformError if that is nothing."""

    def set(self, value: int) -> None:
        """Set it; only files that hold something else are written."""

    def save(self) -> Saved:
        """Return the state that `restore` wants; PlatformError if it could not be restored."""

    def restore(self, saved: Saved) -> None:
        """Write back what is not as it was saved."""


def nearest(values: Iterable[int], wanted: int) -> int:
    """Return the least value that is not below the wanted one, or else the largest."""
    values = sorted(values)
    return next((value for value in values if value >= wanted), values[-1])


class _FrequencyKnob:
    """Pins a frequency: the lowest and the highest are the same, and so is the chosen one."""

    kind = ''
    _place = re.compile('')
    _low = _high = _governor = _chosen = _offered = _governors = ''

    def __init__(self, files: Sysfs, folder: str):
        self.folder = folder
        self._files = files
        self._log_once = OnceLogger(_LOG)
        self._has_userspace: Optional[bool] = None

    def values(self):
        """Return the frequencies that the kernel offers now, ascending."""
        name = self._name(self._offered)
        return _usable(self._files, name, self._files.integers(name))

    def set(self, value):
        """Pin this frequency, or the nearest above it if it is not offered any more."""
        value = self._still_offered(value)
        if self._takes_userspace():
            self._files.write(self._name(self._governor), 'userspace')
        self._bound(value, value, self._files.write)
        # without root, devfreq's file cannot be written as it comes and goes with the governor;
        # the bounds hold the frequency all the same
        if self._takes_userspace() and self._files.may_write(self._name(self._chosen)):
            self._files.write(self._name(self._chosen), value)

    def save(self):
        """Return governor and bounds, and the frequency if it was chosen by hand."""
        saved = {file: self._files.read(self._name(file))
                 for file in (self._governor, self._low, self._high)}
        for file in (self._low, self._high):
            # a bound that is no number could not be written back in a legal order
            self._files.whole_number(self._name(file), saved[file].strip())
        if saved[self._governor].strip() == 'userspace':
            saved[self._chosen] = self._files.read(self._name(self._chosen))
        return saved

    def restore(self, saved):
        """Write back bounds, governor and frequency."""
        put = self._files.write_back
        self._bound(saved[self._low], saved[self._high], put)
        for file in (self._governor, self._chosen):
            if file in saved:
                put(self._name(file), saved[file])

    def _bound(self, low, high, put):
        names = [self._name(self._low), self._name(self._high)]
        pairs = list(zip(names, (low, high)))
        if int(high) >= self._files.integer(names[0]):
            pairs.reverse()
        for name, bound in pairs:
            put(name, bound)

    def _still_offered(self, value):
        values = self.values()
        if value in values:
            return value
        chosen = nearest(values, value)
        self._log_once.warning(value, f'{self._files.path(self.folder)}: {value} is not offered '
                                      f'any more; {chosen} is used instead')
        return chosen

    def _takes_userspace(self):
        if self._has_userspace is None:
            name = self._name(self._governors)
            self._has_userspace = (not self._files.exists(name)
                                   or 'userspace' in self._files.text(name).split())
        return self._has_userspace

    def _name(self, file):
        return f'{self.folder}/{file}'


class DevfreqKnob(_FrequencyKnob):
    """A device's frequency in Hz, as devfreq has it: the GPU's."""

    kind = 'devfreq'
    _place = re.compile(r'sys/class/devfreq/[\w.:-]+\Z')
    _low, _high = 'min_freq', 'max_freq'
    _governor, _governors = 'governor', 'available_governors'
    _chosen, _offered = 'userspace/set_freq', 'available_frequencies'


class CpufreqKnob(_FrequencyKnob):
    """The frequency in kHz of a cluster of CPU cores; `cpus` are its cores."""

    kind = 'cpufreq'
    _place = re.compile(CPUS + r'/cpufreq/policy\d+\Z')
    _low, _high = 'scaling_min_freq', 'scaling_max_freq'
    _governor, _governors = 'scaling_governor', 'scaling_available_governors'
    _chosen, _offered = 'scaling_setspeed', 'scaling_available_frequencies'

    def __init__(self, files, folder):
        super().__init__(files, folder)
        self.cpus = files.integers(self._name('related_cpus'))

    def active(self) -> bool:
        """Tell whether a core of the cluster is on; the kernel refuses writes otherwise."""
        return any(_is_online(self._files, cpu) for cpu in self.cpus)

    def restore(self, saved):
        """Write back; a cluster that is off is woken for it."""
        if self.active():
            super().restore(saved)
            return
        core = CoreKnob(self._files, f'{CPUS}/cpu{self.cpus[0]}')
        before = core.save()
        core.set(1)
        try:
            super().restore(saved)
        finally:
            core.restore(before)


class EmcKnob:
    """The memory controller's frequency in Hz, locked against the kernel's own choices."""

    kind = 'emc'
    _place = re.compile(EMC + r'\Z')

    def __init__(self, files: Sysfs, folder: str = EMC, known: Sequence[int] = ()):
        self.folder = folder
        self._files = files
        self._known = tuple(known)
        self._log_once = OnceLogger(_LOG)
        locked = f'{folder}/mrq_rate_locked'
        self._lock = 'mrq_rate_locked' if files.exists(locked) else 'state'

    def values(self):
        """Return the known frequencies within the board's bounds and cap, ascending.

        No file lists them: without known ones there are the lowest and the highest.
        """
        low = self._files.integer(f'{self.folder}/min_rate')
        high = self._files.integer(f'{self.folder}/max_rate')
        cap = self._files.integer(EMC_CAP) if self._files.exists(EMC_CAP) else 0
        if cap > 0:
            high = min(high, cap)
        within = {value for value in self._known if low <= value <= high}
        return _usable(self._files, f'{self.folder}/max_rate', within or {min(low, high), high})

    def set(self, value):
        """Set the frequency, the cap at most, and lock it."""
        highest = self.values()[-1]
        if value > highest:
            self._log_once.warning(value, (
                f'{self._files.path(self.folder)}: {value} is above what emc_iso_cap and '
                f'max_rate allow; {highest} is used instead'))
        self._files.write(f'{self.folder}/rate', min(value, highest))
        self._files.write(f'{self.folder}/{self._lock}', 1)

    def save(self):
        """Return frequency and lock."""
        return {name: self._files.read(f'{self.folder}/{name}') for name in ('rate', self._lock)}

    def restore(self, saved):
        """Write back the frequency, and then the lock."""
        for name in ('rate', self._lock):
            self._files.write_back(f'{self.folder}/{name}', saved[name])


class CoreKnob:
    """A CPU core that is on (1) or off (0)."""

    kind = 'core'
    _place = re.compile(CPUS + r'/cpu[1-9]\d*\Z')

    def __init__(self, files: Sysfs, folder: str):
        if not self._place.match(folder):
            raise PlatformError(files.path(folder), 'this core cannot be switched; the first one '
                                'always stays on')
        self.folder = folder
        self.cpu = int(folder.rsplit('cpu', 1)[1])
        self._files = files

    def values(self):
        """Return off and on."""
        return (0, 1)

    def set(self, value):
        """Switch it."""
        self._files.write(f'{self.folder}/online', value)

    def save(self):
        """Return whether it is on."""
        return {'online': self._files.read(f'{self.folder}/online')}

    def restore(self, saved):
        """Switch it back."""
        self._files.write_back(f'{self.folder}/online', saved['online'])


_KINDS = {knob.kind: knob for knob in (DevfreqKnob, CpufreqKnob, EmcKnob, CoreKnob)}


def find_knob(files: Sysfs, kind: str, folder: str) -> Knob:
    """Return the knob in this folder; PlatformError if such a knob never lies there."""
    if kind not in _KINDS or not _KINDS[kind]._place.match(folder):
        raise PlatformError(files.path(folder), f"this is not where a knob of kind '{kind}' is")
    return _KINDS[kind](files, folder)


def _usable(files, name, values) -> Tuple[int, ...]:
    """Return the frequencies above 0, ascending; PlatformError names the file if none is."""
    usable = tuple(sorted({value for value in values if value > 0}))
    if not usable:
        raise PlatformError(files.path(name), 'offers no frequency above 0; leave its knob out, '
                            'or load the driver that it belongs to')
    return usable


def _is_online(files, cpu):
    name = f'{CPUS}/cpu{cpu}/online'
    return not files.exists(name) or files.integer(name) == 1
