"""A translated network: a list of torch functions that a CUDA graph can capture."""

from __future__ import annotations

import dataclasses
import functools
from typing import Callable, Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import torch

from s3dnn_ros.engines.torch.onnx_operators import Unsupported
from s3dnn_ros.engines.torch.weight_pool import WeightPool
from s3dnn_ros.errors import ModelError

INSTEAD = 'use the engine onnxruntime or tensorrt'


@dataclasses.dataclass(frozen=True)
class Step:
    """A function, the tensors it reads and makes, and those that nobody reads afterwards.

    `on_host` tells per argument whether the function reads its values on the host;
    `shapes_only` that the results depend on nothing but the shapes of the network's inputs.
    """

    kind: str
    function: Callable
    arguments: Tuple[str, ...]
    on_host: Tuple[bool, ...]
    results: Tuple[str, ...]
    shapes_only: bool
    last: Tuple[str, ...] = ()

    def run(self, arguments: Sequence[Optional[torch.Tensor]]) -> Dict[str, torch.Tensor]:
        """Return the results that somebody needs, by name."""
        results = self.function(*arguments)
        results = results if isinstance(results, tuple) else (results,)
        return {name: tensor for name, tensor in zip(self.results, results) if name}

    def done(self, values: Mapping[str, torch.Tensor]) -> bool:
        """Tell whether all results are there already."""
        return all(name in values for name in self.results if name)


@dataclasses.dataclass(frozen=True)
class _Known:
    """What inputs of certain shapes determine: values on the host, copies on the device."""

    host: Dict[str, torch.Tensor]
    device: Dict[str, torch.Tensor] = dataclasses.field(default_factory=dict)


class TranslatedNetwork(torch.nn.Module):
    """Takes the inputs of a network in graph order, returns a tuple of its outputs.

    The first run with inputs of certain shapes computes on the host what follows from them;
    later runs only start kernels. So it has to come before a capture with these shapes.
    """

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str], steps: Sequence[Step],
                 constants: Mapping[str, torch.Tensor], *, half: bool,
                 keep_half: Collection[str], source: str):
        super().__init__()
        self.input_names, self.output_names = tuple(inputs), tuple(outputs)
        self._half, self._keep_half, self._source = half, frozenset(keep_half), source
        self._steps = _with_last_uses(steps, outputs)
        read = {pair for step in steps for pair in zip(step.arguments, step.on_host)}
        read.update((name, False) for name in outputs)
        self._constants = {name: constants[name] for name, on_host in read
                           if on_host and name in constants}
        self._buffer_names = {}
        for name in sorted(name for name, on_host in read
                           if not on_host and name in constants):
            self._buffer_names[name] = f'constant_{len(self._buffer_names)}'
            self.register_buffer(self._buffer_names[name], self._stored(constants[name]))
        self._known_by_shapes: Dict[Tuple, _Known] = {}

    def forward(self, *inputs: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Run; raises ModelError if inputs of these shapes ask for what torch cannot do."""
        known = self._known_by_shapes.setdefault(
            tuple((x.device, x.shape) for x in inputs), _Known(dict(self._constants)))
        values = {name: self._buffers[key] for name, key in self._buffer_names.items()}
        values.update(known.device)
        values.update(zip(self.input_names, map(self._inside, inputs)))

        def fetched(name: str, on_host: bool) -> Optional[torch.Tensor]:
            if not name or on_host:
                return known.host.get(name)
            if name not in values:
                known.device[name] = self._stored(known.host[name]).to(inputs[0].device)
                values[name] = known.device[name]
            return values[name]

        for step in self._steps:
            target = known.host if step.shapes_only else values
            if not step.shapes_only or not step.done(target):
                target.update(self._run(step, list(map(fetched, step.arguments, step.on_host))))
            for name in step.last:
                values.pop(name, None)
        return tuple(self._outside(name, fetched(name, False)) for name in self.output_names)

    def weights(self) -> Dict[str, torch.Tensor]:
        """Return the constants that run on the device, by their names in the network."""
        return {name: self._buffers[key] for name, key in self._buffer_names.items()}

    def around(self, result: str, function: Callable) -> None:
        """Let a function compute a tensor in place of the step that does.

        It is called with the step's function and that one's arguments, weights among them.
        """
        for index, step in enumerate(self._steps):
            if result in step.results:
                self._steps[index] = dataclasses.replace(
                    step, function=functools.partial(function, step.function))

    def share(self, pool: WeightPool) -> TranslatedNetwork:
        """Read weights where the networks of a pool have equal ones; return the network."""
        for key, tensor in self._buffers.items():
            self._buffers[key] = pool.shared(tensor)
        return self

    def _run(self, step: Step, arguments: Sequence[Optional[torch.Tensor]]):
        try:
            return step.run(arguments)
        except Unsupported as error:
            raise ModelError(self._source, f'{step.kind} {error} cannot be translated to torch; '
                                           f'{INSTEAD}') from error

    def _inside(self, x: torch.Tensor) -> torch.Tensor:
        return x.half() if self._half and x.is_floating_point() else x

    def _outside(self, name: str, x: torch.Tensor) -> torch.Tensor:
        widened = self._half and x.is_floating_point() and name not in self._keep_half
        return x.float() if widened else x

    def _stored(self, x: torch.Tensor) -> torch.Tensor:
        """Return a constant as the device wants it; numbers beyond float16 become its largest."""
        if self._half and x.is_floating_point():
            limits = torch.finfo(torch.float16)
            x = torch.where(x.isinf(), x, x.clamp(limits.min, limits.max)).half()
        if x.dim() == 4 and x.is_floating_point():
            x = x.contiguous(memory_format=torch.channels_last)
        return x


def _with_last_uses(steps: Sequence[Step], outputs: Sequence[str]) -> List[Step]:
    """Return the steps with `last` filled in."""
    later: Set[str] = {*outputs, ''}
    result = []
    for step in reversed(steps):
        names = {*step.arguments, *step.results} - later
        later |= names
        result.append(dataclasses.replace(step, last=tuple(names)))
    return result[::-1]
