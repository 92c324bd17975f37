"""What the layers of the exact network read and give on some images."""

from __future__ import annotations

import functools
from typing import Callable, Dict

import numpy as np
import onnx
import torch

from s3dnn_ros.engines.torch.onnx_to_torch import to_torch
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import batch_of
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.scaling.judge import behind_image
from s3dnn_ros.scaling.rows import Rows
from s3dnn_ros.scaling.tune import expect_floats

# Of each layer, so many rows: more than twice the inputs of most filters.
MOST_ROWS = 16_000
# A filter of more inputs takes too much memory and time to be understood.
MOST_INPUTS = 6_000
# Images that are in memory at once, in pixels: 64 of 416 × 416.
MOST_PIXELS = 64 * 416 * 416


class ExactLayers:
    """What the layers of the exact network read and give.

    Parameters
    ----------
    model : ModelProto
        The exact network.
    spec : ModelSpec
    images : ndarray
        uint8 [N, H, W, 3], fitted to the network. So many of them are taken, evenly spread, as
        are `MOST_PIXELS` pixels.
    told : callable, optional
        Called with how many layers are done, and of how many.

    Attributes
    ----------
    images : Tensor
        Those taken.
    rows : dict
        By name of a layer's output, its rows.
    moments : dict
        By name of a layer's weights, the covariance of what it reads, [inputs, inputs]. Layers
        with groups, and those with filters of very many inputs, have none.

    Raises ModelError for a network of half precision or of one size of batch alone, for numbers
    that are not finite, and if torch cannot do what the network asks for.

    """

    def __init__(self, model: onnx.ModelProto, spec: ModelSpec, images: np.ndarray,
                 told: Callable[[int, int], None] = lambda done, total: None):
        expect_floats(model, spec.name)
        network = behind_image(model, spec)
        if batch_of(network):
            raise ModelError(spec.name, f'takes {batch_of(network)} images at a time, no more and '
                                        'no fewer; export it with a free batch')
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        step = 1 + (images[..., 0].size - 1) // MOST_PIXELS
        self.images = torch.from_numpy(np.ascontiguousarray(images[::step])).to(self.device)
        self.rows: Dict[str, Rows] = {}
        self.moments: Dict[str, torch.Tensor] = {}
        opset = max(entry.version for entry in model.opset_import if not entry.domain)
        stored = {tensor.name for tensor in network.graph.initializer}
        nodes = [node for node in network.graph.node
                 if Rows.is_layer(node) and node.input[1] in stored]
        translated = to_torch(network, device=self.device, fused=False, source=spec.name)
        for node in nodes:
            translated.around(node.output[0], functools.partial(
                self._see, node, opset, lambda: told(len(self.rows), len(nodes))))
        with torch.no_grad():
            translated(self.images)
        if not all(rows.wanted.isfinite().all() for rows in self.rows.values()):
            raise ModelError(spec.name, 'gives numbers that are not finite on these images; look '
                                        'at it with `s3dnn models check`')

    def _see(self, node, opset, told, function, x, weight, *bias):
        wanted = function(x, weight, *bias)
        rows = self.rows[node.output[0]] = Rows(node, opset, wanted, MOST_ROWS)
        if rows.groups == 1 and weight.numel() // len(rows.wanted[0]) <= MOST_INPUTS:
            read = rows.read(x, weight)[0]
            read = read - read.mean(0)
            self.moments[node.input[1]] = read.T @ read / len(read)
        told()
        return wanted
