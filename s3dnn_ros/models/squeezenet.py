"""SqueezeNet 1.1 as ONNX, written straight from the arrays of a pickle."""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.content import json_of, read_bytes
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.labels import labels_of

SIDE = 227
# Old enough for TensorRT 8.0 and ONNX Runtime 1.7.
OPSET, IR_VERSION = 13, 7
POOL_BEFORE = ('fire2', 'fire4', 'fire6')

# A pickle can run any function it names; these are what stored arrays are made of.
_ALLOWED = {
    ('numpy.core.multiarray', '_reconstruct'),
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('_codecs', 'encode'),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it names {module}.{name}')
        return super().find_class(module, name)


def convert(weights: Path, names: Path, side: int = SIDE) -> onnx.ModelProto:
    """Return the network; input [N, 3, side, side], output scores [N, 1000] after a softmax.

    `weights` maps a layer's name to its kernel [height, width, in, out] and bias. `names` is a
    JSON file with the words for each class, which the network tells as its own metadata. Raises
    ModelError if `weights` holds anything but arrays, or misses a layer, and DocumentError if
    `names` holds no names.
    """
    writer = _Writer(_read(weights))
    try:
        model = writer.write(side)
    except KeyError as error:
        raise ModelError(weights, f'has no layer {error}; fetch it again') from error
    helper.set_model_props(model, {'task': 'classify', 'names': repr(_names(names))})
    return model


def _names(path: Path) -> Dict[int, str]:
    """Return the first word for each class; all of its words where others begin alike."""
    words = labels_of(json_of(read_bytes(path)), path.parent)
    first = [text.split(',')[0] for text in words]
    count = collections.Counter(first)
    return {number: name if count[name] == 1 else text
            for number, (name, text) in enumerate(zip(first, words))}


def _read(weights: Path) -> Dict[str, List[np.ndarray]]:
    try:
        with open(str(weights), 'rb') as stream:
            return _ArrayUnpickler(stream).load()
    except (pickle.UnpicklingError, EOFError) as error:
        raise ModelError(weights, f'is not a plain pickle of arrays ({error})') from error


class _Writer:
    def __init__(self, weights: Dict[str, List[np.ndarray]]):
        self._weights = weights
        self._nodes: List[onnx.NodeProto] = []
        self._initializers: List[onnx.TensorProto] = []

    def write(self, side: int) -> onnx.ModelProto:
        value = self._conv('input', 'conv1', strides=(2, 2))
        for index in range(2, 10):
            name = f'fire{index}'
            if name in POOL_BEFORE:
                # The original rounds the pooled size up.
                window = {'kernel_shape': [3, 3], 'strides': [2, 2], 'ceil_mode': 1}
                value = self._node('MaxPool', [value], f'{name}/pool', **window)
            value = self._fire(value, name)
        value = self._conv(value, 'conv10')
        value = self._node('GlobalAveragePool', [value], 'pool10')
        value = self._node('Flatten', [value], 'flat', axis=1)
        self._node('Softmax', [value], 'scores', axis=1)
        return self._model(side)

    def _model(self, side: int) -> onnx.ModelProto:
        shape = ['N', 3, side, side]
        image = helper.make_tensor_value_info('input', TensorProto.FLOAT, shape)
        scores = helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 1000])
        graph = helper.make_graph(
            self._nodes, 'squeezenet_1_1', [image], [scores], self._initializers
        )
        model = helper.make_model(
            graph,
            producer_name='s3dnn_ros',
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid('', OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _node(self, kind: str, inputs: List[str], name: str, **attributes) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def _conv(self, source: str, name: str, strides: Tuple[int, int] = (1, 1)) -> str:
        kernel, bias = self._weights[name]
        kernel = np.asarray(kernel, np.float32).transpose(3, 2, 0, 1)
        inputs = [source]
        for label, array in (('weight', kernel), ('bias', np.asarray(bias, np.float32).ravel())):
            tensor = numpy_helper.from_array(np.ascontiguousarray(array), f'{name}.{label}')
            self._initializers.append(tensor)
            inputs.append(tensor.name)
        pad = kernel.shape[2] // 2 if name != 'conv1' else 0
        self._node(
            'Conv', inputs, name, kernel_shape=kernel.shape[2:], strides=strides, pads=[pad] * 4
        )
        return self._node('Relu', [name], f'{name}/relu')

    def _fire(self, source: str, name: str) -> str:
        squeezed = self._conv(source, f'{name}/squeeze1x1')
        expanded = [self._conv(squeezed, f'{name}/expand{kind}') for kind in ('1x1', '3x3')]
        return self._node('Concat', expanded, f'{name}/concat', axis=1)
