"""From a segment's ONNX to TensorRT's plan; runs in a process of its own, which may crash."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import onnx
from onnx import TensorProto

from s3dnn_ros.base.cache import cache_dir, locked, write_whole
from s3dnn_ros.engines.cuda import find_cuda
from s3dnn_ros.engines.tensorrt.api import TensorRt
from s3dnn_ros.engines.tensorrt.int8 import Feed, calibrator
from s3dnn_ros.engines.tensorrt.loaded_engine import CHANNELS_LAST, dtype_of
from s3dnn_ros.engines.tensorrt.plan_cache import Plan, PlanKey
from s3dnn_ros.errors import BuildError
from s3dnn_ros.models.graph import IMAGE_INPUT


@dataclasses.dataclass(frozen=True)
class Order:
    """What to build.

    `read` is what calibrates where `scales`, found before, is None; both are for int8 alone.
    """

    key: PlanKey
    onnx: bytes
    read: Sequence[Feed] = ()
    scales: Optional[bytes] = None


@dataclasses.dataclass(frozen=True)
class Built:
    """A plan, and the ranges of int8 that it was built with.

    They are empty where the network brings its own, in nodes that quantise: then TensorRT asks
    for none.
    """

    plan: Plan
    scales: Optional[bytes]


def with_float_image(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a segment whose image is float32, if it reads one.

    TensorRT 8.2 knows no uint8, later versions take it only at some layers, and a DLA or INT8
    calibration never does. So pixels travel as bytes, and a kernel of our own (`cuda.py`) makes
    them floats on the device; the cast that stood in front then does nothing.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for value in [*result.graph.input, *result.graph.value_info]:
        if value.name == IMAGE_INPUT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return result


def build(order: Order) -> Built:
    """Return the plan of a segment, after TensorRT has read it once.

    Raises BuildError with the segment's name.
    """
    try:
        return _build(TensorRt(), order)
    except BuildError as error:
        raise type(error)(order.key.name, error.sentence) from error


def _build(api: TensorRt, order: Order) -> Built:
    key, module = order.key, api.module
    builder = api.builder()
    network = api.network(builder)
    parser = module.OnnxParser(network, api.logger)
    if not parser.parse(order.onnx):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise BuildError('TensorRT', 'cannot read its ONNX: ' + '; '.join(errors))
    _lay_out(module, network, key)
    config = api.configuration(builder, key.workspace_mb, key.tactics,
                               key.optimization_level)
    if key.precision == 'fp32':
        # on by default, and of no more precision than float16
        config.clear_flag(module.BuilderFlag.TF32)
    else:
        config.set_flag(module.BuilderFlag.FP16)
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    for _ in range(key.profiles):
        config.add_optimization_profile(
            _profile(builder, inputs, key.fewest, key.optimum, key.most))
    calibrating = None
    if key.precision == 'int8':
        config.set_flag(module.BuilderFlag.INT8)
        calibrating = _calibrator(api, order, inputs)
        config.int8_calibrator = calibrating
        config.set_calibration_profile(_profile(builder, inputs, 1, 1, 1))
    on_gpu = _use_dla(module, network, config, key.dla) if key.dla >= 0 else ()
    if key.sms:
        _confine(config, key.sms)
    only = f'_{key.sms}_sms' if key.sms else ''
    times = (cache_dir() / 'tensorrt_times'
             / f'{key.tensorrt}_{key.compute_capability}{only}.cache')
    known = _times(config, times)
    config.set_timing_cache(known, False)
    content = api.build(builder, network, config)
    _keep_times(times, config, known)
    tensors = api.load(content, key.dla).tensors
    return Built(Plan(key, content, tensors, network.num_layers, on_gpu),
                 calibrating and (calibrating.scales or b''))


def _lay_out(module, network, key: PlanKey) -> None:
    """Let tensors at cuts be float16: as many bytes less to write and read again.

    All that enter and leave lie in memory as the key says, and if it does not, as NumPy has them:
    else TensorRT may choose, for one segment so and for the next one otherwise.
    """
    tensors = [network.get_input(index) for index in range(network.num_inputs)]
    tensors += [network.get_output(index) for index in range(network.num_outputs)]
    for tensor in tensors:
        layout = CHANNELS_LAST if tensor.name in key.channels_last else 'LINEAR'
        tensor.allowed_formats = 1 << int(module.TensorFormat.__members__[layout])
        if tensor.name in key.half and tensor.dtype == module.DataType.FLOAT:
            tensor.dtype = module.DataType.HALF


def _profile(builder, inputs, fewest: int, optimum: int, most: int):
    profile = builder.create_optimization_profile()
    for tensor in inputs:
        shape = tuple(tensor.shape)
        if any(size < 0 for size in shape[1:]):
            raise BuildError('TensorRT', f"needs fixed sizes, and '{tensor.name}' has the shape "
                             f'{list(shape)}; export the network with them')
        profile.set_shape(tensor.name, *(
            (batch if shape[0] < 0 else shape[0], *shape[1:])
            for batch in (fewest, optimum, most)))
    return profile


def _calibrator(api: TensorRt, order: Order, inputs):
    # only what calibrates needs memory of the device
    if order.scales is not None:
        return calibrator(api.module, None, (), order.scales)
    # ONNX Runtime gives whole numbers of 64 bits, where TensorRT may have 32
    kinds = {tensor.name: dtype_of(tensor.dtype) for tensor in inputs}
    read = [{name: array.astype(kinds[name], copy=False) for name, array in feed.items()}
            for feed in order.read]
    return calibrator(api.module, find_cuda(), read, None)


def _use_dla(module, network, config, core: int) -> Tuple[str, ...]:
    """Run on a DLA what it can; returns the layers that it leaves to the GPU."""
    config.default_device_type = module.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(module.BuilderFlag.GPU_FALLBACK)
    layers: List = [network.get_layer(index) for index in range(network.num_layers)]
    return tuple(layer.name for layer in layers if not config.can_run_on_DLA(layer))


def _confine(config, sms: int) -> None:
    """Let kernels be timed where they will run, and start none elsewhere."""
    config.profile_stream = _stream_on(sms).number
    # from 8.6 on branches of a network may get streams of TensorRT's own, on the whole device
    if hasattr(config, 'max_aux_streams'):
        config.max_aux_streams = 0


# once in a process, which may build dozens of segments: a part of the device is never given back
@functools.lru_cache(maxsize=None)
def _stream_on(sms: int):
    return find_cuda().partition(sms).stream(0)


def _keep_times(path: Path, config, known) -> None:
    """Add what was timed to what others have timed meanwhile."""
    # without it, the next build only takes longer
    with contextlib.suppress(OSError), locked(path.parent):
        known.combine(_times(config, path), False)
        write_whole(path, bytes(known.serialize()))


def _times(config, path: Path):
    """Return the times that are kept in a file; none if TensorRT does not take them."""
    try:
        content = path.read_bytes()
    except OSError:
        content = b''
    return config.create_timing_cache(content) or config.create_timing_cache(b'')
