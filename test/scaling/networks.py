"""Builders of networks from an image `x` to `y`, node by node."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SIDE = 8
COLOURS = 3
CLASSES = 5


class Builder:
    """Writes a graph; its methods return the name of what they make."""

    def __init__(self, seed=0, opset=13):
        self.nodes, self.weights, self.opset = [], {}, opset
        self.sizes = {'x': (COLOURS, SIDE)}
        self._rng = np.random.default_rng(seed)

    def weight(self, *shape, scale=0.0):
        name = f'w{len(self.weights)}'
        scale = scale or (2.0 / max(1, np.prod(shape[1:]))) ** 0.5
        self.weights[name] = self._rng.normal(size=shape, scale=scale).astype(np.float32)
        return name

    def numbers(self, *values):
        name = f'n{len(self.weights)}'
        self.weights[name] = np.array(values, np.int64)
        return name

    def add(self, kind, inputs, size, **attributes):
        name = f't{len(self.nodes)}'
        self.nodes.append(helper.make_node(kind, inputs, [name], f'{kind}_{name}', **attributes))
        self.sizes[name] = size
        return name

    def conv(self, source, filters, kernel=3, group=1, bias=True, stride=1):
        channels, side = self.sizes[source]
        weights = [self.weight(filters, channels // group, kernel, kernel)]
        weights += [self.weight(filters, scale=0.3)] if bias else []
        return self.add('Conv', [source, *weights], (filters, -(-side // stride)), group=group,
                        pads=[kernel // 2] * 4, strides=[stride] * 2)

    def same(self, kind, source, **attributes):
        return self.add(kind, [source], self.sizes[source], **attributes)

    def norm(self, source):
        channels = self.sizes[source][0]
        names = [self.weight(channels, scale=1.0) for _ in range(4)]
        self.weights[names[3]] = np.abs(self.weights[names[3]]) + 0.5
        return self.add('BatchNormalization', [source, *names], self.sizes[source])

    def join(self, kind, one, other):
        return self.add(kind, [one, other], self.sizes[one])

    def concat(self, *sources):
        channels = sum(self.sizes[name][0] for name in sources)
        return self.add('Concat', list(sources), (channels, self.sizes[sources[0]][1]), axis=1)

    def shuffle(self, source):
        channels, side = self.sizes[source]
        halves = self.add('Reshape', [source, self.numbers(0, 2, channels // 2, side, side)], None)
        turned = self.add('Transpose', [halves], None, perm=[0, 2, 1, 3, 4])
        return self.add('Reshape', [turned, self.numbers(0, channels, side, side)],
                        (channels, side))

    def split(self, source):
        channels, side = self.sizes[source]
        names = [f't{len(self.nodes)}a', f't{len(self.nodes)}b']
        self.nodes.append(helper.make_node(
            'Split', [source, self.numbers(channels // 2, channels - channels // 2)], names,
            axis=1))
        self.sizes.update({names[0]: (channels // 2, side),
                           names[1]: (channels - channels // 2, side)})
        return names

    def slice(self, source, start, end):
        side = self.sizes[source][1]
        return self.add('Slice', [source, self.numbers(start), self.numbers(end),
                                  self.numbers(1)], (end - start, side))

    def classify(self, source):
        """Flatten and apply a matrix: the output `y`."""
        channels, side = self.sizes[source]
        flat = self.add('Flatten', [source], None)
        weights = [self.weight(CLASSES, channels * side * side), self.weight(CLASSES, scale=0.3)]
        self.nodes.append(helper.make_node('Gemm', [flat, *weights], ['y'], 'head', transB=1))

    def model(self, shape=(1, CLASSES)):
        graph = helper.make_graph(
            self.nodes, 'net',
            [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, COLOURS, SIDE, SIDE])],
            [helper.make_tensor_value_info('y', TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()])
        model = helper.make_model(graph, ir_version=7,
                                  opset_imports=[helper.make_opsetid('', self.opset)])
        onnx.checker.check_model(model, full_check=True)
        return model


def plain(widths=(16, 32, 32), seed=0):
    """Return convolutions with ReLU, one after the other, and a classifier."""
    builder, last = Builder(seed), 'x'
    for width in widths:
        last = builder.same('Relu', builder.conv(last, width))
    builder.classify(last)
    return builder.model()


def residual(blocks=4, width=16, seed=0):
    """Return residual blocks of two convolutions, all alike."""
    builder = Builder(seed)
    last = builder.same('Relu', builder.conv('x', width))
    for _ in range(blocks):
        inner = builder.same('Relu', builder.conv(last, width))
        last = builder.same('Relu', builder.join('Add', last, builder.conv(inner, width)))
    builder.classify(last)
    return builder.model()


def image(seed=1):
    return np.random.default_rng(seed).normal(
        size=(1, COLOURS, SIDE, SIDE)).astype(np.float32)


def run(model, x):
    """Return the outputs of a network that onnx takes without a word."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=['CPUExecutionProvider'])
    return session.run(None, {session.get_inputs()[0].name: x})


def arrays(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def kinds(model):
    return [node.op_type for node in model.graph.node]
