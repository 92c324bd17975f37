"""S3DNN's experiment and more: policies on one engine, under the same load.

All policies of a part run in one process, on the same networks, graphs, buffers and images.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
import time
from typing import Dict, List, Sequence

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.environment import environment
from s3dnn_ros.lab.load import Client, Policy
from s3dnn_ros.lab.networks import prepare

MODELS = ('alexnet', 'googlenet', 'resnet50', 'vgg16', 'yolo_s')
# Deadlines are a multiple of the time that a request takes alone.
DEADLINE_FACTORS = (1.2, 3.0)
LOADS = (0.5, 0.7, 0.9, 1.1, 1.3)
INSTANCES = (2, 4, 8, 16)
MAX_BATCH = 8
APPLICATION_BATCH = 4
# How often everything is submitted before the limit's bench waits.
ROUNDS = 4
# How long and how often a model is asked to learn what it takes alone.
ALONE_S = 1.0
ALONE_PERIOD_S = 0.005
TABLE_BATCHES = (2, 4, 8, 16)
TABLE_STREAMS = (1, 4)
TABLE_S = 0.5
# so late that no deadline keeps requests from being fused
FAR_S = 10.0

STREAMS = Policy('streams', 'streams')
# S3DNN as published, and what the executor does with its default parameters
PAPER = Policy('S3DNN', 'supervised')
OVERLAP = (('capacity', 1.5), ('overlap', True))
SUPERVISED = Policy('supervised', 'supervised', options=OVERLAP)
POLICIES = (STREAMS, Policy('fifo', 'fifo'), Policy('edf', 'edf'), PAPER, SUPERVISED,
            Policy('streams, fused', 'streams', fuse=True),
            Policy('S3DNN, fused', 'supervised', fuse=True),
            Policy('supervised, fused', 'supervised', fuse=True, options=OVERLAP))


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much to measure."""

    models: Sequence[str] = MODELS
    instances: Sequence[int] = INSTANCES
    loads: Sequence[float] = LOADS
    policies: Sequence[Policy] = POLICIES
    runs: int = 3
    seconds: float = 5.0
    target_ms: float = 0.5
    repeats: int = 100


def policies(names: Sequence[str]) -> Sequence[Policy]:
    """Return policies by name; raises ParameterError that lists the known ones."""
    known = {policy.name: policy for policy in POLICIES}
    for name in names:
        if name not in known:
            raise ParameterError('--policies', name, 'expected some of ' + ', '.join(known))
    return tuple(known[name] for name in names)


def run(engine, clock, plan: Plan, say=print) -> Dict:
    """Run all parts; returns the results as a dict that JSON can hold."""
    most = max(plan.instances)
    lanes = {model: len(_of_model(model, most, plan.models)) for model in plan.models}
    prepared = prepare(engine, clock, lanes, max_batch=MAX_BATCH, target_ms=plan.target_ms,
                       repeats=plan.repeats, say=say)
    results = {'environment': environment(), 'device': engine.device,
               'engine': dict(engine.versions),
               'profiles': {name: _profile(table) for name, table in prepared.profiles.items()}}
    results['alone_ms'] = {model: _alone_ms(prepared, model) for model in plan.models}
    say(f"alone: {results['alone_ms']}")
    results['batches'] = batches(engine, clock, plan, say)
    results['throughput'] = throughput(prepared, plan, say)
    results['deadlines'] = deadlines(prepared, plan, results['alone_ms'], say)
    return results


def batches(engine, clock, plan, say) -> List[Dict]:
    """Run the table of IIT Kharagpur's re-implementation: AlexNet on 1 and 4 streams.

    `ms` is the time of 100 batches, in all.
    """
    prepared = prepare(engine, clock, {'alexnet': max(TABLE_STREAMS)},
                       max_batch=max(TABLE_BATCHES), target_ms=plan.target_ms,
                       repeats=plan.repeats, say=say)
    rows = []
    for policy in (STREAMS, SUPERVISED):
        for streams in TABLE_STREAMS:
            for batch in TABLE_BATCHES:
                clients = [Client(f'alexnet_{index}', 'alexnet', FAR_S, frames=batch)
                           for index in range(streams)]
                runs = [prepared.rig.run(clients, policy, TABLE_S) for _ in range(plan.runs)]
                times_ms = [1e5 * batch / run.finished_hz for run in runs]
                rows.append({'policy': policy.name, 'streams': streams, 'batch': batch,
                             'ms': times_ms})
                say(f'{policy.name}, {streams} streams, batch {batch}: '
                    f'{_spread(times_ms, 1)} ms per 100 batches')
    return rows


