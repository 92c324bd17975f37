"""A network in a process of its own: how often it runs back to back, and its profile."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from concurrent.futures.process import BrokenProcessPool
from typing import Dict, Sequence

import numpy as np

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench.processes import ProcessError
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.models.cut_network import planned, whole
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.profiling.batch_timer import WARM_UP_RUNS
from s3dnn_ros.profiling.profiler import SHARED_LANES, make_plan, profile

# As `s3dnn profile` cuts.
TARGET_MS = 5.0


def measure_limit(model: str, engine: str, batches: Sequence[int], seconds: float) -> Dict:
    """Return how many frames per second a network carries at most, ready for JSON.

    It runs whole and back to back, with each of the batches for so many seconds; the best of
    them counts. Raises ProcessError if the process dies, or the engine refuses.
    """
    return _in_a_process(_limit, model, engine, tuple(batches), seconds)


def measure_profile(model: str, engine: str, path: str, max_batch: int, repeats: int) -> None:
    """Write a profile of a network, of few runs, to a file; raises ProcessError as above."""
    _in_a_process(_profile, model, engine, path, max_batch, repeats)


def _in_a_process(function, *args):
    context = multiprocessing.get_context('spawn')      # CUDA does not survive a fork
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        try:
            answer, refusal = pool.submit(_answer, function, *args).result()
        except BrokenProcessPool as error:
            raise ProcessError('the process that runs the network alone has died; see what it '
                               'printed') from error
    if refusal:
        raise ProcessError(refusal)
    return answer


def _answer(function, *args):
    """Return what a function returns, and why it refuses: our errors cannot be pickled."""
    try:
        return function(*args), ''
    except S3dnnError as error:
        return None, str(error)


def _limit(model, engine_name, batches, seconds):
    clock = SystemClock()
    engine, _ = make_engine(engine_name, clock)
    spec = load_spec(model)
    network = whole(spec).load(engine, max_batch=max(batches))
    rates_hz = {str(batch): _rate_hz(network, clock, (batch, spec.height, spec.width, 3), seconds)
                for batch in batches if batch <= network.largest}
    told = {'engine': engine.name, 'device': engine.device, 'versions': dict(engine.versions),
            'frames_hz': max(rates_hz.values()), 'by_batch': rates_hz}
    engine.close()
    return told


def _rate_hz(network, clock, shape, seconds):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for _ in range(WARM_UP_RUNS):
        network.run(images)
    frames, begin_s = 0, clock.now_s()
    while clock.now_s() < begin_s + seconds:
        network.run(images)
        frames += shape[0]
    return frames / (clock.now_s() - begin_s)


def _profile(model, engine_name, path, max_batch, repeats):
    engine, _ = make_engine(engine_name, SystemClock())
    spec = load_spec(model)
    plan = make_plan(engine, spec, target_ms=TARGET_MS)
    network = planned(spec, plan).load(engine, lanes=SHARED_LANES, max_batch=max_batch)
    profile(engine, spec, plan, network, batches=range(1, max_batch + 1),
            repeats=repeats).save(path)
    engine.close()
