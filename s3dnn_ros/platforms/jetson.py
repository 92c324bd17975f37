"""NVIDIA's Jetson boards: their knobs are found by name, and set one configuration at a time."""

from __future__ import annotations

import atexit
import os
import threading
from typing import List, Optional, Sequence

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms import clusters
from s3dnn_ros.platforms.base import MonotonicClock, board_of, model_of
from s3dnn_ros.platforms.guard import Guard
from s3dnn_ros.platforms.knobs import EMC, DevfreqKnob, EmcKnob
from s3dnn_ros.platforms.owner import Owner, locks_of_all, make_directory, state_directory
from s3dnn_ros.platforms.power import PowerMeter
from s3dnn_ros.platforms.space import Axis, ConfigurationSpace, Steps, hz_axis, thin
from s3dnn_ros.platforms.sysfs import Sysfs, mend

KNOBS = ('gpu', 'emc', 'cpu', 'cores')
_COMPATIBLE = 'sys/firmware/devicetree/base/compatible'
_TEGRA_GPUS = ('gp10b', 'gv11b', 'ga10b')
_TX2 = 'tegra186'
_TX2_CLUSTERS = {0: 'a57', 1: 'denver'}
# No file lists the frequencies of the memory controller. Of boards that are not here, the lowest
# and the highest are used.
_EMC_HZ = {
    'tegra186': (204_000_000, 800_000_000, 1_062_400_000, 1_331_200_000, 1_600_000_000,
                 1_866_000_000),
    'tegra194': (204_000_000, 408_000_000, 665_600_000, 800_000_000, 1_065_600_000,
                 1_331_200_000, 1_600_000_000, 1_866_000_000, 2_133_000_000),
}


def is_jetson(root='/') -> bool:
    """Tell whether there is a Tegra's GPU with frequencies to choose from."""
    return _find_gpu(Sysfs(root)) is not None


