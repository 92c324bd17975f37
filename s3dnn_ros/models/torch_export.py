"""Networks without trained weights, for timing: built in torch and written as ONNX.

The weights are random but the same each time, and such that activations stay in the range of
half precision. Layers, sizes and so the times are those of the real networks.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from typing import Any, Iterator

import onnx

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.batch import BATCH

SIZES = {'alexnet': 224, 'googlenet': 224, 'resnet50': 224, 'vgg11': 224, 'vgg16': 224,
         'yolo_s': 640}
OPSET = 17
_SEED = 1
# Each residual block adds to the variance; its branch counts this much.
_BRANCH_GAIN = 0.25


def convert(name: str, side: int = 0, **options: Any) -> onnx.ModelProto:
    """Return an untrained network; float32 input [N, 3, side, side], N free.

    The output is `logits` [N, 1000], or for yolo_s `boxes` [N, 84, 8400] at its own size as the
    decoder yolov8 reads them. Without a `side` it is the network's own; `options` are those of
    the module. Raises ModelError if torch is not installed.
    """
    side = side or SIZES[name]
    if name == 'yolo_s':
        options['size'] = side
    module = build(name, **options)
    return as_onnx(module, side, 'boxes' if name == 'yolo_s' else 'logits')


def build(name: str, **options: Any):
    """Return the torch module of a network in evaluation mode, with its random weights.

    Raises ModelError if torch is not installed.
    """
    torch = require_torch(name)
    make = module_class(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        module = make(**options).eval()
        _initialise(module)
    return module


def module_class(name: str):
    """Return the torch class of a network; raises ModelError if torch is not installed."""
    require_torch(name)
    from s3dnn_ros.models import architectures, yolo_s

    return {
        'alexnet': architectures.AlexNet,
        'googlenet': architectures.GoogLeNet,
        'resnet50': architectures.ResNet50,
        'vgg11': architectures.VGG11,
        'vgg16': architectures.VGG16,
        'yolo_s': yolo_s.YoloS,
    }[name]


def require_torch(name: str):
    """Return the module torch, which writes these networks; raises ModelError without it."""
    try:
        import torch
    except ImportError as error:
        raise ModelError(
            f"zoo model '{name}'",
            f'is written by torch, which is not installed ({error}); run `pip install torch`, '
            "or install s3dnn_ros with its extra 'torch'",
        ) from error
    return torch


def _initialise(module) -> None:
    from torch import nn

    from s3dnn_ros.models.architectures import Bottleneck
    from s3dnn_ros.models.yolo_s import Residual, YoloS

    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight, nonlinearity='relu')
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, (Bottleneck, Residual)):
            # the normalisation of the branch's last layer
            nn.init.constant_(part.branch[-1][1].weight, _BRANCH_GAIN)
    if isinstance(module, YoloS):
        module.calm()


def as_onnx(module, size: int, output: str) -> onnx.ModelProto:
    """Return a torch module as ONNX; input `input` [N, 3, size, size], one output, N free."""
    import torch

    options = {}
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        # The exporter of torch 1.13, which needs no further package.
        options['dynamo'] = False
    image = torch.zeros(1, 3, size, size)
    stream = io.BytesIO()
    with torch.no_grad(), _silence():
        shape = module(image).shape
        torch.onnx.export(
            module,
            (image,),
            stream,
            opset_version=OPSET,
            input_names=['input'],
            output_names=[output],
            dynamic_axes={'input': {0: BATCH}, output: {0: BATCH}},
            **options,
        )
    model = onnx.load_from_string(stream.getvalue())
    for dim, value in zip(model.graph.output[0].type.tensor_type.shape.dim, shape):
        if dim.dim_param != BATCH:
            dim.dim_value = value
    _drop_aliases(model.graph)
    onnx.checker.check_model(model)
    return model


def _drop_aliases(graph: onnx.GraphProto) -> None:
    """Remove the Identity nodes by which the exporter lets layers share equal weights."""
    stored = {tensor.name for tensor in graph.initializer}
    nodes, names = [], {}
    for node in graph.node:
        if node.op_type == 'Identity' and node.input[0] in stored:
            names[node.output[0]] = node.input[0]
        else:
            node.input[:] = [names.get(name, name) for name in node.input]
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's advice, which is not for users, off the screen."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)
