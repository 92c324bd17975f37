"""What becomes of frames when more come than the computer can run, and something disturbs it.

Cameras, governor, executor and monitor are the nodes as they are shipped, in processes of their
own, over the middleware. What they do is compared with the limit: the same network back to back.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import logging
import math
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

import yaml

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.back_to_back import measure_limit, measure_profile
from s3dnn_ros.bench.disturbance import DURATIONS_S, disturbed
from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.networks import ready
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.bench.overload_results import (
    FORMAT,
    drops,
    figures,
    name_of,
    read_record,
    shares,
)
from s3dnn_ros.bench.pipeline_bench import write_picture
from s3dnn_ros.bench.probe import Probe
from s3dnn_ros.bench.processes import ProcessError, Processes, executable
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.models.spec import load_spec

_LOG = logging.getLogger(__name__)

# By mode: the nodes between cameras and results; the first of them runs the network.
NODES = {'separate': ('executor', 'governor'), 'composed': ('pipeline',)}
INSTANTS = ('together', 'spread')
PROFILES = ('none', 'auto')
LATE_POLICIES = ('drop', 'run')
# From the first result until figures count.
SETTLE_S = 1.5
# The cameras go on so much longer.
SPARE_S = 0.2
# Of each batch back to back.
LIMIT_S = 2.0
# Of each batch of the profile.
PROFILE_REPEATS = 15
# For a node to start and to load its network.
PATIENCE_S = 120.0
LOOK_S = 0.02
# What a node's log says from when on it works.
EXECUTOR_READY, CAMERAS_START = 'ready: ', 'the cameras start'


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to measure.

    With `loads`, shares of the limit, the cameras' rates only tell their proportions. A deadline
    of 0 is the model's own.
    """

    rates_hz: Tuple[float, ...] = (15.0,) * 4
    loads: Tuple[float, ...] = ()
    width: int = 1280
    height: int = 720
    instants: str = 'together'
    modes: Sequence[str] = tuple(NODES)
    profiles: Sequence[str] = ('none',)
    late_policies: Sequence[str] = ('drop',)
    gates: Sequence[str] = ('on',)
    disturb: Sequence[str] = ('none', 'cores')
    model: str = 'nanodet_g'
    engine: str = 'auto'
    deadline_ms: float = 0.0
    max_batch: int = 2
    seconds: float = 6.0
    runs: int = 3

    def __post_init__(self):
        """Refuse what cannot be measured; raises ParameterError."""
        at_least_one('--cameras', [len(self.rates_hz)])
        above_zero('--rates', self.rates_hz)
        above_zero('--loads', self.loads)
        at_least_one('--max-batch', [self.max_batch])
        at_least_one('--runs', [self.runs])
        if self.deadline_ms:
            above_zero('--deadline-ms', [self.deadline_ms])
        if not 2.0 <= self.seconds < math.inf:
            raise ParameterError('--seconds', self.seconds, 'expected at least 2: half of it is '
                                 'measured before a disturbance, and half of it after')

    def rates(self, load: Optional[float], limit_hz: float) -> Dict[str, float]:
        """Return the rate of each camera by its name; `load` is a share of the limit."""
        scale = load * limit_hz / sum(self.rates_hz) if load else 1.0
        return {f'camera_{index}': round(scale * rate_hz, 3)
                for index, rate_hz in enumerate(self.rates_hz)}


@dataclasses.dataclass(frozen=True)
class _Bench:
    """What all runs of a bench share."""

    plan: Plan
    clock: object
    scratch: Path
    engine: str
    picture: Path
    profile: str
    deadline_ms: float