def throughput(prepared, plan, say) -> List[Dict]:
    """How much comes through when every instance asks again as soon as it has its answer."""
    rows = []
    for count in plan.instances:
        clients = [Client(name, model, FAR_S) for name, model in _mix(count, plan.models)]
        per_model = {}
        for client in clients:
            per_model[client.model] = per_model.get(client.model, 0) + 1
        # as many at once as there are instances, alone and in the batches that fusion can make
        limits = {number: limit(prepared, per_model if number == 1 else
                                dict.fromkeys(per_model, 2), number, plan.seconds)
                  for number in sorted({1, *per_model.values()})}
        row = {'instances': count, 'policies': {}, 'limit_hz': limits}
        for policy in plan.policies:
            runs = [prepared.rig.run(clients, policy, plan.seconds) for _ in range(plan.runs)]
            row['policies'][policy.name] = [dataclasses.asdict(run) for run in runs]
            say(f'{count:3} instances, closed, {policy.name:18} '
                f'{_spread(run.finished_hz for run in runs)} images/s, '
                f'batch {runs[0].batch:.1f}, decision {runs[0].decision_us}, '
                f'loop {runs[0].loop_cpu_share:.0%}')
        say(f'{count:3} instances, closed, no policy, by batch: '
            + ', '.join(f'{number}: {rate_hz:.0f}' for number, rate_hz in limits.items()))
        rows.append(row)
    return rows


def limit(prepared, lanes: Dict[str, int], batch, seconds) -> float:
    """Return the images per second of batches back to back, without a policy or arrivals.

    Their images lie on the device already; only results are copied.
    """
    flights = []
    for model, count in lanes.items():
        network = prepared.networks[model]
        images = prepared.rig.images(Client(model, model, FAR_S, frames=batch))
        flights += [(network.segments, network.open([images[0]])) for _ in range(count)]
    try:
        images, started_s = 0, time.perf_counter()
        while time.perf_counter() - started_s < seconds:
            ended = []
            for _ in range(ROUNDS):
                for segments, flight in flights:
                    for segment in range(segments):
                        flight.submit(segment, ended.append)
            expected = ROUNDS * sum(segments for segments, _ in flights)
            while len(ended) < expected:
                prepared.engine.poll()
            images += ROUNDS * batch * len(flights)
        return images / (time.perf_counter() - started_s)
    finally:
        for _, flight in flights:
            flight.close()


def deadlines(prepared, plan, alone_ms, say) -> List[Dict]:
    """How many deadlines are met of periodic instances, at loads below and above capacity.

    Capacity is what CUDA streams carry: the rate of every instance when each asks again as
    soon as it has its answer.
    """
    rows = []
    for count in plan.instances:
        names = _mix(count, plan.models)
        capacity = _capacity(prepared, names, plan.seconds)
        for load in plan.loads:
            # the load if nothing ran side by side, as real-time analysis has it
            serial = sum(load * capacity[name] * prepared.profiles[model].time_s(1)
                         for name, model in names)
            row = {'instances': count, 'load': load, 'serial_load': serial, 'policies': {},
                   'capacity_hz': sum(capacity.values())}
            for policy in plan.policies:
                runs = []
                for index in range(plan.runs):
                    clients = _periodic(names, alone_ms, capacity, load, seed=index)
                    runs.append(prepared.rig.run(clients, policy, plan.seconds))
                row['policies'][policy.name] = [dataclasses.asdict(run) for run in runs]
                say(f'{count:3} instances, load {load:4.0%} (serial {serial:4.0%}), '
                    f'{policy.name:18} missed '
                    f'{_spread((1e2 * run.missed_share for run in runs), 2)} %, '
                    f'{runs[0].in_time_hz:.0f} in time of {runs[0].offered_hz:.0f}/s, '
                    f'p99 {runs[0].response_ms.get("p99", 0):.1f} ms, batch {runs[0].batch:.1f}')
            rows.append(row)
    return rows


def _alone_ms(prepared, model):
    """Return the median time from a request to its answer while nothing else runs."""
    period_s = 5.0 * prepared.profiles[model].time_s(1)
    client = Client(model, model, FAR_S, max(period_s, ALONE_PERIOD_S))
    return prepared.rig.run([client], STREAMS, ALONE_S).response_ms['p50']


def _capacity(prepared, names, seconds):
    """Return the rate of every instance under CUDA streams, all of them at once."""
    clients = [Client(name, model, FAR_S) for name, model in names]
    measured = prepared.rig.run(clients, STREAMS, seconds)
    return measured.finished_by_client


def _periodic(names, alone_ms, capacity, load, seed):
    chance = random.Random(seed)
    clients = []
    for name, model in names:
        period_s = 1.0 / (load * capacity[name])
        deadline_s = chance.uniform(*DEADLINE_FACTORS) * alone_ms[model] / 1e3
        clients.append(Client(name, model, deadline_s, period_s, chance.uniform(0.0, period_s)))
    return clients


def _mix(count, models):
    """Return (name, model) of so many instances, the models in turn."""
    return [(f'{models[index % len(models)]}_{index // len(models)}', models[index % len(models)])
            for index in range(count)]


def _of_model(model, count, models):
    return [name for name, of in _mix(count, models) if of == model]


def _profile(table):
    return [dataclasses.asdict(row) for row in table.rows]


def _spread(values, digits=0):
    values = sorted(values)
    return (f'{statistics.median(values):.{digits}f} '
            f'({values[0]:.{digits}f}–{values[-1]:.{digits}f})')
