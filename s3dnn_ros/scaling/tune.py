"""Fine-tuning: a scaled network learns from the exact one, and from labels where there are some.

It runs in torch, on a GPU if there is one. What it has learned is kept in a file now and then,
so that it goes on where it was interrupted.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Collection, Dict, List, Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from s3dnn_ros.base.cache import locked, sha256_of, write_whole
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import batch_of
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.scaling.frames import Frames
from s3dnn_ros.scaling.judge import behind_image

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
# Operators that learn, and which of their inputs do.
_LEARNING = {'Conv': (1, 2), 'ConvTranspose': (1, 2), 'Gemm': (1, 2), 'MatMul': (1,),
             'BatchNormalization': (1, 2)}
# Steps between two files.
KEPT_EVERY = 50
# What makes learned weights out of a network: a change in here makes all of them anew.
_CODE = ('scaling/judge.py', 'scaling/rows.py', 'scaling/tune.py', 'engines/torch/module.py',
         'engines/torch/onnx_layers.py', 'engines/torch/onnx_layout.py',
         'engines/torch/onnx_operators.py', 'engines/torch/onnx_resize.py',
         'engines/torch/onnx_to_torch.py', 'models/graph.py')
_SEED = 0
# The share of all steps in which the rate grows.
WARM_UP = 0.1
# Biases of 0 learn, too.
_LEAST_SIZE = 1e-3


@dataclass(frozen=True)
class Tuning:
    """How much a network learns: so many steps of so many images.

    A step changes a weight by about `rate`, as a share of the root mean square of its tensor,
    less in the first tenth of the steps and towards the end.
    """

    steps: int
    batch: int = 8
    rate: float = 5e-3


def require_torch(name: str):
    """Return the module torch; raises ModelError, naming the model, without it."""
    try:
        import torch
    except ImportError as error:
        raise ModelError(name, f'is fine-tuned by torch, which is not installed ({error}); run '
                               '`pip install torch`, or leave out --steps') from error
    return torch


def expect_floats(model: onnx.ModelProto, name: str) -> None:
    """Raise ModelError, with this name, for a network of half precision."""
    if TensorProto.FLOAT16 in {tensor.data_type for tensor in model.graph.initializer}:
        raise ModelError(name, 'has weights of half precision, to which small changes are lost; '
                               'export it in float32, or leave out --steps')


def fine_tune(
    model: onnx.ModelProto,
    exact: onnx.ModelProto,
    spec: ModelSpec,
    frames: Frames,
    tuning: Tuning,
    *,
    kept: Mapping[str, np.ndarray],
    frozen: Collection[str],
    file: Path,
    told: Callable[[int, float], None] = lambda step, loss: None,
) -> onnx.ModelProto:
    """Return a network with other weights, nearer to the exact one on such images.

    The loss is the mean of ‖y − ŷ‖² / ‖y‖² over all layers, y being what the exact layer gives;
    with labels, the cross-entropy is added. Outputs count as what the last layers give: behind
    a sigmoid most scores of a detector are near 0, so that one without boxes lost little there.
    `kept` tells which filters of the exact layer a layer has, by name of its weights, all if it
    is not there. The weights `frozen` stay as they are. Each image is seen mirrored half of the
    time where there are no labels. What was learned is kept in `file`, which is written anew for
    anything else that learns there; nothing else uses its folder. `told` is called with the step
    and its loss. Raises ModelError without torch, for a network of half precision, or if torch
    cannot do what it asks for.
    """
    require_torch(spec.name)
    expect_floats(model, spec.name)
    student = _Student(model, exact, spec, frames, tuning, kept, frozen)
    with locked(file.parent):
        return student.learned(file, _key(model, exact, frames, tuning, frozen), told)


class _Student:
    def __init__(self, model, exact, spec, frames: Frames, tuning: Tuning, kept, frozen):
        import torch

        from s3dnn_ros.engines.torch.onnx_to_torch import to_torch
        from s3dnn_ros.scaling.rows import Rows

        self._torch = torch
        self._model, self._frames, self._tuning = model, frames, tuning
        self._device = 'cuda' if torch.cuda.is_available() else 'cpu'
        network, teacher = behind_image(model, spec), behind_image(exact, spec)
        self._student = to_torch(network, device=self._device, fused=False, source=spec.name)
        self._teacher = to_torch(teacher, device=self._device, fused=False, source=spec.name)
        self._wanted, self._given = {}, {}
        stored = {tensor.name for tensor in network.graph.initializer}
        layers = [node for node in network.graph.node
                  if Rows.is_layer(node) and node.input[1] in stored]
        for node in layers:
            filters = kept.get(node.input[1])
            axis = 1 if node.op_type == 'Conv' else -1
            self._student.around(node.output[0], partial(_keep, self._given, node.output[0]))
            self._teacher.around(node.output[0], partial(
                _keep, self._wanted, node.output[0], filters=None if filters is None else (
                    axis, torch.from_numpy(filters).to(self._device))))
        self._batch = batch_of(network) or tuning.batch
        weights = self._student.weights()
        self._learning = {name: weights[name].requires_grad_(True)
                          for name in _learning(network, frozen) if name in weights}
        self._optimiser = torch.optim.Adam([
            {'params': [tensor], 'size': max(_LEAST_SIZE, tensor.square().mean().sqrt().item())}
            for tensor in self._learning.values()]) if self._learning else None
        self._scores = spec.make_decoder().reads(self._student.output_names)[0] \
            if frames.training_labels is not None else ''

    def learned(self, file: Path, key: str, told) -> onnx.ModelProto:
        """Learn, from where the file of this key ends, and return the network."""
        if self._optimiser is None:
            return self._model
        begin = self._read(file, key)
        for step in range(begin, self._tuning.steps):
            for group in self._optimiser.param_groups:
                group['lr'] = self._rate(step) * group['size']
            told(step, self._step(step))
            if (step + 1) % KEPT_EVERY == 0 or step + 1 == self._tuning.steps:
                self._save(file, key, step + 1)
        return self._written()

    def _rate(self, step: int) -> float:
        done = (step + 1) / self._tuning.steps
        # Adam's first steps are as long as later ones, and know less
        return self._tuning.rate * min(1.0, done / WARM_UP) * 0.5 * (
            1 + math.cos(math.pi * step / self._tuning.steps))

    def _step(self, step: int) -> float:
        torch, frames = self._torch, self._frames
        # the same images at the same step, however often it was interrupted
        rng = np.random.default_rng((_SEED, step))
        chosen = rng.integers(0, len(frames.training), self._batch)
        images = frames.training[chosen]
        if frames.training_labels is None and rng.random() < 0.5:
            images = images[:, :, ::-1]
        images = torch.from_numpy(np.ascontiguousarray(images)).to(self._device)
        with torch.no_grad():
            self._teacher(images)
        given = self._student(images)
        loss = sum(_lost(self._wanted[name], each) for name, each in self._given.items()
                   ) / len(self._given)
        if frames.training_labels is not None:
            labels = torch.from_numpy(frames.training_labels[chosen]).to(self._device)
            loss = loss + self._wrong(given, labels)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return loss.item()

    def _wrong(self, given, labels):
        """Return the cross-entropy; scores that are a softmax's already stay what they are."""
        torch = self._torch
        scores = given[self._student.output_names.index(self._scores)].flatten(1)
        sums = scores.detach().sum(1)
        if (scores.detach() >= 0).all() and (sums - 1).abs().max() < 1e-3:
            return torch.nn.functional.nll_loss(scores.clamp(min=1e-6).log(), labels)
        return torch.nn.functional.cross_entropy(scores, labels)

    def _read(self, file: Path, key: str) -> int:
        """Take up what was learned; return the step at which to go on."""
        if not file.is_file():
            return 0
        kept = self._torch.load(str(file), map_location=self._device, weights_only=True)
        if kept.get('key') != key:
            return 0
        with self._torch.no_grad():
            for name, tensor in self._learning.items():
                tensor.copy_(kept['weights'][name])
        self._optimiser.load_state_dict(kept['optimiser'])
        return kept['step']

    def _save(self, file: Path, key: str, step: int) -> None:
        content = io.BytesIO()
        self._torch.save({
            'key': key, 'step': step, 'optimiser': self._optimiser.state_dict(),
            'weights': {name: tensor.detach() for name, tensor in self._learning.items()},
        }, content)
        write_whole(file, content.getvalue())

    def _written(self) -> onnx.ModelProto:
        result = onnx.ModelProto()
        result.CopyFrom(self._model)
        for tensor in result.graph.initializer:
            if tensor.name in self._learning:
                array = self._learning[tensor.name].detach().cpu().contiguous().numpy()
                kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
                tensor.CopyFrom(numpy_helper.from_array(
                    np.ascontiguousarray(array, kind), tensor.name))
        return result


