"""NeuOS's experiment: cohorts under load, the modes beside what others do, in a closed loop.

All contenders run on one engine, with the same networks, arrivals and scheduler; they differ
in who chooses the device's configuration and the networks' variants.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import gc
import logging
import random
import statistics
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.contenders import CONTENDERS, Contender, ContenderChooser
from s3dnn_ros.bench.energy_log import EnergyLog
from s3dnn_ros.bench.environment import engine_record, environment
from s3dnn_ros.bench.interference import Interference
from s3dnn_ros.bench.load import SETTLE_S, SUPERVISED, Client, Rig, mix
from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.networks import Prepared, ready
from s3dnn_ros.bench.neuos_results import FORMAT, HALVES
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.bench.record import Record, percentiles_us
from s3dnn_ros.bench.variant_networks import load_in_variants

_LOG = logging.getLogger(__name__)

MODELS = ('nanodet_g', 'resnet50', 'yolo_s')
INSTANCES = (1, 4, 8)
RATIOS = (1.0, 0.8, 0.6, 0.4)
# Deadlines are a multiple of the time that a request takes alone in the fastest configuration;
# periods are such that all together would keep one that runs them one by one so busy, but none
# is shorter than the deadline.
DEADLINE_FACTORS = (2.0, 4.0)
SERIAL_LOAD = 0.6
# So long the device rests to learn its idle power.
IDLE_S = 2.0
# So many answers of a half are judged, of those that are not exact, evenly spread: no two may
# have run alike.
JUDGED = 80


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much to measure."""

    models: Sequence[str] = MODELS
    instances: Sequence[int] = INSTANCES
    contenders: Sequence[Contender] = CONTENDERS
    ratios: Sequence[float] = RATIOS
    runs: int = 3
    seconds: float = 6.0
    target_ms: float = 0.5
    repeats: int = 30

    def __post_init__(self):
        """Refuse too little to measure; raises ParameterError."""
        at_least_one('--runs', [self.runs])
        at_least_one('--instances', self.instances)
        above_zero('--seconds', [self.seconds])
        above_zero('--target-ms', [self.target_ms])


@dataclasses.dataclass(frozen=True)
class Device:
    """What contenders set and what is read of it.

    Attributes
    ----------
    engine, clock : Engine, Clock
    platform : callable
        Returns the Platform, anew for each run: it is restored at a run's end.
    energy_mj : callable
        Returns what the device has used; always the same if nobody can tell.

    """

    engine: Any
    clock: Any
    platform: Callable[[], Any]
    energy_mj: Callable[[], float] = float


def run(device: Device, plan: Plan, pictures, save=ignore) -> Dict:
    """Run the experiment; returns the results as a dict that JSON can hold.

    `pictures` returns for a ModelSpec images to calibrate on, and others to measure fidelity
    on. `save` gets the results after every row.
    """
    results: Dict = {'format': FORMAT, 'environment': environment(),
                     **engine_record(device.engine), 'models': {}, 'cohorts': []}

    def note(sentence):
        _LOG.info(sentence)
        save(results)

    ready(plan.models)
    lanes = collections.Counter(model for _, model in mix(max(plan.instances), plan.models))
    bench = Bench(device, plan, lanes, pictures, results, note)
    # a garbage collection would walk all that was loaded, and take 100 ms for it
    gc.freeze()
    with Interference(device.engine.name, device.engine.options, plan.models[0]) as interference:
        results['idle_w'] = bench.idle_w()
        note(f"idle: {_or_unknown(results['idle_w'], 1)} W")
        for count in plan.instances:
            bench.cohort(count, interference, results)
    note('done')
    return results


