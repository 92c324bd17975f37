"""S3DNN's experiment and more: policies on one engine, under the same load.

All policies of a part run in one process, on the same networks, graphs, buffers and images;
only `process per instance` has networks of its own, from the same plans.
"""

from __future__ import annotations

import collections
import dataclasses
import gc
import logging
import random
import statistics
import time
from typing import Dict, List, Mapping, Sequence

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.alone import alone
from s3dnn_ros.bench.boundaries import boundaries
from s3dnn_ros.bench.environment import engine_record, environment
from s3dnn_ros.bench.gpu_meter import GpuMeter
from s3dnn_ros.bench.ideal import jobs_of, missed_share
from s3dnn_ros.bench.idle_power import idle_power
from s3dnn_ros.bench.instance_processes import InstanceProcesses
from s3dnn_ros.bench.load import (
    DEFAULT,
    FAR_S,
    SETTLE_S,
    STREAMS,
    SUPERVISED,
    Client,
    Policy,
    mix,
)
from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.networks import Prepared, prepare, ready
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.bench.processes import ProcessError
from s3dnn_ros.bench.s3dnn_results import FORMAT, over_ideal
from s3dnn_ros.bench.scheduler_cost import decision_us
from s3dnn_ros.bench.timeline import timeline
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.platforms import find_meter

_LOG = logging.getLogger(__name__)

MODELS = ('alexnet', 'googlenet', 'resnet50', 'vgg16', 'yolo_s')
# Deadlines are a multiple of the time that a request takes alone.
DEADLINE_FACTORS = (1.2, 3.0)
LOADS = (0.5, 0.7, 0.9, 1.1, 1.3)
INSTANCES = (2, 4, 8, 16)
MAX_BATCH = 8
APPLICATION_BATCH = 4
# How often everything is submitted before the limit's bench waits.
ROUNDS = 4
IDLE_S = 1e-3
TABLE_MODEL = 'alexnet'
TABLE_BATCHES = (2, 4, 8, 16)
TABLE_STREAMS = (1, 4)
TABLE_S = 0.5
# The part `decisions` needs no device.
QUEUED = (4, 16, 64, 256)
DECISIONS = 4000

# S3DNN as published
PAPER = Policy('S3DNN', 'supervised')
POLICIES = (STREAMS, Policy('fifo', 'fifo'), Policy('edf', 'edf'), PAPER, SUPERVISED,
            Policy('streams, fused', 'streams', fuse=True),
            Policy('S3DNN, fused', 'supervised', fuse=True),
            Policy('supervised, fused', 'overlapping', fuse=True, options=DEFAULT, levels=True),
            Policy('application batching', 'streams', frames=APPLICATION_BATCH))
# takes a while to load, so only by name
PROCESSES = Policy('process per instance', 'fifo', processes=True)
# rules of later systems, only by name, too
LATER = (Policy('Clockwork', 'clockwork'), Policy('Clockwork, fused', 'clockwork', fuse=True),
         Policy('DARIS', 'daris', options=(('streams', 8),)))
# need an engine with gates; the first is what the executor's supervised is there
GATED = (Policy('gated', 'gated', options=(('capacity', 1.0),)),
         Policy('gated, fused', 'gated', fuse=True, options=(('capacity', 1.0),)))
PARTS = ('decisions', 'batches', 'boundaries', 'idle', 'alone', 'throughput', 'deadlines',
         'timeline')