class JetsonPlatform:
    """A Jetson whose GPU, memory, CPU frequencies and cores are set together.

    It owns the board from when it is made until `close`. Before the first `apply` nothing is
    changed; afterwards everything is restored, however the process ends. A context manager.

    Parameters
    ----------
    root : str or Path
        What lies below is the system; a fake tree for tests.
    knobs : sequence of str
        What may be set: of 'gpu', 'emc', 'cpu' (frequencies) and 'cores' (on or off).
    cpu_steps, gpu_steps, emc_steps : int or sequence, optional
        How many of the frequencies to use, or which: kHz for the CPU, Hz for GPU and memory.
    core_steps : int, optional
        How many of the sets (on a TX2, of the numbers) of cores to use.
    own : bool
        False: for looking only, without ownership; `apply` is an error.
    state_dir : str or Path, optional
        The folder of lock and saved state, for all processes on the board the same.
    clock : Clock, optional
        Times the transitions.
    files : Sysfs, optional
        In place of `root`.

    Raises
    ------
    PlatformError
        A kind of knob is not there, another process owns the board, or a file cannot be read.
    ValueError
        A kind of knob, or a step, that there cannot be.

    """

    name = 'jetson'
    immediate = False

    def __init__(self, root='/', *, knobs: Sequence[str] = KNOBS, cpu_steps: Steps = None,
                 gpu_steps: Steps = None, emc_steps: Steps = None,
                 core_steps: Optional[int] = None, own=True, state_dir=None, clock=None,
                 files=None):
        unknown = [kind for kind in knobs if kind not in KNOBS]
        if unknown:
            raise ValueError(f"knob '{unknown[0]}' is unknown; known are {', '.join(KNOBS)}")
        self._files = files or Sysfs(root)
        self._clock = clock or MonotonicClock()
        self._lock = threading.RLock()
        self._applied = {}
        self.current = None
        self.transitions = 0
        self.transition_s = 0.0
        self.board = board_of(self._files)
        self.meter = PowerMeter(self._files)
        self._owner = self._guard = None
        try:
            if own:
                self._take(state_dir)
            self.configurations = ConfigurationSpace([
                *self._gpu_axes(knobs, gpu_steps), *self._emc_axes(knobs, emc_steps),
                *self._cpu_axes(knobs, cpu_steps, core_steps)])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """Restore the board and give it away."""
        self.close()

    def apply(self, index) -> float:
        """Set the board to this configuration; return the seconds that it took.

        Only knobs that change are turned. After an error, the next call sets all of them.

        Raises
        ------
        IndexError
            There is no such configuration.
        PlatformError
            A knob cannot be turned, or the board belongs to another process.

        """
        with self._lock:
            settings = self.configurations.settings(index)
            if self._guard is None or os.getpid() != self._pid:
                raise PlatformError(self._files.root, 'this process does not own the board; make '
                                    'the platform with own=True, and use it before close()')
            if index == self.current:
                return 0.0
            begin_s = self._clock.now_s()
            self.current = None
            try:
                self._turn(settings)
            except BaseException:
                self._applied.clear()
                raise
            self.current = index
            took_s = self._clock.now_s() - begin_s
            self.transitions += 1
            self.transition_s += took_s
            return took_s

    def power_mw(self):
        """Return what the module draws now; None if nobody can tell."""
        return self.meter.total_mw(self.meter.rails_mw())

    def rails_mw(self):
        """Return what each rail draws now, by its name."""
        return self.meter.rails_mw()

    def restore(self):
        """Set the board to what it was before the first `apply`; `apply` may follow.

        Raises
        ------
        PlatformError
            A knob cannot be turned back; all others are.

        """
        with self._lock:
            self.current = None
            self._applied.clear()
            if self._guard is not None:
                self._guard.restore()

    def close(self):
        """Restore, and give the board to others; the second time nothing happens."""
        with self._lock:
            if self._owner is None or os.getpid() != self._pid:
                return
            self.restore()
            self._guard = None
            self._owner.release()
            self._owner = None
            atexit.unregister(self.close)

    def _take(self, state_dir):
        directory = state_directory(self._files.root) if state_dir is None else state_dir
        make_directory(directory)
        self._pid = os.getpid()
        self._owner = Owner(directory, f's3dnn on {model_of(self._files)}', self._clock.now_s(),
                            locks_of_all(self._files.root))
        self._guard = Guard(self._files, directory)
        atexit.register(self.close)

    def _turn(self, settings):
        cores = [knob for knob in settings if knob.kind == 'core']
        others = [knob for knob in settings if knob.kind != 'core']
        for core in sorted(cores, key=lambda core: -settings[core]):
            if self._set(core, settings[core]):
                # the kernel may have chosen anew when the cluster woke
                for knob in others:
                    if core.cpu in getattr(knob, 'cpus', ()):
                        self._applied.pop(knob, None)
        for knob in others:
            # a cluster that is off keeps what it has until it wakes
            if knob.kind != 'cpufreq' or knob.active():
                self._set(knob, settings[knob])

    def _set(self, knob, value):
        if self._applied.get(knob) == value:
            return False
        self._guard.remember(knob)
        knob.set(value)
        self._applied[knob] = value
        return True

    def _gpu_axes(self, knobs, steps) -> List[Axis]:
        if 'gpu' not in knobs:
            return []
        folder = _find_gpu(self._files)
        if folder is None:
            raise self._lacks('gpu', 'sys/class/devfreq')
        knob = DevfreqKnob(self._files, folder)
        return [hz_axis('gpu', knob, thin('gpu_steps', knob.values(), steps))]

    def _emc_axes(self, knobs, steps) -> List[Axis]:
        if 'emc' not in knobs:
            return []
        if not self._files.exists(f'{EMC}/rate'):
            raise self._lacks('emc', EMC)
        known = _EMC_HZ.get(_soc(self._files), ())
        knob = EmcKnob(self._files, EMC, known)
        return [hz_axis('emc', knob, thin('emc_steps', knob.values(), steps))]

    def _cpu_axes(self, knobs, cpu_steps, core_steps) -> List[Axis]:
        if 'cpu' not in knobs and 'cores' not in knobs:
            return []
        apart = _soc(self._files) == _TX2
        found = clusters.find_clusters(self._files, _TX2_CLUSTERS if apart else {})
        if not found:
            raise self._lacks('cpu', 'sys/devices/system/cpu/cpufreq')
        make = clusters.axes_apart if apart else clusters.axes_together
        return make(found, 'cpu' in knobs, 'cores' in knobs, cpu_steps, core_steps)

    def _lacks(self, kind, folder):
        return PlatformError(self._files.path(folder), f"nothing to set for '{kind}' is found "
                             f"here; leave '{kind}' out of knobs, or if this user may not look: "
                             + mend(folder))


def _find_gpu(files):
    for folder in files.find('sys/class/devfreq/*'):
        node = f'{folder}/device/of_node/name'
        if not files.exists(node):
            continue
        name = files.text(node)
        if any(gpu in name for gpu in _TEGRA_GPUS) or ('gpu' in name and _soc(files)):
            return folder
    return None


def _soc(files):
    """Return the Tegra's name as the device tree has it, or an empty string."""
    if not files.exists(_COMPATIBLE):
        return ''
    words = files.text(_COMPATIBLE).replace('\0', ',').split(',')
    return next((word for word in words if word.startswith('tegra')), '')