class Bench:
    """Networks with variants on a device with configurations, ready for any number of runs."""

    def __init__(self, device: Device, plan: Plan, lanes: Mapping[str, int], pictures,
                 results: Dict, note):
        self._device = device
        self._plan = plan
        self._note = note
        with contextlib.closing(device.platform()) as platform:
            self._names = [one.name for one in platform.configurations]
            loaded = {}
            for name, count in lanes.items():
                loaded[name] = load_in_variants(
                    device.engine, platform, device.clock, name, pictures, ratios=plan.ratios,
                    target_ms=plan.target_ms, repeats=plan.repeats, lanes=count)
                results['models'][name] = loaded[name].record
                note(f'{name}: {loaded[name]}')
        self._tables = {name: each.tables for name, each in loaded.items()}
        self._judges = {name: each.judge for name, each in loaded.items()}
        networks = {name: each.network for name, each in loaded.items()}
        profiles = {name: each.profile for name, each in loaded.items()}
        shapes = {name: (each.spec.height, each.spec.width) for name, each in loaded.items()}
        rig = Rig(networks, profiles, device.engine, device.clock, shapes, max_batch=1)
        self._prepared = Prepared(device.engine, rig, networks, profiles, {})
        self._alone_ms = {name: self._prepared.alone_ms(name) for name in networks}
        results['alone_ms'] = self._alone_ms
        note(f'alone: {self._alone_ms}')

    def idle_w(self) -> Optional[float]:
        """Return what the device draws with everything loaded and nothing to do."""
        with self._energy() as energy:
            begin_s = self._device.clock.now_s()
            time.sleep(IDLE_S)
            # clocks fall and meters average for a while
            return energy.power_w(begin_s + IDLE_S / 2, begin_s + IDLE_S)

    def cohort(self, count: int, interference: Interference, results: Dict):
        """Run all contenders with so many instances."""
        names = mix(count, self._plan.models)
        row: Dict = {'instances': count, 'contenders': {}}
        results['cohorts'].append(row)
        for contender in self._plan.contenders:
            runs = []
            for seed in range(self._plan.runs):
                runs.append(self._run(self._clients(names, seed), contender, interference,
                                      results['idle_w']))
            row['contenders'][contender.name] = runs
            for half in HALVES:
                self._note(f'{count:3} instances, {contender.name:19} {half:10}'
                           + _line([run[half] for run in runs]))

    def _clients(self, names, seed):
        chance = random.Random(seed)
        clients = []
        for name, model in names:
            alone_s = self._alone_ms[model] / 1e3
            deadline_s = chance.uniform(*DEADLINE_FACTORS) * alone_s
            period_s = max(deadline_s, alone_s * len(names) / SERIAL_LOAD)
            clients.append(Client(name, model, deadline_s, period_s,
                                  chance.uniform(0.0, period_s)))
        return clients

    def _run(self, clients, contender, interference, idle_w) -> Dict:
        clock, seconds = self._device.clock, self._plan.seconds
        closed = ContenderChooser(self._device.platform(), self._tables, contender, clock)
        disturb = threading.Timer(SETTLE_S + seconds / 2, interference.switch, [True])
        run = self._prepared.rig.run(clients, SUPERVISED, chooser=closed)
        with self._energy() as energy:
            disturb.start()
            try:
                record = run.record(seconds)
            finally:
                disturb.join()
                interference.switch(False)
                closed.close()
        middle_s = record.begin_s + seconds / 2
        ends_s = (record.begin_s, middle_s, record.end_s)
        halves = {half: self._half(dataclasses.replace(record, begin_s=begin_s, end_s=end_s),
                                   closed, energy, idle_w)
                  for half, begin_s, end_s in zip(HALVES, ends_s, ends_s[1:])}
        return {**halves, 'boundary_us': percentiles_us(closed.times_ns),
                'transitions': closed.transitions,
                'transition_s': closed.transition_s}

    def _half(self, record: Record, closed, energy, idle_w) -> Dict:
        measured = record.measured(self._prepared.alone_s)
        seconds = record.end_s - record.begin_s
        power_w = energy.power_w(record.begin_s, record.end_s)
        known = None not in (power_w, idle_w)
        answers: Dict[str, List[Tuple[int, ...]]] = collections.defaultdict(list)
        for answer in record.answers:
            if record.begin_s <= answer.ended_s < record.end_s:
                answers[record.models[answer.client]].append(answer.variants)
        exact = sum(not any(variants) for given in answers.values() for variants in given)
        kept = fidelity_by_model(self._judges, answers)
        count = sum(map(len, answers.values()))
        return {
            'missed_share': measured.missed_share, 'missed_by_client': measured.missed_by_client,
            'response_ms': measured.response_ms, 'finished_hz': measured.finished_hz,
            'power_w': power_w, 'energy_j': power_w * seconds if known else None,
            'above_idle_j': (power_w - idle_w) * seconds if known else None,
            'fidelity': sum(kept[model] * len(given) for model, given in answers.items()) / count
            if count else None,
            'fidelity_by_model': kept, 'exact_share': exact / max(1, count),
            'configurations': {self._names[index]: share for index, share in
                               closed.shares(record.begin_s, record.end_s).items()}}

    def _energy(self):
        return EnergyLog(self._device.energy_mj, self._device.clock)


def fidelity_by_model(judges: Mapping[str, Any],
                      answers: Mapping[str, Sequence[Tuple[int, ...]]]) -> Dict[str, float]:
    """Return the mean fidelity of each model's answers, given as the variants they ran in.

    The exact ones need no judge, and of the others each model has as large a part judged as
    another: sampling adds nothing to what is alike.
    """
    coarse = {model: [variants for variants in given if any(variants)]
              for model, given in answers.items()}
    step = 1 + sum(map(len, coarse.values())) // JUDGED
    result = {}
    for model, given in answers.items():
        judged = [judges[model].fidelity(variants) for variants in coarse[model][::step]]
        share = len(coarse[model]) / len(given)
        result[model] = 1.0 - share * (1.0 - statistics.fmean(judged)) if judged else 1.0
    return result


def _line(halves: Sequence[Mapping]) -> str:
    """Return the figures of one half of all runs."""
    def of(name, factor, digits):
        values = [half[name] for half in halves]
        return 'unknown' if None in values else spread([factor * value for value in values],
                                                       digits)

    set_to: Dict[str, float] = collections.defaultdict(float)
    for half in halves:
        for name, share in half['configurations'].items():
            set_to[name] += share / len(halves)
    return (f"missed {of('missed_share', 1e2, 2)} %, p99 "
            f"{max(half['response_ms'].get('p99', 0.0) for half in halves):.1f} ms, fidelity "
            f"{of('fidelity', 1.0, 3)}, exact {of('exact_share', 1e2, 0)} %, above idle "
            f"{of('above_idle_j', 1.0, 1)} J, " + ' '.join(
                f'{name} {share:.0%}' for name, share in sorted(
                    set_to.items(), key=lambda item: -item[1])[:3]))


def _or_unknown(value, digits):
    return 'unknown' if value is None else f'{value:.{digits}f}'
