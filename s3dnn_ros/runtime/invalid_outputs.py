"""What a network must not give: numbers that are none."""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np


def not_finite(outputs: Mapping[str, np.ndarray]) -> Dict[int, str]:
    """Return the frames whose outputs hold NaN or infinity, each with the output's name."""
    found: Dict[int, str] = {}
    for name, array in outputs.items():
        # no sum beforehand: NumPy adds half as fast as it looks for these
        finite = np.isfinite(array)
        if not finite.all():
            for frame in np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1)):
                found.setdefault(int(frame), name)
    return found