def run(clock, plan: Plan, save: Callable[[Dict], None] = ignore) -> Dict:
    """Run the bench; returns the results as a dict that JSON can hold.

    `save` gets the results after every run. In turn are measured the
    limit and one run of every row, so that whatever the machine does meets all alike.
    """
    for name in (*itertools.chain(*NODES.values()), 'replay', 'monitor'):
        executable(name)    # that ROS is not here is told before anything is measured
    ready([plan.model])
    deadline_ms = plan.deadline_ms or load_spec(plan.model).deadline_ms
    rows = [dict(zip(('mode', 'profile', 'late_policy', 'gates', 'load', 'disturb'), row), runs=[])
            for row in itertools.product(plan.modes, plan.profiles, plan.late_policies, plan.gates,
                                         plan.loads or (None,), plan.disturb)]
    with tempfile.TemporaryDirectory(prefix='s3dnn-bench-') as scratch:
        bench = None
        for index in range(plan.runs):
            alone = measure_limit(plan.model, plan.engine, _batches(plan), LIMIT_S)
            if bench is None:
                results = {'format': FORMAT, 'environment': environment(),
                           'device': alone['device'], 'engine': alone['versions'],
                           'model': plan.model, 'deadline_ms': deadline_ms,
                           'plan': dataclasses.asdict(plan), 'limits': [], 'overloads': rows}
                bench = _prepare(plan, clock, Path(scratch), alone['engine'], deadline_ms)
            limit = {'alone': alone, 'beside': []}
            results['limits'].append(limit)
            for load in plan.loads or (None,):
                rates_hz = plan.rates(load, alone['frames_hz'])
                limit['beside'].append(_beside(bench, rates_hz))
                _LOG.info(f'limit {index + 1} of {plan.runs}: '
                          f"{alone['frames_hz']:.1f} frames/s alone, "
                          f"{limit['beside'][-1]['frames_hz']:.1f} beside cameras that send "
                          f'{sum(rates_hz.values()):.0f}')
                for row in rows:
                    if row['load'] == load:
                        row['runs'].append(_run(bench, row, rates_hz, limit))
                        _LOG.info(_line(row))
                        save(results)
    return results


def _batches(plan) -> Sequence[int]:
    return sorted({1, plan.max_batch})


def _prepare(plan, clock, scratch, engine, deadline_ms) -> _Bench:
    """Write what the cameras show, and the profile if one is wanted."""
    write_picture(scratch / 'picture.png', (plan.width, plan.height))
    profile = ''
    if 'auto' in plan.profiles:
        _LOG.info(f'{plan.model}: measuring a profile …')
        profile = str(scratch / 'profile.json')
        measure_profile(plan.model, engine, profile, plan.max_batch, PROFILE_REPEATS)
    return _Bench(plan, clock, scratch, engine, scratch / 'picture.png', profile, deadline_ms)


def _beside(bench, rates_hz) -> Dict:
    """Return the limit while cameras send, the governor takes that in, and no executor runs."""
    parameters = _parameters(bench, {
        'profile': 'none', 'late_policy': 'drop', 'gates': 'on'}, rates_hz)
    with Processes(parameters, parameters.parent) as nodes:
        for name in ('governor', 'monitor', 'replay'):
            nodes.start(name)
        _wait_for(nodes, 'the cameras', lambda: CAMERAS_START in _log(nodes, 'replay'))
        probe = Probe({name: nodes.pid_of(name) for name in ('governor', 'replay')})
        limit = measure_limit(bench.plan.model, bench.engine, _batches(bench.plan), LIMIT_S)
        nodes.check()
        return {**limit, 'offered_hz': sum(rates_hz.values()), 'processes': probe.stop()}


