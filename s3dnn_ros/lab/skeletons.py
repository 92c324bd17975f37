"""Networks of which only the shapes matter: ONNX graphs whose weights have no values."""

from __future__ import annotations

import itertools
from typing import List, Optional, Tuple

import onnx
from onnx import TensorProto, helper


class Skeleton:
    """Writes a graph layer by layer, for one image; every method returns a tensor's name."""

    def __init__(self, name: str, size: int, channels: int = 3):
        self._name = name
        self._nodes: List[onnx.NodeProto] = []
        self._weights: List[onnx.TensorProto] = []
        self._channels = {'images': channels}
        self._input = helper.make_tensor_value_info(
            'images', TensorProto.FLOAT, [1, channels, size, size])
        self._numbers = itertools.count()

    def conv(self, source: str, channels: int, kernel, stride=1, *, pad: Optional[int] = None,
             groups=1, relu=True) -> str:
        """Add a convolution; `kernel` is a size or (height, width), padded to keep the size."""
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads = ([height // 2, width // 2] if pad is None else [pad, pad]) * 2
        weight = self._weight([channels, self._channels[source] // groups, height, width])
        made = self._node('Conv', [source, weight], channels, kernel_shape=[height, width],
                          strides=[stride, stride], pads=pads, group=groups)
        return self._node('Relu', [made], channels) if relu else made

    def pool(self, source: str, kernel: int, stride: int, *, pad=0, kind='MaxPool') -> str:
        """Add a pooling layer."""
        return self._node(kind, [source], self._channels[source], kernel_shape=[kernel, kernel],
                          strides=[stride, stride], pads=[pad] * 4)

    def add(self, first: str, second: str, *, relu=True) -> str:
        """Add two tensors."""
        channels = self._channels[first]
        made = self._node('Add', [first, second], channels)
        return self._node('Relu', [made], channels) if relu else made

    def join(self, *sources: str) -> str:
        """Put tensors behind one another, by channels."""
        return self._node('Concat', list(sources), sum(map(self._channels.get, sources)), axis=1)

    def mean(self, source: str) -> str:
        """Add the mean over all positions."""
        return self._node('GlobalAveragePool', [source], self._channels[source])

    def dense(self, source: str, inputs: int, outputs: int) -> str:
        """Add a product with a matrix."""
        flat = self._node('Flatten', [source], inputs)
        return self._node('Gemm', [flat, self._weight([inputs, outputs])], outputs)

    def model(self, output: str) -> onnx.ModelProto:
        """Return the network."""
        graph = helper.make_graph(
            self._nodes, self._name, [self._input],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])

    def _node(self, kind, inputs, channels, **attributes) -> str:
        name = f'{kind.lower()}_{next(self._numbers)}'
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        self._channels[name] = channels
        return name

    def _weight(self, dims) -> str:
        name = f'weight_{next(self._numbers)}'
        self._weights.append(TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT))
        return name


def resnet(name: str, blocks: Tuple[int, ...], *, deep: bool) -> onnx.ModelProto:
    """Return a ResNet for 224 × 224 pixels: of bottlenecks if `deep`, else of two layers each."""
    net = Skeleton(name, 224)
    last = net.pool(net.conv('images', 64, 7, 2), 3, 2, pad=1)
    for stage, count in enumerate(blocks):
        width = 64 << stage
        outputs = 4 * width if deep else width
        for block in range(count):
            stride = 2 if stage and not block else 1
            if deep:
                made = net.conv(net.conv(last, width, 1), width, 3, stride)
                made = net.conv(made, outputs, 1, relu=False)
            else:
                made = net.conv(net.conv(last, width, 3, stride), outputs, 3, relu=False)
            if not block and (stage or deep):
                last = net.conv(last, outputs, 1, stride, relu=False)
            last = net.add(made, last)
    return net.model(net.dense(net.mean(last), outputs, 1000))


def vgg16() -> onnx.ModelProto:
    """Return VGG-16 for 224 × 224 pixels."""
    net = Skeleton('vgg16', 224)
    last = 'images'
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            last = net.conv(last, width, 3)
        last = net.pool(last, 2, 2)
    for inputs, outputs in ((25088, 4096), (4096, 4096), (4096, 1000)):
        last = net.dense(last, inputs, outputs)
    return net.model(last)


def alexnet() -> onnx.ModelProto:
    """Return AlexNet in one tower (Krizhevsky, 2014) for 224 × 224 pixels."""
    net = Skeleton('alexnet', 224)
    last = net.pool(net.conv('images', 64, 11, 4, pad=2), 3, 2)
    last = net.pool(net.conv(last, 192, 5), 3, 2)
    for width in (384, 256, 256):
        last = net.conv(last, width, 3)
    last = net.pool(last, 3, 2)
    for inputs, outputs in ((9216, 4096), (4096, 4096), (4096, 1000)):
        last = net.dense(last, inputs, outputs)
    return net.model(last)


def googlenet() -> onnx.ModelProto:
    """Return GoogLeNet (Szegedy et al., 2015) for 224 × 224 pixels, with one output."""
    net = Skeleton('googlenet', 224)
    last = net.pool(net.conv('images', 64, 7, 2), 3, 2, pad=1)
    last = net.pool(net.conv(net.conv(last, 64, 1), 192, 3), 3, 2, pad=1)
    for number, (one, few3, three, few5, five, pooled) in enumerate((
            (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (192, 96, 208, 16, 48, 64),
            (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
            (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128),
            (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))):
        if number in (2, 7):
            last = net.pool(last, 3, 2, pad=1)
        last = net.join(
            net.conv(last, one, 1), net.conv(net.conv(last, few3, 1), three, 3),
            net.conv(net.conv(last, few5, 1), five, 5),
            net.conv(net.pool(last, 3, 1, pad=1), pooled, 1))
    return net.model(net.dense(net.mean(last), 1024, 1000))


def tiny_yolo_v2() -> onnx.ModelProto:
    """Return Tiny YOLOv2 of Pascal VOC (Redmon and Farhadi, 2017) for 416 × 416 pixels.

    It has 16 layers: 9 convolutions, 6 pools, and the region layer, which the CPU computes.
    """
    net = Skeleton('tiny_yolo_v2', 416)
    last = 'images'
    for width in (16, 32, 64, 128, 256):
        last = net.pool(net.conv(last, width, 3), 2, 2)
    # one pixel more than it needs keeps the size
    last = net.pool(net.conv(last, 512, 3), 3, 1, pad=1)
    last = net.conv(net.conv(last, 1024, 3), 1024, 3)
    return net.model(net.conv(last, 125, 1, relu=False))


def mobilenet_v2() -> onnx.ModelProto:
    """Return MobileNetV2 for 224 × 224 pixels."""
    net = Skeleton('mobilenet_v2', 224)
    last, width = net.conv('images', 32, 3, 2), 32
    for factor, outputs, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(count):
            step, inner = stride if not block else 1, factor * width
            made = net.conv(last, inner, 1) if factor > 1 else last
            made = net.conv(made, inner, 3, step, groups=inner)
            made = net.conv(made, outputs, 1, relu=False)
            last = net.add(made, last, relu=False) if block else made
            width = outputs
    return net.model(net.dense(net.mean(net.conv(last, 1280, 1)), 1280, 1000))


def inception_v4() -> onnx.ModelProto:
    """Return Inception-v4 (Szegedy et al., 2016) for 299 × 299 pixels."""
    net = Skeleton('inception_v4', 299)
    conv, pool, join = net.conv, net.pool, net.join
    last = conv(conv(conv('images', 32, 3, 2, pad=0), 32, 3, pad=0), 64, 3)
    last = join(pool(last, 3, 2), conv(last, 96, 3, 2, pad=0))
    last = join(conv(conv(last, 64, 1), 96, 3, pad=0), conv(conv(conv(conv(
        last, 64, 1), 64, (7, 1)), 64, (1, 7)), 96, 3, pad=0))
    last = join(conv(last, 192, 3, 2, pad=0), pool(last, 3, 2))
    for _ in range(4):
        last = join(conv(_mean(net, last), 96, 1), conv(last, 96, 1),
                    conv(conv(last, 64, 1), 96, 3), conv(conv(conv(last, 64, 1), 96, 3), 96, 3))
    last = join(pool(last, 3, 2), conv(last, 384, 3, 2, pad=0),
                conv(conv(conv(last, 192, 1), 224, 3), 256, 3, 2, pad=0))
    for _ in range(7):
        last = join(
            conv(_mean(net, last), 128, 1), conv(last, 384, 1),
            conv(conv(conv(last, 192, 1), 224, (1, 7)), 256, (7, 1)),
            conv(conv(conv(conv(conv(last, 192, 1), 192, (1, 7)), 224, (7, 1)), 224, (1, 7)), 256,
                 (7, 1)))
    last = join(pool(last, 3, 2), conv(conv(last, 192, 1), 192, 3, 2, pad=0), conv(conv(conv(conv(
        last, 256, 1), 256, (1, 7)), 320, (7, 1)), 320, 3, 2, pad=0))
    for _ in range(3):
        wide = conv(last, 384, 1)
        deep = conv(conv(conv(last, 384, 1), 448, (1, 3)), 512, (3, 1))
        last = join(conv(_mean(net, last), 256, 1), conv(last, 256, 1), conv(wide, 256, (1, 3)),
                    conv(wide, 256, (3, 1)), conv(deep, 256, (1, 3)), conv(deep, 256, (3, 1)))
    return net.model(net.dense(net.mean(last), 1536, 1000))


def _mean(net, source) -> str:
    return net.pool(source, 3, 1, pad=1, kind='AveragePool')
