"""Checks on the names and shapes of a network's inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Mapping, Sequence, Tuple

from s3dnn_ros.errors import ModelError

if TYPE_CHECKING:
    # decoders need this module, and the governor needs decoders but no networks
    import onnx

Shapes = Mapping[str, Sequence]


def shape_of(value: onnx.ValueInfoProto) -> List:
    """Return a tensor's shape: a number, or a symbol's name, or None, per dimension."""
    return [
        # Some exporters write -1 or 0 for a size that is free.
        dim.dim_value if dim.dim_value > 0 else (dim.dim_param or None)
        for dim in value.type.tensor_type.shape.dim
    ]


def refuse(decoder: str, expected: str, shapes: Shapes) -> None:
    """Raise the ModelError that says what a decoder expected and what the network gives."""
    found = ', '.join(f'{name} {_text(shape)}' for name, shape in shapes.items())
    raise ModelError(
        f"decoder '{decoder}'",
        f'expected {expected}; the network gives {found or "no outputs"}; '
        'choose another decoder or set decoder_options',
    )


def pick(decoder: str, name: str, shapes: Shapes, expected: str) -> str:
    """Return the output called `name`, or the only one where no name is given."""
    if name in shapes:
        return name
    if not name and len(shapes) == 1:
        return next(iter(shapes))
    refuse(decoder, expected, shapes)


def fits(shape: Sequence, pattern: Tuple) -> bool:
    """Tell whether a shape may equal `pattern`; None in either stands for any size.

    Symbolic sizes of a graph (strings) count as unknown too.
    """
    return len(shape) == len(pattern) and all(
        want is None or not isinstance(have, int) or have == want
        for have, want in zip(shape, pattern)
    )


def size(shape: Sequence, axis: int) -> int:
    """Return a dimension, or 0 where it is not known."""
    return shape[axis] if isinstance(shape[axis], int) else 0


def _text(shape: Sequence) -> str:
    return '[' + ', '.join('?' if item is None else str(item) for item in shape) + ']'