def _keep(into: Dict, name: str, function, *arguments, filters=None):
    """Return what a layer gives, and keep it, or those of its filters along an axis."""
    found = function(*arguments)
    into[name] = found if filters is None else found.index_select(*filters)
    return found


def _lost(wanted, given):
    return (wanted - given).square().mean() / wanted.square().mean().clamp(min=1e-12)


def _learning(model: onnx.ModelProto, frozen: Collection[str]) -> List[str]:
    """Return the names of the weights that learn."""
    kinds: Dict[str, int] = {item.name: item.data_type for item in model.graph.initializer}
    names = [node.input[place] for node in model.graph.node
             for place in _LEARNING.get(node.op_type, ()) if place < len(node.input)]
    return [name for name in dict.fromkeys(names)
            if kinds.get(name) in _FLOATS and name not in frozen]


def _key(model, exact, frames: Frames, tuning: Tuning, frozen) -> str:
    """Return a hash of all that the result depends on."""
    package = Path(__file__).parents[1]
    parts = (astuple(tuning), sorted(frozen), [sha256_of(package / name) for name in _CODE])
    digest = hashlib.sha256(repr(parts).encode())
    for network in (model, exact):
        digest.update(network.SerializeToString(deterministic=True))
    digest.update(frames.training.tobytes())
    if frames.training_labels is not None:
        digest.update(frames.training_labels.tobytes())
    return digest.hexdigest()
