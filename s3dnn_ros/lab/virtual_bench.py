"""How fast the runtime's core goes in virtual time, and what it decides there.

Core and schedulers are the shipped ones; the device is simulated, with times that are given. So
nothing here is a measurement of a device: deadlines missed tell policies apart, and the time that
it took tells what the core's own work costs.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import random
import resource
import statistics
import time
import types
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.bench.virtual_results import FORMAT
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.calibrate import NETWORKS, network_layers
from s3dnn_ros.lab.layers import cut
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.virtual_executor import VirtualExecutor
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.runtime.job import Instance
from s3dnn_ros.runtime.recorder import Recorder, Stage
from s3dnn_ros.scheduling import POLICIES
from s3dnn_ros.scheduling.rivals import KNOWN

_LOG = logging.getLogger(__name__)

# Of each network alone, and what of the device its segments want.
NETWORK_S = (0.020, 0.040)
UTILIZATION = (0.3, 0.9)
# Deadlines are so many times the time alone.
DEADLINES = (1.5, 3.0)
# Whether time is linear is looked at after so many segments, and ten times as many, and so on.
FIRST_MARK = 10_000
# Of a run, so many parts go by between two looks at how many segments there were.
MARK_LOOKS = 30
# To tell what a stamp of the recorder takes.
STAMP_RUNS, STAMPS = 5, 20_000


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to simulate: `load` is the share of the device that all instances ask for.

    With the name of a `board`, or its file, the device is that board, in half precision, and the
    networks are those whose times on it are published. If `segments_total` is not 0, each policy
    has one more run, of so many segments, which shows whether time and memory are linear in them.
    """

    instances: int = 8
    segments: int = 4
    load: float = 0.9
    seconds: float = 300.0
    policies: Sequence[str] = tuple(POLICIES)
    runs: int = 3
    board: str = ''
    segments_total: int = 0

    def __post_init__(self):
        """Refuse what cannot be simulated; raises ParameterError."""
        at_least_one('--instances', [self.instances])
        at_least_one('--segments', [self.segments])
        at_least_one('--runs', [self.runs])
        if self.segments_total:
            at_least_one('--segments-total', [self.segments_total])
        above_zero('--load', [self.load])
        above_zero('--seconds', [self.seconds])
        for name in self.policies:
            if name not in KNOWN:
                raise ParameterError('--policies', name, 'expected some of '
                                     + ', '.join(sorted(KNOWN)))


@dataclasses.dataclass
class _Client:
    """An instance that sends one image after the other."""

    instance: Instance
    period_s: float
    deadline_s: float


class Simulation:
    """A core on a simulated device, with clients that send periodically.

    Parameters
    ----------
    plan : Plan
    policy : str
    seed : int
        The same seed gives the same run.

    """

    def __init__(self, plan: Plan, policy: str, seed=0):
        self.segments = self.answered = self.missed = self.dropped = 0
        chance = random.Random(seed)
        names = [f'net_{index}' for index in range(plan.instances)]
        clock, device = VirtualClock(), {}
        if plan.board:
            board = load_board(plan.board)
            networks = _networks(names, plan.segments)
            profiles = {name: Roofline(board).profile(name, segments)
                        for name, segments in networks.items()}
            device['board'] = SimulatedPlatform(board, clock, networks)
        else:
            profiles = {name: _profile(name, plan.segments, chance) for name in names}
        self._executor = VirtualExecutor(policy, profiles, self._finished, self._dropped, seed,
                                         clock=clock, **device)
        for name, profile in profiles.items():
            instance = self._executor.add(name)
            alone_s = profile.time_s(1)
            wanted_s = alone_s * profile.whole().utilization(0, 1)
            client = _Client(instance, wanted_s * plan.instances / plan.load,
                             alone_s * chance.uniform(*DEADLINES))
            self._executor.at(chance.uniform(0.0, client.period_s),
                              functools.partial(self._release, client))

    def run_until(self, end_s):
        """Let time pass."""
        self._executor.run_until(end_s)

    def _release(self, client):
        now_s = self._executor.now_s()
        self._executor.send(client.instance, now_s + client.deadline_s)
        self._executor.at(now_s + client.period_s, functools.partial(self._release, client))

    def _finished(self, job):
        self.segments += job.network.segments
        self.answered += 1
        self.missed += job.ended_s > job.urgent.deadline_s

    def _dropped(self, request, reason, sentence):
        self.dropped += 1


