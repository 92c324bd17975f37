"""One run of a scenario in virtual time: what its instances miss, and what the board uses.

Core, schedulers, fusion and coordinator are the shipped ones; the device is simulated.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import random
import statistics
from typing import Counter, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.contenders import ContenderChooser, contenders
from s3dnn_ros.cohort import ModelTables
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.front_end import FrontEnd
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.scenario import NOBODY, SYNCHRONISED, Choice, Scenario, Stream
from s3dnn_ros.lab.scenario_networks import cohort_network, networks_of
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.timed_board import TimedBoard
from s3dnn_ros.lab.virtual_executor import OPTIONS, VirtualExecutor
from s3dnn_ros.runtime.events import DEFAULTS
from s3dnn_ros.runtime.variant_chooser import EXACT, Exact

# How often it is looked whether the GPU is throttled.
LOOK_S = 0.1
# Why an image is missed, beside the reasons of the core for which it is dropped.
LATE, UNANSWERED = 'answered late', 'not answered'


@dataclasses.dataclass(frozen=True)
class Cell:
    """A run: a scenario as some choices change it, with one seed.

    `files` are those of the WhatIf: what is in them changes results.
    """

    scenario: Scenario
    choices: Tuple[Choice, ...]
    seed: int
    files: Tuple[Tuple[str, str], ...] = ()


def run(cell: Cell) -> Dict:
    """Simulate a cell; return its figures as a dict that JSON can hold."""
    return Simulation(cell.scenario.changed(cell.choices), cell.seed).run()


class AtPowerMode(Exact):
    """Nobody changes the clocks, which are below their highest: segments take longer, all known.

    Parameters
    ----------
    factors : mapping of str to sequence of float
        By model: what its segments take of their times at the highest clocks.
    times_s : mapping of str to sequence of float
        Those times.

    """

    def __init__(self, factors: Mapping[str, Sequence[float]],
                 times_s: Mapping[str, Sequence[float]]):
        self._factors = factors
        self._scales = {name: sum(factor * time_s for factor, time_s in
                                  zip(each, times_s[name])) / sum(times_s[name])
                        for name, each in factors.items()}

    def scale(self, model):
        """Return what a network takes of its time at the highest clocks."""
        return self._scales[model]

    def least(self, model):
        """Return the same of each segment."""
        return self._factors[model]


@dataclasses.dataclass(eq=False)
class _Client:
    """An instance with its cameras, and what became of their images."""

    stream: Stream
    front_end: FrontEnd
    missed: Counter[str]        # by reason
    sent: int = 0
    in_time: int = 0
    responses_s: List[float] = dataclasses.field(default_factory=list)


class Simulation:
    """A scenario in virtual time.

    Parameters
    ----------
    scenario : Scenario
    seed : int
        The same seed gives the same run.

    """

    def __init__(self, scenario: Scenario, seed: int):
        self._scenario = scenario
        self._chance = random.Random(seed)
        self._networks = networks_of(scenario)
        self._board = load_board(scenario.board) if scenario.board else None
        self._platform: Optional[SimulatedPlatform] = None
        self._tables: Mapping[str, ModelTables] = {}
        self._batches: List[int] = []
        self._exact: List[bool] = []
        self._scores: List[float] = []
        self._throttled: List[bool] = []
        clock, device = VirtualClock(), {}
        chooser = EXACT
        if self._board is not None:
            self._platform = device['board'] = SimulatedPlatform(
                self._board, clock, {model: each.segments
                                     for model, each in self._networks.items()},
                scenario.precision)
            if scenario.mode != NOBODY:
                known = {model: cohort_network(scenario.board, scenario.precision, model,
                                               each.profile.segments, scenario.low_rank)
                         for model, each in self._networks.items()}
                self._tables = {model: each.tables for model, each in known.items()}
                device['speedups'] = {model: each.speedups for model, each in known.items()}
            chooser = self._chooser(clock)
        self._executor = VirtualExecutor(
            scenario.scheduler.name,
            {model: each.profile for model, each in self._networks.items()}, self._finished,
            self._dropped, seed, scenario.run_jitter, chooser, clock,
            dataclasses.replace(DEFAULTS, late_policy='drop', fusion=scenario.fusion,
                                max_batch=scenario.max_batch),
            {**OPTIONS.get(scenario.scheduler.name, {}), **dict(scenario.scheduler.options)},
            **device)
        self._clients = {stream.name: self._client(stream) for stream in scenario.instances}

    def run(self) -> Dict:
        """Let the time pass; return the figures."""
        seconds = self._scenario.seconds
        for client in self._clients.values():
            self._start(client)
        if self._platform is not None:
            self._look()
        self._executor.run_until(seconds)
        self._executor.engine.pass_time()
        figures = self._of_board(seconds)
        # images that came at the end have their time, too
        self._executor.run_until(seconds + max(
            1e-3 * (each.deadline_ms + each.jitter_ms) for each in self._scenario.instances))
        clients = list(self._clients.values())
        answered = sum(len(client.responses_s) for client in clients)
        energy_j = figures.pop('energy_j', None)
        return {
            **_figures(clients), **figures, 'finished_hz': answered / seconds,
            'frame_mj': 1e3 * energy_j / answered if energy_j and answered else None,
            'batch': _mean(self._batches), 'exact_share': _mean(self._exact),
            'score': _mean(self._scores),
            'instances': {client.stream.name: _figures([client]) for client in clients}}

    # frames

    def _client(self, stream) -> _Client:
        instance = self._executor.add(stream.name, stream.priority, stream.model)
        missed: Counter[str] = collections.Counter()
        return _Client(stream, FrontEnd(
            self._executor, instance, _cameras(stream),
            self._scenario.max_batch if self._scenario.fusion else 1,
            lambda due_s, reason: missed.update([f'dropped: {reason}'])), missed)

    def _start(self, client):
        period_s = 1.0 / client.stream.rate_hz
        together_s = self._chance.uniform(0.0, period_s)
        for camera in _cameras(client.stream):
            first_s = (together_s if client.stream.phase == SYNCHRONISED
                       else self._chance.uniform(0.0, period_s))
            self._executor.at(first_s, functools.partial(self._due, client, camera, first_s))

    def _due(self, client, camera, due_s):
        """Have an image come, now or a little later, and be called again for the next one."""
        client.sent += 1
        late_s = 1e-3 * self._chance.uniform(0.0, client.stream.jitter_ms)
        self._executor.at(due_s + late_s, functools.partial(
            client.front_end.offer, camera, due_s, due_s + 1e-3 * client.stream.deadline_ms))
        next_s = due_s + 1.0 / client.stream.rate_hz
        if next_s < self._scenario.seconds:
            self._executor.at(next_s, functools.partial(self._due, client, camera, next_s))

    def _finished(self, job):
        if job.error:
            raise RuntimeError(job.error)
        self._batches.append(job.frames)
        variants = job.ran_as()
        self._exact.append(not any(variants))
        tables = self._tables.get(job.urgent.instance.spec.name)
        self._scores.append(1.0 - sum(
            1.0 - table.score[variant] for table, variant in
            zip(tables.accuracy if tables else (), variants)))
        for request in job.requests:
            client = self._clients[request.instance.name]
            for frame in client.front_end.ended(request):
                client.responses_s.append(job.ended_s - frame.item)
                if job.ended_s <= frame.deadline_s:
                    client.in_time += 1
                else:
                    client.missed[LATE] += 1

    def _dropped(self, request, reason, sentence):
        client = self._clients[request.instance.name]
        client.missed[f'dropped: {reason}'] += len(client.front_end.ended(request))

    # the board

    def _chooser(self, clock):
        """Return who sets the board's clocks; at its highest clocks, nobody."""
        scenario, space = self._scenario, self._platform.configurations
        if scenario.mode != NOBODY:
            return ContenderChooser(self._platform, self._tables, contenders([scenario.mode])[0],
                                    clock, control=TimedBoard)
        if not scenario.power_mode:
            return EXACT
        index = self._board.mode_index(space, scenario.power_mode)
        self._platform.apply(index)
        settings = self._board.settings(space.settings(index))
        roofline, highest = Roofline(self._board, scenario.precision), self._board.highest

        def slower(layers):
            return (roofline.run(layers, 1, settings.gpu_mhz, settings.memory_mhz).time_s
                    / roofline.run(layers, 1, highest.gpu_mhz, highest.memory_mhz).time_s)

        return AtPowerMode(
            {model: [slower(layers) for layers in each.segments]
             for model, each in self._networks.items()},
            {model: each.profile.segment_times_s(1) for model, each in self._networks.items()})

    def _look(self):
        now_s = self._executor.now_s()
        if now_s < self._scenario.seconds:
            self._throttled.append(self._platform.throttled)
            self._executor.at(now_s + LOOK_S, self._look)

    def _of_board(self, seconds) -> Dict:
        figures = {'busy_share': self._executor.recorder.busy_s(self._executor.now_s()) / seconds}
        if self._platform is None:
            return figures
        energy_j = sum(self._platform.energy_j().values())
        thermal, power_w = self._board.thermal, energy_j / seconds
        return {**figures, 'energy_j': energy_j, 'power_w': power_w,
                'temperature_c': self._platform.temperature_c,
                'settled_c': thermal.ambient_c + thermal.degrees_per_w * power_w,
                'throttled_share': _mean(self._throttled)}


def _cameras(stream: Stream) -> List[str]:
    return [f'{stream.name} {number}' for number in range(stream.cameras)]


def _figures(clients: Sequence[_Client]) -> Dict:
    """Return what became of images: shares of all, and times of answers in ms, None without any.

    Those that have no answer by the end, and were not dropped, count as missed, too.
    """
    sent = sum(client.sent for client in clients)
    responses_s = [time_s for client in clients for time_s in client.responses_s]
    missed = sum((client.missed for client in clients), collections.Counter())
    in_time = sum(client.in_time for client in clients)
    missed[UNANSWERED] = sent - in_time - sum(missed.values())
    p50_ms, p99_ms = (map(float, 1e3 * np.percentile(responses_s, [50, 99])) if responses_s
                      else (None, None))
    return {'requests': sent,
            'missed_share': 1.0 - in_time / sent if sent else 0.0,
            'p50_ms': p50_ms, 'p99_ms': p99_ms,
            'missed': {reason: count / sent for reason, count in sorted(missed.items()) if count}}


def _mean(values: Sequence[float]) -> Optional[float]:
    return statistics.fmean(values) if values else None
