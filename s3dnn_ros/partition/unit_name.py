"""Names of units: an engine, its device, and what it has of the device."""

from __future__ import annotations

import dataclasses
import re
from typing import Dict

from s3dnn_ros.errors import ParameterError

# By engine: what a device may be called in full, and which one it is if nobody says so.
_DEVICES = {'onnxruntime': (r'cpu|openvino:(cpu|gpu|npu)', 'cpu'),
            'torch': (r'cuda:(0|[1-9][0-9]?)', 'cuda:0'),
            'tensorrt': (r'gpu:(0|[1-9][0-9]?)|dla:[0-9]', 'gpu:0')}
_SHORT = {'openvino': 'openvino:gpu', 'cuda': 'cuda:0', 'gpu': 'gpu:0'}
_OPTIONS = ('threads', 'sms', 'copy')
_MOST = 4096
_EXPECTED = ('expected ENGINE:DEVICE such as onnxruntime:cpu,threads=2, onnxruntime:openvino, '
             'torch:cuda:0, tensorrt:gpu,sms=64 or tensorrt:dla0')


@dataclasses.dataclass(frozen=True)
class UnitName:
    """An engine, its device, and what it has of the device.

    Attributes
    ----------
    engine : str
        Name of an engine: onnxruntime, torch or tensorrt.
    device : str
        In full: `cpu` or `openvino:gpu` of onnxruntime, `cuda:0` of torch, `gpu:0` or `dla:0` of
        tensorrt.
    threads : int
        Threads of a unit on the CPU; 0: one for each core.
    sms : int
        Multiprocessors of a GPU that the unit has for itself; 0: all.
    copy : int
        Tells units apart that are alike otherwise, from 1.

    """

    engine: str
    device: str
    threads: int = 0
    sms: int = 0
    copy: int = 1

    def __post_init__(self):
        """Refuse what no unit is; raises ParameterError."""
        if self.engine not in _DEVICES or not re.fullmatch(_DEVICES[self.engine][0], self.device):
            raise ParameterError('unit', f'{self.engine}:{self.device}', _EXPECTED)
        on_gpu = self.device.startswith(('cuda:', 'gpu:'))
        if self.threads and self.engine != 'onnxruntime':
            raise ParameterError('unit', str(self), 'threads are for units on the CPU; leave them '
                                 'out')
        if self.sms and not on_gpu:
            raise ParameterError('unit', str(self), 'sms are for units on a GPU of NVIDIA; leave '
                                 'them out')

    @classmethod
    def parse(cls, text: str) -> UnitName:
        """Return the unit of a name such as `torch:cuda:0,sms=64`; raises ParameterError.

        Without a device it is the engine's first one.
        """
        place, *options = text.strip().split(',')
        engine, _, device = place.partition(':')
        if engine not in _DEVICES:
            raise ParameterError('unit', text, _EXPECTED)
        device = re.sub(r'^(gpu|dla)([0-9]+)$', r'\1:\2', device) or _DEVICES[engine][1]
        values: Dict[str, int] = {}
        for option in options:
            name, _, value = option.partition('=')
            if name not in _OPTIONS or name in values or not (
                    re.fullmatch(r'[0-9]{1,4}', value) and 1 <= int(value) <= _MOST):
                raise ParameterError('unit', text, f"'{option}' is none of its options; expected "
                                     f"{', '.join(_OPTIONS)}, each once and from 1 to {_MOST}, "
                                     'such as threads=2')
            values[name] = int(value)
        return cls(engine, _SHORT.get(device, device), **values)

    def __str__(self) -> str:
        """Return the name in full, as tables have it."""
        options = [f'{name}={getattr(self, name)}' for name in _OPTIONS
                   if getattr(self, name) != type(self).__dataclass_fields__[name].default]
        return ','.join([f'{self.engine}:{self.device}', *options])

    @property
    def number(self) -> int:
        """Return which GPU or DLA it is, from 0; 0 for the others."""
        last = self.device.rpartition(':')[2]
        return int(last) if last.isdecimal() else 0