def _run(bench, row, rates_hz, limit) -> Dict:
    """Return the figures of one run through the nodes."""
    lasting_s = DURATIONS_S[row['disturb']]
    span_s = bench.plan.seconds + lasting_s
    cameras_s = SETTLE_S + span_s + SPARE_S
    parameters = _parameters(bench, row, rates_hz, cameras_s)
    folder, clock, names = parameters.parent, bench.clock, NODES[row['mode']]
    with Processes(parameters, folder) as nodes:
        for name in (*names, 'monitor'):
            nodes.start(name)
        _wait_for(nodes, 'the executor', lambda: EXECUTOR_READY in _log(nodes, names[0]))
        nodes.start('replay')
        _wait_for(nodes, 'results', functools.partial(_has_results, folder / 'results.csv'))
        first_s = clock.now_s()
        _sleep_until(clock, first_s + SETTLE_S)
        probe = Probe({name: nodes.pid_of(name) for name in (*names, 'replay', 'monitor')})
        begin_s, disturbance_s = clock.now_s(), None
        if lasting_s:
            _sleep_until(clock, begin_s + bench.plan.seconds / 2.0)
            disturbed_s = clock.now_s()
            with disturbed(row['disturb'], nodes.pid_of(names[0])):
                _sleep_until(clock, disturbed_s + lasting_s)
            disturbance_s = disturbed_s, clock.now_s()
        _sleep_until(clock, begin_s + span_s)
        processes = probe.stop()
        nodes.wait('monitor', PATIENCE_S)   # until every frame is accounted for
    summary = json.loads((folder / 'summary.json').read_text())
    record = read_record(folder / 'results.csv', rates_hz, begin_s, begin_s + span_s,
                         disturbance_s)
    return {'offered_hz': sum(camera['frames'] for camera in summary['cameras'].values())
            / cameras_s,
            'limit_hz': {'alone': limit['alone']['frames_hz'],
                         'beside': limit['beside'][-1]['frames_hz']},
            **figures(record), 'dropped_by': drops(summary), 'processes': processes}


def _parameters(bench, row, rates_hz: Mapping[str, float], cameras_s=0.0) -> Path:
    """Write the parameters of a run into a folder of its own; cameras that last 0 s go on."""
    plan, folder = bench.plan, Path(tempfile.mkdtemp(dir=str(bench.scratch)))
    profile = bench.profile if row['profile'] == 'auto' else ''
    parameters = {
        'camera_names': list(rates_hz),
        'cameras': {name: {'transport': 'raw'} for name in rates_hz},
        'sources': {name: {'file': str(bench.picture), 'fps': rate_hz,
                           'phase_ms': _phase_ms(plan, index, rate_hz)}
                    for index, (name, rate_hz) in enumerate(rates_hz.items())},
        'duration_s': cameras_s,
        'instance_names': ['network'],
        'instances': {'network': {'model': plan.model, 'max_batch': plan.max_batch,
                                  'deadline_ms': plan.deadline_ms, 'profile': profile}},
        'engine': bench.engine, 'engine_gates': row['gates'] == 'on',
        'late_policy': row['late_policy'],
        'output_directory': str(folder), 'results_file': str(folder / 'results.csv'),
        'pictures': False, 'table': False, 'exit_when_finished': True,
    }
    file = folder / 'parameters.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    return file


def _phase_ms(plan, index, rate_hz):
    return 1e3 * index / len(plan.rates_hz) / rate_hz if plan.instants == 'spread' else 0.0


def _wait_for(nodes, what, has_come):
    """Wait until something has come; raises ProcessError if a node ends or it takes too long."""
    end_s = time.monotonic() + PATIENCE_S
    while not has_come():
        nodes.check()
        if time.monotonic() > end_s:
            raise ProcessError(f'{what} did not come in {PATIENCE_S:.0f} s; try it with '
                               '`s3dnn demo` first')
        time.sleep(LOOK_S)


def _log(nodes, name):
    return nodes.log_of(name).read_text(errors='replace')


def _has_results(path):
    """Tell whether there is a line behind the heads."""
    return path.is_file() and path.read_text().count('\n') > 1


def _sleep_until(clock, time_s):
    time.sleep(max(0.0, time_s - clock.now_s()))


def _line(row) -> str:
    last = row['runs'][-1]
    words = [f"{name_of(row)}: {last['in_time_hz']:.1f} of {last['offered_hz']:.0f} frames/s in "
             f"time, {shares(row, 'beside')[-1]:.0%} of the limit beside the cameras",
             f"missed {last['missed_share']:.1%}",
             f"p50 {last['latency_ms']['p50']:.0f} ms, p99 {last['latency_ms']['p99']:.0f} ms"]
    if last['jain'] is not None:
        words.append(f"Jain's index {last['jain']:.3f}")
    if last['phases']:
        recovery_s = last['phases']['recovery_s']
        words.append('not recovered' if recovery_s is None else
                     f'recovered after {recovery_s:.2f} s')
    return '; '.join(words)
