"""From the names of units to units."""

from __future__ import annotations

import collections
import dataclasses
from typing import Dict, List, Sequence

from s3dnn_ros.engines import make_engine
from s3dnn_ros.engines.base import DEFAULTS, BuildOptions, Engine
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.partition.unit_name import UnitName
from s3dnn_ros.units.unit import Unit


def open_units(names: Sequence[str], clock, build: BuildOptions = DEFAULTS) -> List[Unit]:
    """Return the units of these names.

    Parts of one GPU lie one behind the other, in the order of the names.

    Parameters
    ----------
    names : sequence of str
        As `UnitName.parse` takes them.
    clock : Clock
    build : BuildOptions
        For all units; the DLA is that of the name.

    Raises
    ------
    ParameterError
        Two names are of the same unit, or one is of a unit that does not work here.
    EngineError
        A GPU has not as many multiprocessors as all its units take together.

    """
    parsed = [UnitName.parse(name) for name in names]
    for name in parsed:
        if parsed.count(name) > 1:
            raise ParameterError('units', str(name), 'is there twice; give the second one '
                                 'copy=2, or leave it out')
    taken_sms: Dict[int, int] = collections.Counter()      # by GPU
    units: List[Unit] = []
    try:
        for name in parsed:
            unit = _open(name, clock, build, taken_sms[name.number] if name.sms else 0)
            taken_sms[name.number] += unit.engine.sms
            units.append(unit)
    except Exception:
        for unit in units:
            unit.close()
        raise
    return units


def _open(name: UnitName, clock, build: BuildOptions, behind_sms: int) -> Unit:
    def make() -> Engine:
        try:
            return _MAKERS[name.engine](name, clock, build, behind_sms)
        except ImportError as error:
            raise ParameterError('units', str(name), f'does not work here ({error})') from error
    return Unit(str(name), make)


def _onnxruntime(name, clock, build, behind_sms):
    where, _, device = name.device.partition(':')
    if where != 'openvino':
        return make_engine('onnxruntime', clock, name.threads)[0]
    from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
    return OnnxRuntimeEngine(clock, name.threads, device.upper())


def _torch(name, clock, build, behind_sms):
    import torch
    if name.number >= torch.cuda.device_count():
        raise ParameterError('units', str(name), f'is none: PyTorch finds '
                             f'{torch.cuda.device_count()} GPUs here, counted from 0')
    # the engine takes what is current in its thread
    torch.cuda.set_device(name.number)
    return make_engine('torch', clock, sms=name.sms, build=build, behind_sms=behind_sms)[0]


def _tensorrt(name, clock, build, behind_sms):
    if name.device.startswith('dla'):
        build = dataclasses.replace(build, dla=name.number)
    elif name.number:
        raise ParameterError('units', str(name), 'TensorRT runs on the first GPU here; '
                             'take torch for another one')
    return make_engine('tensorrt', clock, sms=name.sms, build=build, behind_sms=behind_sms)[0]


_MAKERS = {'onnxruntime': _onnxruntime, 'torch': _torch, 'tensorrt': _tensorrt}
