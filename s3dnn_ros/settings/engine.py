"""The engine's parameters, part of the executor's."""

from __future__ import annotations

import dataclasses
from typing import Sequence, Tuple

from s3dnn_ros.engines.base import ENGINES, PRECISIONS, UNITS, BuildOptions
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.partition.unit_name import UnitName
from s3dnn_ros.settings.parameters import parameter


@dataclasses.dataclass(frozen=True)
class EngineSettings:
    """Which engine runs the networks, and how it builds them: `engine`, `engine_…`."""

    name: str = parameter('auto', 'Inference engine. auto: the first that works here. units: '
                          'those of engine_units, over which batches are split that one unit '
                          'alone would finish too late.', choices=('auto', *ENGINES, UNITS),
                          called='engine')
    units: Tuple[str, ...] = parameter((), 'units: an engine, a device and a part of it each, '
                                       'such as torch:cuda:0, torch:cuda:0,sms=32, tensorrt:gpu, '
                                       'tensorrt:dla0, onnxruntime:cpu,threads=2, '
                                       'onnxruntime:openvino.')
    pinned_units: Tuple[str, ...] = parameter((), 'units: those of engine_units that may run. '
                                              'Empty: all.', live=True)
    precision: str = parameter('fp16', 'tensorrt, torch: in what networks are computed. int8, for '
                               'tensorrt alone, takes `s3dnn build MODEL --precision int8` '
                               'beforehand, which calibrates on images.', choices=PRECISIONS)
    dla: int = parameter(-1, 'tensorrt: the core of the deep learning accelerator (DLA) of a '
                         'Xavier or Orin to run on, with the GPU for layers that it does not '
                         'take. -1: the GPU alone.', low=-1, high=3)
    workspace_mb: int = parameter(0, 'tensorrt: most scratch memory of a segment. 0: what '
                                  'TensorRT thinks best; 1024 before 8.4.', low=0, high=65536)
    optimum: int = parameter(0, 'tensorrt: the batch for which kernels are chosen; others run, '
                             'too. 0: the largest.', low=0, high=64)
    optimization_level: int = parameter(
        -1, 'tensorrt, 8.6 and later: how much it tries to make a network quick, from 0, which '
        'takes what it finds first, to 5; the higher, the longer a build takes. -1: its own, 3.',
        low=-1, high=5)
    build_limit_s: float = parameter(1800.0, 'tensorrt: a segment that takes longer to build runs '
                                     'on the CPU.', low=1.0, high=86400.0)
    graphs: bool = parameter(True, 'tensorrt: run segments as CUDA graphs, which start quicker '
                             'and take more memory.')
    gates: bool = parameter(True, 'tensorrt, torch: jobs wait on the device between segments, '
                            'where CUDA can; the log says so where not. supervised then launches '
                            'a network as a whole, and opens and holds it (not in a cohort, with '
                            'order slack or without overlap: these decide at every segment). '
                            'false: the host launches every segment.')
    sms: int = parameter(0, 'tensorrt, torch: streaming multiprocessors of a discrete GPU to take '
                         'for itself, rounded up to what the GPU can split off. 0: all of them.',
                         low=0, high=1024)
    threads: int = parameter(0, 'CPU threads of one network run. 0: one per core.',
                             low=0, high=256)

    def check(self):
        """Refuse what no engine builds, and what is no unit; raises ParameterError."""
        self.build_options()
        if bool(self.units) != (self.name == UNITS):
            raise ParameterError('engine_units', list(self.units), 'say engine: units, and name '
                                 'at least one unit')
        units = _in_full(self.units)
        for name in self.pinned_names:
            if name not in units:
                raise ParameterError('engine_pinned_units', name, 'expected units that '
                                     'engine_units has')

    @property
    def pinned_names(self) -> Tuple[str, ...]:
        """Return `pinned_units` in full; raises ParameterError for what is no unit."""
        return _in_full(self.pinned_units)

    def build_options(self) -> BuildOptions:
        """Return how the engine is to build networks; ParameterError for what no engine does."""
        return BuildOptions(self.precision, self.dla, self.workspace_mb, self.optimum,
                            graphs=self.graphs, limit_s=self.build_limit_s,
                            optimization_level=self.optimization_level)


def _in_full(names: Sequence[str]) -> Tuple[str, ...]:
    return tuple(str(UnitName.parse(name)) for name in names)
