"""Zoo models for images of another size, as NAME@SIDE."""

from __future__ import annotations

from s3dnn_ros.errors import ModelError

# Pixels a side.
SIZE_LIMIT = 4096
# Sides are multiples of a detector's largest stride.
STRIDE = 32
AT = '@'
# Networks of which no layer depends on the size of the images.
OF_ANY_SIZE = ('googlenet', 'nanodet_g', 'resnet50', 'squeezenet_1_1', 'yolo_s')


def side_of(name: str) -> int:
    """Return the side of a zoo model's NAME@SIDE; raises ModelError if it has no such size."""
    base, _, side = name.partition(AT)
    if base not in OF_ANY_SIZE:
        raise ModelError(f"zoo model '{name}'", 'takes images of one size only; of any are '
                         + ', '.join(OF_ANY_SIZE))
    if not side.isdecimal() or not 0 < int(side) <= SIZE_LIMIT or int(side) % STRIDE:
        raise ModelError(f"zoo model '{name}'", f'expected a multiple of {STRIDE} up to '
                         f'{SIZE_LIMIT} behind the {AT}, such as {base}{AT}1280')
    return int(side)
