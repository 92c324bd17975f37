"""ONNX Resize and Upsample, where torch.nn.functional.interpolate computes exactly the same."""

from __future__ import annotations

import functools
from typing import List, Optional, Sequence

import numpy as np
import torch.nn.functional as F

from s3dnn_ros.engines.torch.onnx_operators import Function, Node, Table, Unsupported, numbers

RESIZE = Table()

_LINEAR = {3: 'linear', 4: 'bilinear', 5: 'trilinear'}
# How far torch's modes shift a pixel before they scale and round down.
_NEAREST = {'nearest': 0.0, 'nearest-exact': 0.5}
_ROUNDINGS = {
    'floor': np.floor, 'ceil': np.ceil,
    'round_prefer_floor': lambda place: np.ceil(place - np.float32(0.5)),
    'round_prefer_ceil': lambda place: np.floor(place + np.float32(0.5)),
}
_HALF_PIXEL = ('half_pixel', 'pytorch_half_pixel')
_EXACT = [('linear', where) for where in (*_HALF_PIXEL, 'align_corners')]


@RESIZE.add('Upsample', host=(1,))
@RESIZE.add('Resize', host=(1, 2, 3))
def _resize(node: Node) -> Function:
    # before opset 11 there was one way, and the argument roi was not there
    old = node.opset < 11
    where = node.get('coordinate_transformation_mode', 'asymmetric' if old else 'half_pixel')
    mode = node.get('mode', 'nearest')
    if mode != 'nearest' and (mode, where) not in _EXACT:
        raise Unsupported(f'with mode {mode}, {where}')
    for name, wanted in (('antialias', 0), ('keep_aspect_ratio_policy', 'stretch')):
        if node.get(name, wanted) != wanted:
            raise Unsupported(f'with {name} {node.get(name)}')

    def run(x, roi, scales=None, sizes=None):
        scales = _on_all_axes(numbers(roi if old else scales), node, [1.0] * x.dim())
        sizes = _on_all_axes(numbers(sizes), node, x.shape)
        if x.dim() not in _LINEAR or (scales or sizes)[:2] != (
                [1, 1] if scales else list(x.shape[:2])):
            raise Unsupported('of other axes than those of the image')
        after = sizes or [int(np.float32(size) * np.float32(scale))
                          for size, scale in zip(x.shape, scales)]
        if scales and after != [int(size * scale) for size, scale in zip(x.shape, scales)]:
            # float32 rounds up to a whole size what torch, in float64, leaves just below it
            scales, sizes = None, after
        factors = scales or [new / size for new, size in zip(after, x.shape)]
        axes = tuple(zip(x.shape[2:], after[2:], factors[2:]))
        resize = functools.partial(F.interpolate, x, sizes and sizes[2:], scales and scales[2:])
        if mode == 'linear':
            if where == 'pytorch_half_pixel' and any(new == 1 < size for size, new, _ in axes):
                raise Unsupported('with pytorch_half_pixel to one pixel')
            return resize(_LINEAR[x.dim()], where == 'align_corners')
        rounding = node.get('nearest_mode', 'opset 10' if old else 'round_prefer_floor')
        return resize(_nearest(axes, where, rounding))

    return run


def _on_all_axes(given: Optional[List], node: Node, kept: Sequence) -> Optional[List]:
    """Return sizes or scales for every axis, None if there are none."""
    axes = node.get('axes')
    if not given or axes is None:
        return given or None
    result = list(kept)
    for axis, value in zip(axes, given):
        result[axis] = value
    return result


@functools.lru_cache(maxsize=None)
def _nearest(axes: tuple, where: str, rounding: str) -> str:
    """Return the mode of torch that takes the same pixels as ONNX on every axis."""
    for mode, shift in _NEAREST.items():
        if all(np.array_equal(pixels, _ours(*axis, where, rounding))
               for axis in axes for pixels in _theirs(*axis, shift)):
            return mode
    sizes = ', '.join(f'{before} to {after} pixels' for before, after, _ in axes)
    raise Unsupported(f'with mode nearest, {where}, {rounding} from {sizes}')


def _theirs(before: int, after: int, scale: float, shift: float) -> List[np.ndarray]:
    """Return the pixels that torch takes, on the GPU and on the CPU; it multiplies in float32."""
    pixels = np.arange(after, dtype=np.float32)
    places = (pixels + np.float32(shift)) * np.float32(1 / scale)
    choices = [np.minimum(np.floor(places), before - 1)]
    if shift == 0 and after in (before, 2 * before):
        # whatever the scale is, the CPU goes by the sizes here
        choices.append(pixels // (after // before))
    return choices


def _ours(before: int, after: int, scale: float, where: str, rounding: str) -> np.ndarray:
    """Return the pixels that ONNX asks for; ONNX Runtime computes in float32."""
    pixels, half = np.arange(after, dtype=np.float32), np.float32(0.5)
    if where == 'pytorch_half_pixel' and after == 1:
        places = pixels
    elif where == 'align_corners':
        places = pixels * np.float32(before - 1) / np.float32(max(after - 1, 1))
    elif where == 'asymmetric':
        places = pixels / np.float32(scale)
    elif where in (*_HALF_PIXEL, 'tf_half_pixel_for_nn'):
        places = (pixels + half) / np.float32(scale) - (half if where in _HALF_PIXEL else 0)
    else:
        raise Unsupported(f'with {where}')
    if rounding == 'opset 10':
        # ONNX says nothing; ONNX Runtime does this
        rounding = 'ceil' if scale < 1 else 'floor'
    return np.clip(_ROUNDINGS[rounding](places), 0, before - 1)
