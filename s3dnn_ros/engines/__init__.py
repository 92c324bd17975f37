"""Inference engines, chosen by name in one place."""

import importlib.util
import sys

from s3dnn_ros.engines.base import DEFAULTS, ENGINES
from s3dnn_ros.engines.cuda_library import look_for_driver
from s3dnn_ros.errors import ParameterError


def make_engine(name, clock, threads=0, sms=0, build=DEFAULTS, gates=False, behind_sms=0):
    """Return (engine, reason): the engine of this name, or for `auto` the first that works.

    `reason` says why it is this one, and what is wrong with those that come before it. `build`
    is for an engine that builds networks ahead. `sms` is how many multiprocessors of a GPU it is
    to have for itself, 0 for all, or several such numbers to change between; they lie behind the
    first `behind_sms`, which other engines have. With `gates`, segments wait on the device where
    the engine can have that (torch and tensorrt).

    Raises
    ------
    ParameterError
        The engine, or with `auto` every engine, cannot be used here.

    """
    refusals = []
    candidates = ENGINES if name == 'auto' else (name,)
    # of all engines, only this one can change what part of the GPU it takes
    several = not isinstance(sms, int)
    for candidate in sorted(candidates, key='torch'.__ne__) if several and sms else candidates:
        try:
            engine = _make(candidate, clock, threads, sms, build, gates, behind_sms)
        except ImportError as error:
            refusals.append(f'{candidate}: {error}')
        else:
            reasons = ['as wanted'] if name != 'auto' else [
                'auto: the first that works here', *refusals]
            if sms and not (hasattr(engine, 'partitions') if several else engine.sms):
                reasons.append('it has no multiprocessors to choose')
            if gates:
                reasons += filter(None, [getattr(engine, 'gates_note', '')])
            if build.precision not in (DEFAULTS.precision, engine.precision):
                reasons.append(f'it computes in {engine.precision}, not in {build.precision}')
            return engine, '; '.join(reasons)
    raise ParameterError('engine', name, 'no such engine works here (' + '; '.join(refusals)
                         + '); install one, for example `pip install onnxruntime`')


def _make(name, clock, threads, sms, build, gates, behind_sms):
    if name in ENGINES:
        _look_for(name)
    if name in ('tensorrt', 'torch'):
        look_for_driver()   # to import either takes seconds
    if name == 'tensorrt':
        from s3dnn_ros.engines.tensorrt.engine import TensorRtEngine
        return TensorRtEngine(clock, build, sms if isinstance(sms, int) else 0, gates, behind_sms)
    if name == 'torch':
        from s3dnn_ros.engines.torch.engine import TorchEngine
        return TorchEngine(clock, sms, build, gates, behind_sms)
    if name == 'onnxruntime':
        from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
        return OnnxRuntimeEngine(clock, threads)
    raise ParameterError('engine', name, 'expected auto or one of ' + ', '.join(ENGINES))


def _look_for(package):
    """Raise ImportError if a package is not installed, before all that works with it is loaded."""
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise ImportError(f"No module named '{package}'")
