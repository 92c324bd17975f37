"""The cells of a detector's grids."""

from __future__ import annotations

import numpy as np


def cells_of(width: int, height: int, stride: int, offset: float) -> np.ndarray:
    """Return a point of each cell (n, 2) in pixels, row by row; `offset` is its place in a cell.

    The grid covers `width` × `height` pixels; 0 is a cell's corner, 0.5 its centre.
    """
    columns, rows = -(-width // stride), -(-height // stride)
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    return (np.stack((x, y), axis=1).astype(np.float32) + offset) * stride