# The part `timeline` shows one load at one number of instances, the nearest to this one.
TIMELINE_INSTANCES = 8
TIMELINE_LOAD = 0.9


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much to measure; `sms` is what the engine was made with."""

    models: Sequence[str] = MODELS
    instances: Sequence[int] = INSTANCES
    loads: Sequence[float] = LOADS
    policies: Sequence[Policy] = POLICIES
    parts: Sequence[str] = PARTS
    runs: int = 3
    seconds: float = 5.0
    target_ms: float = 0.5
    repeats: int = 100
    sms: int = 0

    def __post_init__(self):
        """Refuse parts that there are not, and too little to measure; raises ParameterError."""
        for part in self.parts:
            if part not in PARTS:
                raise ParameterError('--parts', part, 'expected some of ' + ', '.join(PARTS))
        at_least_one('--runs', [self.runs])
        at_least_one('--instances', self.instances)
        above_zero('--seconds', [self.seconds])
        above_zero('--loads', self.loads)
        above_zero('--target-ms', [self.target_ms])


def policies(names: Sequence[str], capacity: float = 1.0) -> Sequence[Policy]:
    """Return policies by name; raises ParameterError that lists the known ones.

    `capacity` is that of the supervised ones; S3DNN keeps its own.
    """
    above_zero('--capacity', [capacity])
    known = {policy.name: policy for policy in (*POLICIES, PROCESSES, *LATER, *GATED)}
    for name, policy in known.items():
        if 'capacity' in dict(policy.options):
            options = {**dict(policy.options), 'capacity': capacity}
            known[name] = dataclasses.replace(policy, options=tuple(options.items()))
    for name in names:
        if name not in known:
            raise ParameterError('--policies', name, 'expected some of ' + ', '.join(known))
    return tuple(known[name] for name in names)


def policies_of(engine) -> Sequence[Policy]:
    """Return the policies that are measured if nobody says which."""
    return (*POLICIES, *GATED) if engine.gated else POLICIES


def run(engine, clock, plan: Plan, save=ignore) -> Dict:
    """Run the parts of a plan; returns the results as a dict that JSON can hold.

    `save` gets them after every row, so that a run that is cut off keeps what it has measured.
    Raises ParameterError for a policy that needs gates on an engine without.
    """
    has_runs = bool(set(plan.parts) - {'decisions'})
    gated = [policy.name for policy in plan.policies if policy.scheduler == 'gated']
    if has_runs and gated and not engine.gated:
        raise ParameterError('--policies', gated[0], 'the engine has no gates; leave out '
                             '--no-gates, and take --engine torch or tensorrt, where CUDA has '
                             'stream memory operations')
    results: Dict = {'format': FORMAT, 'environment': environment(), **engine_record(engine)}

    def note(sentence):
        _LOG.info(sentence)
        save(results)

    if has_runs:
        ready([*plan.models, *([TABLE_MODEL] if 'batches' in plan.parts else [])])
    if 'decisions' in plan.parts:
        results['decisions'] = []
        decisions(engine, plan, results['decisions'], note)
    if not has_runs:
        return results
    if 'batches' in plan.parts:
        results['batches'] = []
        batches(engine, clock, plan, results['batches'], note)
    most = max(plan.instances)
    # what waits on the device for its turn keeps a lane, as in the executor
    lanes = {model: len(_of_model(model, most, plan.models)) + engine.gated
             for model in plan.models}
    prepared = prepare(engine, clock, lanes, max_batch=MAX_BATCH, target_ms=plan.target_ms,
                       repeats=plan.repeats)
    results['levels'] = engine.levels
    results['profiles'] = {name: _profile(table) for name, table in prepared.profiles.items()}
    results['alone_ms'] = alone_ms = {model: prepared.alone_ms(model) for model in plan.models}
    note(f'alone: {alone_ms}')
    # a garbage collection would walk all that was loaded, and take 100 ms for it
    gc.freeze()
    if 'boundaries' in plan.parts:
        results['boundaries'] = []
        boundaries(prepared, plan.models, plan.runs, results['boundaries'], note)
    if 'idle' in plan.parts:
        results['idle'] = []
        idle_power(prepared, find_meter(engine.gpu), clock, plan.runs, plan.seconds,
                   results['idle'], note)
    with InstanceProcesses(prepared, plan.sms) as processes, GpuMeter() as meter:
        bench = Bench(prepared, processes, meter, plan, note)
        if 'alone' in plan.parts:
            results['alone'] = []
            alone(prepared, plan.models, plan.policies, plan.runs, results['alone'], note)
        if 'throughput' in plan.parts:
            results['throughput'] = []
            bench.throughput(results['throughput'])
        if 'deadlines' in plan.parts:
            results['deadlines'] = []
            bench.deadlines(results['deadlines'], alone_ms)
        if 'timeline' in plan.parts:
            results['timeline'] = []
            bench.timeline(results['timeline'], alone_ms)
    return results


def decisions(engine, plan, rows, note):
    """Run only the schedulers: how long a decision takes, by how many instances wait.

    Those that differ by fusion or processes only are told once.
    """
    for policy in {(policy.scheduler, policy.options, policy.levels): policy
                   for policy in reversed(plan.policies) if not policy.processes}.values():
        for queued in QUEUED:
            runs = [decision_us(policy.make(engine), queued, DECISIONS, seed)
                    for seed in range(plan.runs)]
            rows.append({'policy': policy.name, 'queued': queued, 'us': runs})
            note(f'{policy.name:12} {queued:3} instances queued, decision p50 '
                 f"{spread((run['p50'] for run in runs), 1)}, p99 "
                 f"{spread((run['p99'] for run in runs), 1)} µs")


def batches(engine, clock, plan, rows, note):
    """Run the table of IIT Kharagpur's re-implementation: AlexNet on 1 and 4 streams.

    `ms` is the time of 100 batches, in all.
    """
    prepared = prepare(engine, clock, {TABLE_MODEL: max(TABLE_STREAMS)},
                       max_batch=max(TABLE_BATCHES), target_ms=plan.target_ms,
                       repeats=plan.repeats)
    for policy in (STREAMS, SUPERVISED):
        for streams in TABLE_STREAMS:
            for batch in TABLE_BATCHES:
                clients = [Client(f'{TABLE_MODEL}_{index}', TABLE_MODEL, FAR_S, frames=batch)
                           for index in range(streams)]
                runs = [prepared.run(clients, policy, TABLE_S) for _ in range(plan.runs)]
                times_ms = [1e5 * batch / run.finished_hz for run in runs]
                rows.append({'policy': policy.name, 'streams': streams, 'batch': batch,
                             'ms': times_ms})
                note(f'{policy.name}, {streams} streams, batch {batch}: '
                     f'{spread(times_ms, 1)} ms per 100 batches')


class Bench:
    """The parts that compare all policies; each fills a list of rows, one policy at a time."""

    def __init__(self, prepared: Prepared, processes: InstanceProcesses, meter: GpuMeter,
                 plan: Plan, note):
        self._prepared = prepared
        self._processes = processes
        self._meter = meter
        self._plan = plan
        self._note = note

    def throughput(self, rows: List[Dict]):
        """How much comes through when every instance asks again as soon as it has its answer.

        Work share is what policies are compared by; images per second depend on which models
        a policy prefers.
        """
        for count in self._plan.instances:
            names = mix(count, self._plan.models)
            row: Dict = {'instances': count, 'policies': {}, 'left_out': {},
                         'limits': self._limits(names)}
            rows.append(row)
            limits = [f"{entry['batch']}: {entry['work_share']:.2f}" for entry in row['limits']]
            self._note(f'{count:3} instances, closed, no policy, work share by batch '
                       + ', '.join(limits))
            for policy in self._plan.policies:
                self._fill(row, policy, [closed(names)] * self._plan.runs, 'closed')

    def deadlines(self, rows: List[Dict], alone_ms):
        """How many deadlines are met of periodic instances, at loads below and above capacity.

        Capacity is what CUDA streams carry: the rate of every instance when each asks again as
        soon as it has its answer.
        """
        plan = self._plan
        for count in plan.instances:
            names = mix(count, plan.models)
            carried = self._prepared.run(closed(names), STREAMS, plan.seconds)
            for load in plan.loads:
                loads = [periodic(names, alone_ms, carried.finished_by_client, load, seed)
                         for seed in range(plan.runs)]
                ideal = [self._ideal(clients, carried.work_share) for clients in loads]
                row: Dict = {
                    'instances': count, 'load': load, 'policies': {}, 'left_out': {},
                    'capacity_hz': carried.finished_hz,
                    'capacity_hz_by_client': carried.finished_by_client,
                    'capacity_work_share': carried.work_share,
                    # the load if nothing ran side by side, as real-time analysis has it
                    'serial_load': load * carried.work_share,
                    # computed, of the same arrivals
                    'ideal_missed_share': statistics.mean(ideal),
                    'overload_share': max(0.0, 1.0 - 1.0 / load)}
                rows.append(row)
                title = f"load {load:4.0%} (serial {row['serial_load']:4.0%})"
                self._note(f'{count:3} instances, {title}, ideal: missed '
                           f"{row['ideal_missed_share']:.2%}")
                for policy in plan.policies:
                    self._fill(row, policy, loads, title)

    def timeline(self, rows: List[Dict], alone_ms):
        """Show what every policy does around its first misses, on the same arrivals."""
        plan = self._plan
        count = min(plan.instances, key=lambda known: abs(known - TIMELINE_INSTANCES))
        names = mix(count, plan.models)
        carried = self._prepared.run(closed(names), STREAMS, plan.seconds)
        clients = periodic(names, alone_ms, carried.finished_by_client, TIMELINE_LOAD, seed=0)
        for policy in plan.policies:
            try:
                shown = timeline(self._record(clients, policy, trace=True))
            except ProcessError as error:
                self._note(f'timeline, {policy.name:20} left out: {error}')
                continue
            rows.append({'policy': policy.name, 'instances': count, 'load': TIMELINE_LOAD,
                         'clients': [name for name, _ in names], **shown})
            self._note(f"timeline, {policy.name:20} {len(shown['images'])} images in "
                       f"{shown['window_ms']:.0f} ms, "
                       f"{sum(image['missed'] for image in shown['images'])} missed")

    def _fill(self, row, policy, loads, title):
        """Measure a policy under each of the loads and put it into the row, or why not."""
        where = f"{row['instances']:3} instances, {title}, {policy.name:20}"
        try:
            runs = [self._measured(self._record(clients, policy)) for clients in loads]
        except ProcessError as error:
            row['left_out'][policy.name] = str(error)
            self._note(f'{where} left out: {error}')
            return
        found = row['policies'][policy.name] = [dataclasses.asdict(run) for run in runs]
        missed = spread((1e2 * run.missed_share for run in runs), 2) + ' %'
        beside = over_ideal(found, row.get('ideal_missed_share', 0.0))
        self._note(f'{where} work share {spread((run.work_share for run in runs), 2)}, '
                   f'{spread(run.finished_hz for run in runs)} images/s, missed '
                   + ' '.join(filter(None, (missed, beside))) + ', '
                   f'p99 {runs[0].response_ms.get("p99", 0):.1f} ms, batch {runs[0].batch:.1f}, '
                   f'decision {runs[0].decision_us}, loop {runs[0].loop_cpu_share:.0%}')

    def _measured(self, record):
        return record.measured(self._prepared.alone_s,
                               self._meter.busy_share(record.begin_s, record.end_s))

    def _record(self, clients, policy, trace=False):
        if policy.processes:
            return self._processes.record(clients, policy, self._plan.seconds, trace)
        return self._prepared.rig.run(clients, policy, trace).record(self._plan.seconds)

    def _ideal(self, clients, speed):
        jobs = jobs_of(clients, self._prepared.alone_s, SETTLE_S + self._plan.seconds)
        # at 1 by running one after another, however badly the device shares itself out
        return missed_share(jobs, max(1.0, speed))

    def _limits(self, names):
        """Return the limits of as many at once as there are instances, and of their batches."""
        lanes = collections.Counter(model for _, model in names)
        return [limit(self._prepared, lanes if number == 1 else dict.fromkeys(lanes, 2), number,
                      self._plan.seconds)
                for number in sorted({1, *lanes.values()})]


def limit(prepared, lanes: Mapping[str, int], batch, seconds) -> Dict:
    """Measure batches back to back, without a policy or arrivals, every model alike.

    Their images lie on the device already; only results are copied.
    """
    flights = []
    for model, count in lanes.items():
        network = prepared.networks[model]
        images = prepared.rig.images(Client(model, model, FAR_S, frames=batch))
        flights += [(network.segments, network.open([images[0]])) for _ in range(count)]
    try:
        rounds, started_s = 0, time.perf_counter()
        while time.perf_counter() - started_s < seconds:
            ended = []
            for _ in range(ROUNDS):
                for segments, flight in flights:
                    flight.submit(0, ended.append, last=segments - 1)
            while len(ended) < ROUNDS * len(flights):
                prepared.engine.poll()
                if prepared.engine.poll_s is None:
                    time.sleep(IDLE_S)      # its own threads need the core
            rounds += ROUNDS
        batches_hz = rounds / (time.perf_counter() - started_s)
    finally:
        for _, flight in flights:
            flight.close()
    alone_s = sum(count * prepared.alone_s[model] for model, count in lanes.items())
    return {'batch': batch, 'finished_hz': batches_hz * batch * len(flights),
            'work_share': batches_hz * batch * alone_s}


def closed(names) -> List[Client]:
    """Return clients that each ask again as soon as they have their answer."""
    return [Client(name, model, FAR_S) for name, model in names]


def periodic(names, alone_ms, capacity_hz, load, seed) -> List[Client]:
    """Return clients that ask for so much of what streams carry, of each; times are in ms."""
    chance = random.Random(seed)
    clients = []
    for name, model in names:
        period_s = 1.0 / (load * capacity_hz[name])
        deadline_s = chance.uniform(*DEADLINE_FACTORS) * alone_ms[model] / 1e3
        clients.append(Client(name, model, deadline_s, period_s, chance.uniform(0.0, period_s)))
    return clients


def _of_model(model, count, models):
    return [name for name, of in mix(count, models) if of == model]


def _profile(table):
    return [dataclasses.asdict(row) for row in table.rows]
