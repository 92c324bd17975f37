"""The cells of a detector's grids."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from s3dnn_ros.errors import shown

# No network has more: 4K images at a stride of 8 make 130,000.
MOST_CELLS = 1_000_000


def cells_of(width: int, height: int, stride: int, offset: float) -> np.ndarray:
    """Return a point of each cell (n, 2) in pixels, row by row; `offset` is its place in a cell.

    The grid covers `width` × `height` pixels; 0 is a cell's corner, 0.5 its centre.
    """
    columns, rows = -(-width // stride), -(-height // stride)
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    return (np.stack((x, y), axis=1).astype(np.float32) + offset) * stride


def expect_cells(width: int, height: int, strides: Sequence[int]) -> None:
    """Raise ValueError unless grids of these strides have cells, and no more than there may be."""
    if not strides or min(strides) < 1:
        raise ValueError('strides must be at least 1')
    if sum(-(-width // stride) * -(-height // stride) for stride in strides) > MOST_CELLS:
        raise ValueError(f'strides {shown(strides)} make more than {MOST_CELLS} cells')
