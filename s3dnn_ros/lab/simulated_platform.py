"""A board in virtual time: clocks that take their time to change, power, and heat."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.lab.board import CPU, UNITS, Activity, Board, Knob, Settings
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.roofline import Roofline

# One core watches the device while anything runs there: the executor's own thread.
WATCHING = 1.0


@dataclasses.dataclass
class _Use:
    """For how long settings were in force, and for how long GPU, bandwidth and a core in use.

    `idle_w` is what the board draws with them, the others are what full use adds.
    """

    idle_w: float
    gpu_w: float
    memory_w: float
    core_w: float
    seconds: float = 0.0
    gpu_s: float = 0.0
    memory_s: float = 0.0
    core_s: float = 0.0


class SimulatedPlatform:
    """A Platform whose configurations act on a SimulatedEngine, which is its clock's.

    It begins in its fastest configuration, at the temperature of its surroundings.

    Parameters
    ----------
    board : Board
    clock : VirtualClock
        That of the engine.
    networks : mapping of model name to sequence of sequence of Layer
        The layers of each segment.
    precision : str
        One of PRECISIONS.
    steps : str
        As for `Board.space`.

    Attributes
    ----------
    temperature_c : float
    throttled : bool
        The GPU is slower than it is set to, as the board is too warm.

    """

    name = 'simulated'
    immediate = True

    def __init__(self, board: Board, clock, networks: Mapping[str, Sequence[Sequence[Layer]]],
                 precision='fp16', steps='neuos'):
        self.configurations = board.space(steps)
        self.board = f'simulated/{board.name}'
        self.current: Optional[int] = None
        self.transitions = 0
        self.transition_s = 0.0
        self.temperature_c = board.thermal.ambient_c
        self.throttled = False
        self._described = board
        self._clock = clock
        self._networks = networks
        self._roofline = Roofline(board, precision)
        self._paces: Dict[Tuple, Tuple[float, float]] = {}
        self._changes: List[Tuple[float, int, Dict[Knob, int], Callable]] = []      # a heap
        self._numbers = itertools.count()
        self._values = self.configurations.settings(len(self.configurations) - 1)
        self._wanted = dict(self._values)
        self._host_free_s = -math.inf
        self._uses: Dict[Settings, _Use] = {}
        self._activity = Activity()
        self._set()

    def apply(self, index, in_force: Optional[Callable[[], None]] = None) -> float:
        """Have the clocks change; return what that takes of the asking thread, in seconds.

        Each acts after its delay. With `in_force`, which is called once all have changed, the
        thread is another one than that which launches segments: launches do not wait for it.
        IndexError if there is no such configuration.
        """
        values = self.configurations.settings(index)
        if index == self.current:
            return 0.0
        now_s, took_s = self._clock.now_s(), 0.0
        by_clock: Dict[str, Dict[Knob, int]] = {}
        for knob, value in values.items():
            if self._wanted[knob] != value:
                name = knob.name if knob.kind == 'clock' else CPU
                by_clock.setdefault(name, {})[knob] = value
                took_s += self._described.clocks[name].change_s
        last_s = now_s + took_s
        for name, changed in by_clock.items():
            acts_s = now_s + took_s + self._described.clocks[name].delay_s
            self._later(acts_s, changed)
            last_s = max(last_s, acts_s)
        self._wanted.update(values)
        if in_force is None:
            self._host_free_s = max(now_s, self._host_free_s) + took_s
        else:
            self._later(last_s, {}, in_force)
        self.current = index
        self.transitions += 1
        self.transition_s += took_s
        return took_s

    def power_mw(self):
        """Return what the board draws now."""
        return sum(self.rails_mw().values())

    def rails_mw(self):
        """Return what each rail draws now, by its name."""
        return {rail: 1e3 * power_w for rail, power_w in self._described.power_w(
            self.settings, self._activity).items()}

    def energy_j(self) -> Dict[str, float]:
        """Return what each rail has used up to where the engine has let time pass."""
        used_j = dict.fromkeys(self._described.rails, 0.0)
        for settings, use in self._uses.items():
            if use.seconds:
                mean = Activity(use.gpu_s / use.seconds, use.memory_s / use.seconds,
                                use.core_s / use.seconds)
                for rail, power_w in self._described.power_w(settings, mean).items():
                    used_j[rail] += use.seconds * power_w
        return used_j

    def restore(self):
        """Set the fastest configuration again."""
        self.apply(len(self.configurations) - 1)
        self.current = None

    def close(self):
        """Restore."""
        self.restore()

    def pace(self, model, segment, batch):
        """Return how many times as fast as profiled a segment runs, and its share of bandwidth."""
        key = model, segment, batch, self.settings.gpu_mhz, self.settings.memory_mhz
        found = self._paces.get(key)
        if found is None:
            layers, highest = self._networks[model][segment], self._described.highest
            profiled = self._roofline.run(layers, batch, highest.gpu_mhz, highest.memory_mhz)
            now = self._roofline.run(layers, batch, *key[-2:])
            found = self._paces[key] = (profiled.time_s / now.time_s, now.traffic)
        return found

    def launch(self, now_s):
        """Return when the device gets what is submitted now: the host does one after the other."""
        self._host_free_s = max(now_s, self._host_free_s) + self._launch_s
        return self._host_free_s

    def next_change_s(self):
        """Return when a clock changes next; inf if none does."""
        return self._changes[0][0] if self._changes else math.inf

    def change_due(self, now_s):
        """Change the clocks that are due; tell whether there were any."""
        if self.next_change_s() > now_s:
            return False
        done = []
        while self.next_change_s() <= now_s:
            *_, values, in_force = heapq.heappop(self._changes)
            self._values.update(values)
            done.append(in_force)
        self._set()
        for in_force in done:
            in_force()
        return True

    def passed(self, time_s, device, memory):
        """Take note that for so long these shares of device and bandwidth were in use."""
        cores = WATCHING if device else 0.0
        use = self._use
        use.seconds += time_s
        use.gpu_s += time_s * device
        use.memory_s += time_s * memory
        use.core_s += time_s * cores
        self._activity = Activity(device, memory, cores)
        self._warm(time_s, use.idle_w + use.gpu_w * device + use.memory_w * memory
                   + use.core_w * cores)

    def _warm(self, time_s, power_w):
        """Come nearer to the temperature of this power, and slow the GPU down if need be."""
        thermal = self._described.thermal
        last_c = thermal.ambient_c + thermal.degrees_per_w * power_w
        self.temperature_c = last_c + (self.temperature_c - last_c) * math.exp(
            -time_s / thermal.time_constant_s)
        limit_c = thermal.release_c if self.throttled else thermal.throttle_c
        if (self.temperature_c >= limit_c) != self.throttled:
            self.throttled = not self.throttled
            self._later(self._clock.now_s(), {})

    def _later(self, time_s, values, in_force=ignore):
        heapq.heappush(self._changes, (time_s, next(self._numbers), values, in_force))

    def _set(self):
        """Reckon with the values that are set."""
        settings = self._described.settings(self._values)
        if self.throttled:
            settings = settings._replace(gpu_mhz=min(
                settings.gpu_mhz, self._described.thermal.throttled_gpu_mhz))
        self.settings = settings
        board = self._described
        self._launch_s = ((board.decision_s + board.launch_s)
                          * board.clocks[CPU].steps_mhz[-1] / settings.cpu_mhz)
        if settings not in self._uses:
            idle_w, *full_w = (sum(self._described.power_w(settings, activity).values())
                               for activity in UNITS)
            self._uses[settings] = _Use(idle_w, *(power_w - idle_w for power_w in full_w))
        self._use = self._uses[settings]
