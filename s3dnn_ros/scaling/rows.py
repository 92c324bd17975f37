"""What a layer reads and gives on images, as rows: one for each place of its output.

A layer is a convolution or a product with a matrix. With such rows it is a matrix: what it gives
is what it reads, times its weights, plus its bias.
"""

from __future__ import annotations

import dataclasses

import onnx
import torch

from s3dnn_ros.engines.torch.onnx_layers import LAYERS
from s3dnn_ros.engines.torch.onnx_to_torch import read_node
from s3dnn_ros.models.chains import attribute


class Rows:
    """The rows of one layer at some places of its output, those where the exact layer says most.

    Parameters
    ----------
    node : NodeProto
        One of which `is_layer` is true.
    opset : int
    wanted : Tensor
        What the exact layer gives, images in front.
    most : int
        Most rows. One half is drawn evenly, and one by how far the exact layer's numbers are
        from their means: most places of an image are background, and all alike.

    Attributes
    ----------
    groups : int
    wanted : Tensor
        The exact layer's output at these places, [rows, outputs].

    """

    def __init__(self, node: onnx.NodeProto, opset: int, wanted: torch.Tensor, most: int):
        self._is_convolution = node.op_type == 'Conv'
        self.groups = attribute(node, 'group', 1) if self._is_convolution else 1
        self._is_turned = bool(attribute(node, 'transB', 0))
        self._node = read_node(node, opset)
        given = self._by_place(wanted)
        self._places = _places(given, most)
        self.wanted = self._chosen(given)

    @staticmethod
    def is_layer(node: onnx.NodeProto) -> bool:
        """Tell whether there are rows of a node, if its second input is a constant."""
        if node.op_type == 'Gemm':
            return (attribute(node, 'alpha', 1.0) == attribute(node, 'beta', 1.0) == 1.0
                    and not attribute(node, 'transA', 0))
        return node.op_type in ('Conv', 'MatMul')

    def read(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return what a layer of these weights reads, [groups, rows, inputs of a filter]."""
        if not self._is_convolution:
            return self._chosen(self._by_place(x))[None]
        kernel, channels = weight.shape[2:], x.shape[1]
        # each filter of this convolution gives one number of the window
        single = torch.eye(kernel.numel(), dtype=x.dtype, device=x.device).reshape(
            -1, 1, *kernel).repeat(channels, *[1] * (len(kernel) + 1))
        window = LAYERS['Conv'].build(dataclasses.replace(
            self._node, attributes={**self._node.attributes, 'group': channels}))
        # one image at a time: windows take as much memory as they have places
        rows = torch.cat([self._by_place(window(image[None], single))[0][places]
                          for image, places in zip(x, self._places)])
        return rows.reshape(len(rows), self.groups, -1).transpose(0, 1)

    def matrix(self, weight: torch.Tensor) -> torch.Tensor:
        """Return weights as [groups, inputs of a filter, outputs of a group]."""
        if self._is_convolution:
            return weight.reshape(self.groups, len(weight) // self.groups, -1).transpose(1, 2)
        return (weight.T if self._is_turned else weight)[None]

    def weights(self, matrix: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Return a matrix as weights of this shape."""
        if self._is_convolution or self._is_turned:
            matrix = matrix.transpose(1, 2)
        return matrix.reshape(shape)

    def _by_place(self, y: torch.Tensor) -> torch.Tensor:
        """Return a tensor as [images, places, numbers]."""
        if self._is_convolution:
            return y.flatten(2).transpose(1, 2)
        return y.reshape(len(y), -1, y.shape[-1])

    def _chosen(self, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([image[places] for image, places in zip(y, self._places)])


def _places(given: torch.Tensor, most: int) -> torch.Tensor:
    """Return positions along the second axis, [images, places of an image]."""
    images, places, _ = given.shape
    count = max(1, most // images)
    if places <= count:
        return torch.arange(places, device=given.device).expand(images, -1)
    generator = torch.Generator().manual_seed(0)
    far = (given - given.mean((0, 1))).square().sum(2).cpu()
    # what is nowhere far is as likely everywhere
    far += far.mean(1, keepdim=True).clamp(min=1e-12) * 1e-3
    even = torch.ones_like(far)
    drawn = [torch.multinomial(odds, size, generator=generator)
             for odds, size in ((even, count - count // 2), (far, count // 2)) if size]
    return torch.cat(drawn, 1).to(given.device)
