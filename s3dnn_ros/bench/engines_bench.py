"""Engines beside each other: how exact they are, how long networks take, whole and cut, to load.

All run the same networks on the same images, in one process, cut at the same tensors: those that
suit the first engine. Exact is what ONNX Runtime computes of the whole network on the CPU.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import statistics
import time
from typing import Dict, List, Mapping, Sequence

import numpy as np

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.bench.engines_results import FORMAT
from s3dnn_ros.bench.environment import engine_record, environment
from s3dnn_ros.bench.markdown import spread
from s3dnn_ros.bench.networks import MAX_ALIVE, ready
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.engines import make_engine
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.models.cut_network import CutNetwork, planned, whole
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.profiling.profiler import WARM_UP_RUNS, make_plan

_LOG = logging.getLogger(__name__)

MODELS = ('resnet50', 'vgg16', 'alexnet', 'nanodet_g')
ENGINES = ('torch', 'tensorrt')
PRECISIONS = ('fp32', 'fp16')
EXACT = 'onnxruntime'
# Images on which outputs are compared.
PICTURES = 4


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much to measure, and how networks are built, whatever precision `build` has."""

    models: Sequence[str] = MODELS
    engines: Sequence[str] = ENGINES
    precisions: Sequence[str] = PRECISIONS
    runs: int = 5
    repeats: int = 100
    target_ms: float = 0.3
    build: BuildOptions = BuildOptions()

    def __post_init__(self):
        """Refuse too little to measure; raises ParameterError."""
        at_least_one('--runs', [self.runs])
        at_least_one('--repeats', [self.repeats])
        above_zero('--target-ms', [self.target_ms])
        if 'int8' in self.precisions:
            raise ParameterError('--precisions', 'int8', 'has no place here, because it takes '
                                 'calibration; expected fp32, fp16 or both')


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network, whole and cut, as everyone is to run it, and what it should answer."""

    whole: CutNetwork
    chain: CutNetwork
    images: np.ndarray
    exact: Sequence[Mapping[str, np.ndarray]]


def run(clock, plan: Plan, pictures, save=ignore) -> Dict:
    """Run the bench; returns the results as a dict that JSON can hold.

    `pictures` returns Pictures for a ModelSpec. `save` gets the results after every row.
    """
    results: Dict = {'format': FORMAT, 'environment': environment(), 'rows': []}
    ready(plan.models)
    for name in plan.models:
        subject = _subject(clock, name, plan, pictures)
        for engine_name in plan.engines:
            for precision in plan.precisions:
                row = _row(clock, subject, engine_name, precision, plan)
                results['rows'].append(row)
                _LOG.info(_line(row))
                save(results)
    return results


def worst_error(exact: Sequence[Mapping[str, np.ndarray]],
                found: Sequence[Mapping[str, np.ndarray]]) -> float:
    """Return the largest difference of any output, over the largest number of that output.

    Of all images together: an output that is near zero on one of them has no scale of its own.
    """
    errors = []
    for name in exact[0]:
        wanted = np.stack([outputs[name] for outputs in exact]).astype(np.float64)
        given = np.stack([outputs[name] for outputs in found]).astype(np.float64)
        errors.append(float(np.abs(given - wanted).max() / max(np.abs(wanted).max(), 1e-30)))
    return max(errors)


def _subject(clock, name, plan, pictures) -> Subject:
    """Return a network with its cuts, by the first engine, and its exact answers."""
    spec = load_spec(name)
    images = pictures(spec).held_out[:PICTURES]
    with _engine(plan.engines[0], clock, plan.precisions[0], plan.build) as engine:
        cuts = make_plan(engine, spec, target_ms=plan.target_ms, max_alive=MAX_ALIVE)
    with _engine(EXACT, clock, 'fp32', plan.build) as engine:
        one = whole(spec)
        exact = _answers(one.load(engine), images)
    return Subject(one, planned(spec, cuts), images, exact)


def _row(clock, subject: Subject, engine_name, precision, plan: Plan) -> Dict:
    """Return what was measured of a network on an engine."""
    name = subject.whole.spec.name
    with _engine(engine_name, clock, precision, plan.build) as engine:
        def load(cut):
            begun_s, before = time.perf_counter(), engine.built
            network = cut.load(engine)
            return network, {'s': time.perf_counter() - begun_s, 'built': engine.built - before}

        one, whole_load = load(subject.whole)
        _, first_load = load(subject.chain)
        chain, second_load = load(subject.chain)
        networks = {'whole': one, 'chain': chain}
        times_ms: Dict[str, List[float]] = {kind: [] for kind in networks}
        # in turn, so that whatever the clocks do meets both alike
        for _ in range(plan.runs):
            for kind, network in networks.items():
                network.measure(1, WARM_UP_RUNS)
                times_ms[kind].append(1e3 * statistics.median(
                    sum(times_s) for times_s in network.measure(1, plan.repeats)))
        return {
            'model': name, 'segments': len(subject.chain.segments), 'precision': precision,
            'computes_in': engine.precision, **engine_record(engine), 'name': engine.name,
            'notes': [network.note for network in networks.values() if network.note],
            'errors': {kind: worst_error(subject.exact, _answers(network, subject.images))
                       for kind, network in networks.items()},
            'times_ms': times_ms,
            'chain_over_whole': [chain_ms / whole_ms for chain_ms, whole_ms
                                 in zip(times_ms['chain'], times_ms['whole'])],
            'load': {'whole': whole_load, 'first': first_load, 'second': second_load}}


@contextlib.contextmanager
def _engine(name, clock, precision, build):
    engine, _ = make_engine(name, clock, build=dataclasses.replace(build, precision=precision))
    try:
        yield engine
    finally:
        engine.close()


def _answers(network, images):
    return [network.run(image[np.newaxis]) for image in images]


def _line(row) -> str:
    load = row['load']
    return (f"{row['model']:10} {row['name']:11} {row['precision']}  error "
            f"{row['errors']['whole']:.1e}, cut {row['errors']['chain']:.1e}; whole "
            f"{spread(row['times_ms']['whole'], 3)} ms, in {row['segments']} segments "
            f"{spread(row['times_ms']['chain'], 3)} ms, {spread(row['chain_over_whole'], 3)} "
            f"times as long; loads in {load['first']['s']:.1f} s, again in "
            f"{load['second']['s']:.2f} s, "
            f"{'with something' if load['second']['built'] else 'nothing'} built")