def run(plan: Plan, save: Callable[[Dict], None] = ignore) -> Dict:
    """Run the bench; returns the results as a dict that JSON can hold."""
    rows: List[Dict] = [{'policy': policy, 'runs': []} for policy in plan.policies]
    results = {'format': FORMAT, 'environment': environment(), 'device': 'simulated',
               'plan': dataclasses.asdict(plan), 'stamp_us': _stamp_us(), 'virtual': rows}
    for seed in range(plan.runs):
        for row in rows:
            row['runs'].append(_run(plan, row['policy'], seed))
            _LOG.info(f"{row['policy']}, run {seed + 1} of {plan.runs}: "
                      f"{row['runs'][-1]['times_real']:.0f} times real time")
            save(results)
    if plan.segments_total:
        for row in rows:
            row['marks'] = []
            for mark in _marks(plan, row['policy']):
                row['marks'].append(mark)
                _LOG.info(f"{row['policy']}: {mark['segments']} segments, "
                          f"{mark['segment_us']:.1f} µs each")
                save(results)
    return results


def _marks(plan, policy) -> Iterator[Dict]:
    """Give what a segment took, and how much memory there is, as one long run goes on."""
    simulation, end_s, mark = Simulation(plan, policy), 0.0, FIRST_MARK
    while simulation.segments < plan.segments_total:
        before, cpu_s = simulation.segments, time.process_time()
        mark = min(mark, plan.segments_total)
        while simulation.segments < mark:
            end_s += plan.seconds / MARK_LOOKS
            simulation.run_until(end_s)
            if end_s > plan.seconds and not simulation.segments:
                return      # all is dropped
        yield {'segments': simulation.segments, 'resident_kb': _resident_kb(),
               'segment_us': 1e6 * (time.process_time() - cpu_s) / (simulation.segments - before)}
        mark *= 10


def _run(plan, policy, seed):
    simulation = Simulation(plan, policy, seed)
    simulation.run_until(0.1 * plan.seconds)
    memory_kb, segments = _memory_kb(), simulation.segments
    cpu_s = time.process_time()
    simulation.run_until(plan.seconds)
    cpu_s = time.process_time() - cpu_s
    requests = simulation.answered + simulation.dropped
    return {'times_real': 0.9 * plan.seconds / cpu_s,
            'segments': simulation.segments,
            'segment_us': 1e6 * cpu_s / max(1, simulation.segments - segments),
            'missed_share': (simulation.missed + simulation.dropped) / max(1, requests),
            'requests': requests, 'grown_kb': _memory_kb() - memory_kb}


def _stamp_us() -> float:
    """Return what the recorder takes for one stamp, of a segment's begin or end."""
    recorder = Recorder()
    request = types.SimpleNamespace(number=1, instance=types.SimpleNamespace(name='net_0'))
    took_s = []
    for _ in range(STAMP_RUNS):
        begun_s = time.perf_counter()
        for _ in range(STAMPS // 2):
            recorder.stamp(Stage.SUBMITTED, request, begun_s, 1)
            recorder.stamp(Stage.ENDED, request, begun_s, 1)
        took_s.append(time.perf_counter() - begun_s)
    return 1e6 * statistics.median(took_s) / STAMPS


def _networks(names, segments):
    """Return the layers of networks' segments; the networks come in turn."""
    known = itertools.cycle(NETWORKS)
    return {name: cut(network_layers(next(known)), segments) for name in names}


def _profile(name, segments, chance) -> ProfileTable:
    time_ms = 1e3 * chance.uniform(*NETWORK_S) / segments
    utilization = chance.uniform(*UTILIZATION)
    return ProfileTable(name, '', 'simulated', 'simulated', 'default', {}, tuple(
        ProfileRow(segment, 1, time_ms, time_ms, time_ms, utilization, utilization)
        for segment in range(segments)))


def _memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _resident_kb() -> int:
    """Return the memory that the process has now."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize() // 1024
