"""Benches of a real device once more on the simulated one, from the profiles that they kept.

Networks, arrivals and policies are those of `s3dnn bench s3dnn`. What differs is the device: it
takes the medians of the profile, and shares itself out as the SimulatedEngine says. What a request
took alone beyond its profile comes before it. Of that the host takes what the bench's thread took
for an answer, and what a job took beyond its segments for a launch: one after the other. So this
shows how far simulated figures may be trusted.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import statistics
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from s3dnn_ros.bench.boundaries import EXACT, beyond_us
from s3dnn_ros.bench.lab_replay_results import FORMAT
from s3dnn_ros.bench.load import SETTLE_S, Client, mix
from s3dnn_ros.bench.record import Answer, Offered, Record
from s3dnn_ros.bench.results import expect_whole
from s3dnn_ros.bench.s3dnn_bench import MAX_BATCH, closed, periodic, policies
from s3dnn_ros.engines.lanes import LaneEngine
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.sweep import Experiment
from s3dnn_ros.lab.virtual_executor import PARAMETERS, VirtualExecutor
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable

PARTS = ('throughput', 'deadlines')
# What is compared.
FIGURES = ('finished_hz', 'work_share', 'missed_share', 'response_ms', 'batch')


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is replayed: the name of its file, and how long the window of a run is."""

    results: str
    seconds: float = 5.0


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a bench: a row of one of its PARTS, a policy, and which of its runs.

    `sha256` is that of the results. The host takes `launch_us` for what it submits, one after the
    other: what the bench's part `boundaries` measured, or nothing.
    """

    part: str
    row: int
    policy: str
    seed: int
    seconds: float
    launch_us: float
    sha256: str


class Host:
    """The Board of a device whose clocks stay: only what the host does takes its time."""

    def __init__(self, launch_s: float):
        self._launch_s = launch_s
        self._free_s = -math.inf

    def pace(self, model, segment, batch):
        """Return that a segment takes what was profiled; its traffic is in there."""
        return 1.0, 0.0

    def launch(self, now_s):
        """Return when the device gets what is submitted now."""
        return self.take(now_s, self._launch_s)

    def take(self, now_s, time_s):
        """Return when the host has done what comes now and takes so long."""
        self._free_s = max(now_s, self._free_s) + time_s
        return self._free_s

    def next_change_s(self):
        """Return that no clock changes."""
        return math.inf

    def change_due(self, now_s):
        """Return that no clock changed."""
        return False

    def passed(self, time_s, device, memory):
        """Do nothing."""


@dataclasses.dataclass(frozen=True)
class KeptBench:
    """What a bench measured, as far as it is replayed.

    `rows` are those of each of PARTS, `beyond_s` what a request took alone beyond its profile,
    `host_s` the CPU time for each answer where that was least, `lead_s` how long before a
    segment's end the bench's engine had the next chosen.
    """

    profiles: Mapping[str, ProfileTable]
    alone_ms: Mapping[str, float]
    beyond_s: Mapping[str, float]
    levels: int
    host_s: float
    lead_s: float
    rows: Mapping[str, Sequence[Mapping]]

    @classmethod
    def of(cls, results: Mapping) -> KeptBench:
        """Take what is needed out of results; raises as what takes apart what lacks something."""
        profiles = {model: ProfileTable(model, '', 'simulated', results['device'], 'default', {},
                                        tuple(ProfileRow(**row) for row in rows))
                    for model, rows in results['profiles'].items()}
        alone_ms = results['alone_ms']
        beyond_s = {model: max(0.0, 1e-3 * alone_ms[model] - profile.remaining_s(0, 1))
                    for model, profile in profiles.items()}
        rows = {part: results.get(part, ()) for part in PARTS}
        host_s = min((run['loop_cpu_share'] / run['finished_hz'] for each in rows.values()
                      for row in each for runs in row['policies'].values() for run in runs
                      if run['finished_hz']), default=0.0)
        lead_s = 0.0 if 'onnxruntime' in results['engine'] else LaneEngine.lead_s
        return cls(profiles, alone_ms, beyond_s, results['levels'], host_s, lead_s, rows)

    def clients(self, cell: Cell) -> Sequence[Client]:
        """Return the clients of a run."""
        row = self.rows[cell.part][cell.row]
        names = mix(row['instances'], list(self.alone_ms))
        if cell.part == 'throughput':
            return closed(names)
        return periodic(names, self.alone_ms, row['capacity_hz_by_client'], row['load'],
                        cell.seed)


def experiment(results: Mapping, plan: Plan) -> Experiment:
    """Return what replays the results of `s3dnn bench s3dnn`.

    Raises ParameterError if they lack something, or say nothing that can be replayed.
    """
    with expect_whole(plan.results):
        bench, launch_us = KeptBench.of(results), _beyond_us(results)
        sha256 = hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()
        cells = [Cell(part, index, name, seed, plan.seconds, launch_us, sha256)
                 for part in PARTS for index, row in enumerate(bench.rows[part])
                 for name, runs in row['policies'].items() if _is_known(name)
                 for seed in range(len(runs))]
        for cell in cells:
            bench.clients(cell)
    if not cells:
        raise ParameterError('RESULTS', plan.results, 'it has no throughput or deadlines of '
                             'policies that are known now; measure these parts')
    return Experiment('replay', FORMAT, plan, cells, functools.partial(_run, bench))


def _is_known(name) -> bool:
    """Tell whether there is still such a policy, and it has no processes of its own."""
    try:
        return not policies([name])[0].processes
    except ParameterError:
        return False


def _beyond_us(results) -> float:
    """Return what the host takes for a segment, as measured; 0 if that is not known."""
    rows = results.get('boundaries', ())
    return max(0.0, statistics.median(statistics.median(beyond_us(row, EXACT))
                                      for row in rows)) if rows else 0.0


def _run(bench: KeptBench, cell: Cell) -> Dict:
    """Return what was measured, and what is simulated, of the figures that are compared."""
    row = bench.rows[cell.part][cell.row]
    alone_s = {model: profile.remaining_s(0, 1) for model, profile in bench.profiles.items()}
    simulated = Replay(bench, cell).record(cell.seconds).measured(alone_s)
    return {'instances': row['instances'], 'load': row.get('load'), **{
        how: {name: figures[name] for name in FIGURES}
        for how, figures in (('measured', row['policies'][cell.policy][cell.seed]),
                             ('simulated', dataclasses.asdict(simulated)))}}


class Replay:
    """A policy under one load on the simulated device, once; `record` runs it."""

    def __init__(self, bench: KeptBench, cell: Cell):
        policy = policies([cell.policy])[0]
        self._clients = {client.name: dataclasses.replace(
            client, frames=client.frames * policy.frames) for client in bench.clients(cell)}
        parameters = dataclasses.replace(PARAMETERS, fusion=policy.fuse, max_batch=MAX_BATCH)
        options: Dict[str, Any] = dict(policy.options)
        if policy.levels:
            options['levels'] = bench.levels
        self._host = Host(1e-6 * cell.launch_us)
        self._executor = VirtualExecutor(
            policy.scheduler, bench.profiles, self._finished, self._dropped, cell.seed, 0.0,
            parameters=parameters, options=options, levels=bench.levels,
            board=self._host, lead_s=bench.lead_s)
        self._instances = {client.name: self._executor.add(client.name, model=client.model)
                           for client in self._clients.values()}
        self._bench = bench
        self._offered: List[Offered] = []
        self._answers: List[Answer] = []
        self._stamps: Dict[int, Tuple[float, ...]] = {}     # by number of the request

    def record(self, seconds: float) -> Record:
        """Run for so long, after the bench's time to settle; return what happened."""
        end_s = SETTLE_S + seconds
        for client in self._clients.values():
            if client.period_s:
                self._executor.at(client.phase_s, functools.partial(self._release, client))
            else:
                self._ask(client)
        # the last of the window get their chance
        self._executor.run_until(end_s + SETTLE_S)
        return Record(SETTLE_S, end_s,
                      {name: client.model for name, client in self._clients.items()},
                      self._offered, self._answers, (), (), 0.0,
                      self._executor.recorder.busy_s(end_s))

    def _release(self, client):
        period_s = client.period_s * client.frames
        self._executor.at(self._executor.now_s() + period_s,
                          functools.partial(self._release, client))
        self._ask(client)

    def _ask(self, client):
        now_s = self._executor.now_s()
        stamps_s = client.stamps_s(now_s)
        self._offered += [Offered(client.name, stamp_s, stamp_s + client.deadline_s)
                          for stamp_s in stamps_s]
        beyond_s = self._bench.beyond_s[client.model]
        host_s = min(beyond_s, self._bench.host_s)
        self._executor.at(self._host.take(now_s, host_s) + beyond_s - host_s,
                          functools.partial(self._send, client, now_s, tuple(stamps_s)))

    def _send(self, client, now_s, stamps_s):
        request = self._executor.send(self._instances[client.name], now_s + client.deadline_s,
                                      client.frames)
        self._stamps[request.number] = stamps_s

    def _finished(self, job):
        for request in job.requests:
            client = self._clients[request.instance.name]
            self._answers += [Answer(client.name, stamp_s, job.ended_s,
                                     stamp_s + client.deadline_s, job.frames)
                              for stamp_s in self._stamps.pop(request.number)]
            if not client.period_s:
                self._ask(client)

    def _dropped(self, request, reason, sentence):
        client = self._clients[request.instance.name]
        del self._stamps[request.number]
        if not client.period_s:
            self._ask(client)
