"""What is known of a board that is simulated: its clocks, what it draws, and how warm it gets."""

from __future__ import annotations

import dataclasses
import functools
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from s3dnn_ros.platforms.clusters import Cluster, axes_apart, axes_together
from s3dnn_ros.platforms.space import Axis, ConfigurationSpace, hz_axis

GPU, MEMORY, CPU = CLOCKS = ('gpu', 'memory', 'cpu')
PRECISIONS = ('fp32', 'fp16')


@dataclasses.dataclass(frozen=True)
class Clock:
    """A clock that can be set: its steps in MHz, ascending, and the volts that they need.

    `neuos_mhz` are the steps of NeuOS's experiments. A change takes the thread that asks for it
    `change_s`, and acts `delay_s` later.
    """

    steps_mhz: Tuple[float, ...]
    neuos_mhz: Tuple[float, ...]
    volts: Tuple[float, float]
    delay_s: float
    change_s: float

    def volts_squared(self, mhz: float) -> float:
        """Return V² relative to the highest step; volts lie on a straight line between steps."""
        low_v, high_v = self.volts
        low, high = self.steps_mhz[0], self.steps_mhz[-1]
        share = (mhz - low) / (high - low) if high > low else 1.0
        return ((low_v + share * (high_v - low_v)) / high_v)**2

    def dynamic(self, mhz: float) -> float:
        """Return f · V² relative to the highest step."""
        return mhz / self.steps_mhz[-1] * self.volts_squared(mhz)


@dataclasses.dataclass(frozen=True)
class Rail:
    """What a rail draws at the highest step of its clock, in watts; `clock` '' is none.

    Of the dynamic part the share `idle` is drawn whenever the clock runs.
    """

    clock: str
    static_w: float
    dynamic_w: float
    idle: float


@dataclasses.dataclass(frozen=True)
class Thermal:
    """How warm a board gets, and when its GPU slows down and may run as set again."""

    ambient_c: float
    degrees_per_w: float
    time_constant_s: float
    throttle_c: float
    release_c: float
    throttled_gpu_mhz: float


@dataclasses.dataclass(frozen=True)
class Mode:
    """One of NVIDIA's modes: caps of the clocks, the CPUs that are on, and the power at most."""

    caps_mhz: Mapping[str, float]
    cpus: Tuple[int, ...]
    budget_w: Optional[float] = None


class Settings(NamedTuple):
    """What is set: `cpus` has for every cluster its MHz and how many of its cores are on."""

    gpu_mhz: float
    memory_mhz: float
    cpus: Tuple[Tuple[float, int], ...]

    @property
    def cpu_mhz(self) -> float:
        """Return the clock of the fastest core that is on."""
        return max(mhz for mhz, cores in self.cpus if cores)


class Activity(NamedTuple):
    """Which share of the GPU and of the memory's bandwidth is used, and how many CPU cores."""

    gpu: float = 0.0
    memory: float = 0.0
    cores: float = 0.0


# Power is linear in them, as long as no more than one core is busy.
UNITS = (Activity(), Activity(gpu=1.0), Activity(memory=1.0), Activity(cores=1.0))


@dataclasses.dataclass(frozen=True)
class Knob:
    """What can be set, for the axes of configurations: a clock, or a core of the CPU."""

    kind: str
    name: str
    cpu: int = 0


