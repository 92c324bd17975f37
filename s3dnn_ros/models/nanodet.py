"""NanoDet-g as ONNX, written straight from its trained TensorFlow.js weights.

The converted graph works on [N, C, H, W] but wraps each convolution, pooling and resize in
transposes, and pads in nodes of their own. Here a value stands for itself in either layout, and
a pad waits for the window operation that follows, so neither leaves a node behind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.tfjs import TfGraph, TfNode, read_graph

SIDE = 416
INPUT = 'input'
OUTPUTS = {
    'Identity': 'cls_8',
    'Identity_3': 'reg_8',
    'Identity_1': 'cls_16',
    'Identity_4': 'reg_16',
    'Identity_2': 'cls_32',
    'Identity_5': 'reg_32',
}
# Old enough for TensorRT 8.0 and ONNX Runtime 1.7.
OPSET, IR_VERSION = 13, 7


def convert(topology: Path, weights: Path, side: int = SIDE) -> onnx.ModelProto:
    """Return the network; input [N, 3, side, side], outputs cls_S [N, cells, 80], reg_S [.., 44].

    The side is a multiple of 32; `topology` and `weights` are nanodet.json and nanodet.bin.
    Raises ModelError if they hold an operation that NanoDet-g does not have.
    """
    writer = _Writer(read_graph(topology, weights), topology)
    return writer.write(side)


def _conv_names() -> List[str]:
    """Return the module path, as in the original network, of each convolution in order."""
    names = ['backbone/stages.0']
    for stage, blocks in ((2, 1), (3, 2), (4, 2), (5, 3)):
        here = f'backbone/stages.{stage}'
        names.append(f'{here}/in_conv')
        for block in range(blocks):
            names += [f'{here}/res_blocks.{block}/{part}' for part in ('in_conv', 'mid_conv')]
        names.append(f'{here}/res_out_conv')
    names += [f'fpn/lateral_convs.{level}' for level in range(3)]
    for stride in (8, 16, 32):
        names += [f'head_{stride}/cls_convs.0', f'head_{stride}/gfl_cls']
    return names


class _Writer:
    def __init__(self, graph: TfGraph, source: Path):
        self._graph, self._source = graph, source
        self._conv_names = _conv_names()
        self._nodes: List[onnx.NodeProto] = []
        self._initializers: List[onnx.TensorProto] = []
        # TensorFlow's name of a value -> our tensor, and the pad that still has to happen to it.
        self._tensors: Dict[str, str] = {}
        self._pads: Dict[str, List[int]] = {}
        # Our tensor -> height in pixels, of images as the topology has them: a resize states its
        # target there, and ONNX wants the factor, which is the same for images of any size.
        self._heights: Dict[str, int] = {INPUT: SIDE}
        self._converters = {
            'Placeholder': self._placeholder,
            'Pad': self._pad,
            'PadV2': self._pad,
            'Transpose': self._transpose,
            'Conv2D': self._conv,
            'Add': self._add,
            'LeakyRelu': self._leaky_relu,
            'MaxPool': self._max_pool,
            'ConcatV2': self._concat,
            'ResizeBilinear': self._resize,
            'SplitV': self._split,
            'Sigmoid': self._sigmoid,
            'Reshape': self._reshape,
            'Identity': self._output,
        }

    def write(self, side: int) -> onnx.ModelProto:
        for node in self._graph.ordered(list(OUTPUTS)):
            if node.name in self._graph.constants or node.kind in ('AddV2', 'SparseToDense'):
                # These compute the constant shape of a reshape, which _reshape reads itself.
                continue
            if node.kind not in self._converters:
                raise ModelError(self._source, f"has the unexpected operation '{node.kind}'")
            self._converters[node.kind](node)
        return self._model(side)

    def _model(self, side: int) -> onnx.ModelProto:
        image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ['N', 3, side, side])
        outputs = []
        for name in OUTPUTS.values():
            kind, stride = name.split('_')
            cells = (side // int(stride))**2
            shape = ['N', cells, 80 if kind == 'cls' else 44]
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        graph = helper.make_graph(self._nodes, 'nanodet_g', [image], outputs, self._initializers)
        model = helper.make_model(
            graph,
            producer_name='s3dnn_ros',
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid('', OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    # What converters share.

    def _emit(self, node: TfNode, kind: str, inputs: List[str], name: str, **attributes) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        self._tensors[node.name] = name
        stride = attributes.get('strides', [1])[0]
        self._heights[name] = self._heights.get(inputs[0], 0) // stride

    def _constant(self, name: str, array: np.ndarray) -> str:
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _window(self, node: TfNode) -> Tuple[str, List[int], List[int]]:
        """Return the input tensor, pads and strides of a convolution or pooling."""
        if node.attributes['padding'] != 'VALID':
            raise ModelError(self._source, f"{node.name} pads '{node.attributes['padding']}'")
        source = node.inputs[0]
        pads = self._pads.get(source, [0, 0, 0, 0])
        return self._tensors[source], pads, node.attributes['strides'][1:3]

    def _counted(self, stem: str) -> str:
        return f'{stem}.{sum(node.name.startswith(stem + ".") for node in self._nodes)}'

    # One method per operation of TensorFlow.

    def _placeholder(self, node: TfNode) -> None:
        self._tensors[node.name] = INPUT

    def _pad(self, node: TfNode) -> None:
        (top, bottom), (left, right) = self._graph.constants[node.inputs[1]][2:].tolist()
        self._tensors[node.name] = self._tensors[node.inputs[0]]
        self._pads[node.name] = [top, left, bottom, right]

    def _transpose(self, node: TfNode) -> None:
        source = node.inputs[0]
        order = self._graph.constants[node.inputs[1]].tolist()
        if len(order) == 3:
            name = self._tensors[source]
            self._emit(node, 'Transpose', [name], name.replace('flat', 'rows'), perm=order)
            return
        self._tensors[node.name] = self._tensors[source]
        if source in self._pads:
            self._pads[node.name] = self._pads[source]

    def _conv(self, node: TfNode) -> None:
        source, pads, strides = self._window(node)
        name = self._conv_names[int((re.findall(r'_(\d+)$', node.name) or ['0'])[0])]
        weight = self._graph.constants[node.inputs[1]].transpose(3, 2, 0, 1)
        inputs = [source, self._constant(f'{name}.weight', weight)]
        kernel = list(weight.shape[2:])
        self._emit(node, 'Conv', inputs, name, kernel_shape=kernel, pads=pads, strides=strides)

    def _add(self, node: TfNode) -> None:
        first, second = node.inputs
        if second not in self._graph.constants:
            inputs = [self._tensors[first], self._tensors[second]]
            self._emit(node, 'Add', inputs, self._counted('fpn/add'))
            return
        name = self._tensors[first]
        conv = next(item for item in self._nodes if item.output[0] == name)
        conv.input.append(self._constant(f'{name}.bias', self._graph.constants[second]))
        self._tensors[node.name] = name

    def _leaky_relu(self, node: TfNode) -> None:
        source = self._tensors[node.inputs[0]]
        self._emit(node, 'LeakyRelu', [source], f'{source}/act', alpha=node.attributes['alpha'])

    def _max_pool(self, node: TfNode) -> None:
        source, pads, strides = self._window(node)
        kernel = node.attributes['ksize'][1:3]
        name = 'backbone/stages.1'
        shape = {'kernel_shape': kernel, 'pads': pads, 'strides': strides}
        self._emit(node, 'MaxPool', [source], name, **shape)

    def _concat(self, node: TfNode) -> None:
        inputs = [self._tensors[source] for source in node.inputs[:-1]]
        # A block's last convolution comes first: its parent in the path is the block.
        block = inputs[0].rsplit('/', 2)[0]
        self._emit(node, 'Concat', inputs, f'{block}/concat', axis=1)

    def _resize(self, node: TfNode) -> None:
        if not node.attributes['half_pixel_centers'] or node.attributes['align_corners']:
            raise ModelError(self._source, f'{node.name} does not use half-pixel centres')
        source = self._tensors[node.inputs[0]]
        target = int(self._graph.constants[node.inputs[1]][0])
        factor = target / self._heights[source]
        name = self._counted('fpn/resize')
        scales = self._constant(f'{name}.scales', np.array([1, 1, factor, factor], np.float32))
        self._emit(
            node,
            'Resize',
            [source, '', scales],
            name,
            mode='linear',
            coordinate_transformation_mode='half_pixel',
        )
        self._heights[name] = target

    def _split(self, node: TfNode) -> None:
        source = self._tensors[node.inputs[0]]
        sizes = self._graph.constants[node.inputs[1]].astype(np.int64)
        head = source.split('/')[0]
        names = [f'{head}/scores', f'{head}/edges']
        inputs = [source, self._constant(f'{head}/split.sizes', sizes)]
        self._nodes.append(helper.make_node('Split', inputs, names, f'{head}/split', axis=1))
        self._tensors[node.name], self._tensors[f'{node.name}:1'] = names

    def _sigmoid(self, node: TfNode) -> None:
        source = self._tensors[node.inputs[0]]
        self._emit(node, 'Sigmoid', [source], f'{source}/sigmoid')

    def _reshape(self, node: TfNode) -> None:
        source = self._tensors[node.inputs[0]]
        name = f'{source}/flat'
        # Zeros copy the batch and the channels, so that the batch stays free.
        shape = self._constant(f'{name}.shape', np.array([0, 0, -1], np.int64))
        self._emit(node, 'Reshape', [source, shape], name)

    def _output(self, node: TfNode) -> None:
        inner, outer = self._tensors[node.inputs[0]], OUTPUTS[node.name]
        last = next(item for item in self._nodes if item.output[0] == inner)
        last.output[0] = outer