@dataclasses.dataclass(frozen=True)
class Board:
    """A board as its file describes it; `name` is the file's.

    `flops_per_clock` are of the whole GPU, by precision, `clusters` the CPUs by the name of the
    cluster, `launch_s` and `decision_s` the host's time for a segment at the highest CPU clock.
    Of the peaks the shares `efficiency` and `bandwidth_efficiency` are reached. A kernel takes
    `kernel_s` besides its work, at the highest clock of the GPU.
    """

    name: str
    description: str
    multiprocessors: int
    flops_per_clock: Mapping[str, float]
    bytes_per_clock: float
    efficiency: Mapping[str, float]
    bandwidth_efficiency: float
    kernel_s: float
    clocks: Mapping[str, Clock]
    clusters: Mapping[str, Tuple[int, ...]]
    set_apart: bool
    launch_s: float
    decision_s: float
    rails: Mapping[str, Rail]
    thermal: Thermal
    modes: Mapping[str, Mode]

    def space(self, steps='neuos') -> ConfigurationSpace:
        """Return the configurations, as a JetsonPlatform has them on such a board.

        Of the clocks' steps they have 'all', or those of NeuOS's experiments; ValueError for
        anything else.
        """
        clusters, mhz = self._clusters, self._steps(steps)
        cpu_khz = tuple(round(1e3 * step) for step in mhz[CPU])
        axes = axes_apart if self.set_apart else axes_together
        return ConfigurationSpace([
            *(self._axis(name, mhz[name]) for name in (GPU, MEMORY)),
            *axes([dataclasses.replace(cluster, frequencies_khz=cpu_khz) for cluster in clusters],
                  True, True)])

    def settings(self, values: Mapping[Knob, int]) -> Settings:
        """Return what knobs mean that are set to these values, in Hz, kHz and on or off.

        A cluster that is off has no frequency among them.
        """
        cpus = []
        for cluster in self._clusters:
            cores = len(cluster.always_on) + sum(values[core] for core in cluster.cores)
            cpus.append((values.get(cluster.knob, 0) / 1e3, cores))
        return Settings(values[Knob('clock', GPU)] / 1e6, values[Knob('clock', MEMORY)] / 1e6,
                        tuple(cpus))

    def mode_index(self, space: ConfigurationSpace, name: str) -> int:
        """Return the configuration of a mode: of every axis the last choice that it allows.

        KeyError if there is no such mode.
        """
        mode = self.modes[name]
        caps = {Knob('clock', clock): 1e6 * cap for clock, cap in mode.caps_mhz.items()}
        for cluster in self._clusters:
            caps[cluster.knob] = 1e3 * mode.caps_mhz[CPU]
            caps.update((core, float(core.cpu in mode.cpus)) for core in cluster.cores)
        values = {}
        for axis in space.axes:
            allowed = [choice for choice in axis.choices if all(
                value is None or value <= caps[knob] * (1.0 + 1e-9)
                for knob, value in zip(axis.knobs, choice.settings))]
            # a mode may be below all steps that there are
            values[axis.name] = (allowed or axis.choices[:1])[-1].value
        return space.index_of(values)

    def power_w(self, settings: Settings, activity: Activity) -> Dict[str, float]:
        """Return what each rail draws."""
        return {name: self._rail_w(rail, settings, activity) for name, rail in self.rails.items()}

    @functools.cached_property
    def highest(self) -> Settings:
        """Return the highest step of every clock, with all cores."""
        cpu_mhz = self.clocks[CPU].steps_mhz[-1]
        return Settings(self.clocks[GPU].steps_mhz[-1], self.clocks[MEMORY].steps_mhz[-1],
                        tuple((cpu_mhz, len(cpus)) for cpus in self.clusters.values()))

    def _rail_w(self, rail, settings, activity) -> float:
        if rail.clock == CPU:
            return self._cpu_w(rail, settings, activity.cores)
        if not rail.clock:
            return rail.static_w
        clock = self.clocks[rail.clock]
        mhz, used = ((settings.gpu_mhz, activity.gpu) if rail.clock == GPU
                     else (settings.memory_mhz, activity.memory))
        return (rail.static_w * clock.volts_squared(mhz)
                + rail.dynamic_w * clock.dynamic(mhz) * (rail.idle + (1.0 - rail.idle) * used))

    def _cpu_w(self, rail, settings, busy) -> float:
        """Return what the CPUs draw, of which the busy ones are those of the fastest clusters."""
        clock, total = self.clocks[CPU], sum(map(len, self.clusters.values()))
        power_w = 0.0
        for mhz, cores in sorted(settings.cpus, reverse=True):
            used = min(busy, cores)
            busy -= used
            power_w += (rail.static_w * clock.volts_squared(mhz) * cores + rail.dynamic_w
                        * clock.dynamic(mhz) * (rail.idle * cores + (1.0 - rail.idle) * used)
                        if cores else 0.0)
        return power_w / total

    def _steps(self, steps) -> Mapping[str, Sequence[float]]:
        if steps not in ('neuos', 'all'):
            raise ValueError(f"steps is {steps!r}; expected 'neuos' or 'all'")
        return {name: clock.neuos_mhz if steps == 'neuos' else clock.steps_mhz
                for name, clock in self.clocks.items()}

    def _axis(self, name, steps_mhz) -> Axis:
        # the kernel calls the memory's clock by its controller
        return hz_axis('emc' if name == MEMORY else name, Knob('clock', name),
                       [round(1e6 * step) for step in steps_mhz])

    @functools.cached_property
    def _clusters(self) -> List[Cluster]:
        return [Cluster(name, Knob('cluster', name), (),
                        tuple(Knob('core', name, cpu) for cpu in cpus if cpu),
                        tuple(cpu for cpu in cpus if not cpu))
                for name, cpus in self.clusters.items()]
