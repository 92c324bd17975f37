"""What one unit takes for one batch."""

from __future__ import annotations

import dataclasses
import math

from s3dnn_ros.errors import shown

# No device takes more images at once, no image takes longer.
MOST_BATCH = 65536
MOST_MS = 1e9
LONGEST_NAME = 200


@dataclasses.dataclass(frozen=True)
class Row:
    """What one unit takes for one batch: milliseconds for each of its images.

    `io_ms_per_image` is what its images take to the unit and its results back. `power_w` is what
    the unit draws meanwhile; NaN where nobody has measured it.
    """

    unit: str
    batch: int
    execution_ms_per_image: float
    io_ms_per_image: float
    power_w: float = math.nan

    def __post_init__(self):
        """Refuse what no measurement gives; raises ValueError."""
        if not isinstance(self.unit, str) or not (
                0 < len(self.unit) <= LONGEST_NAME and self.unit.isprintable()
                and self.unit == self.unit.strip()):
            raise ValueError(f'unit is {shown(self.unit)}; expected a name of up to '
                             f'{LONGEST_NAME} printable letters')
        if type(self.batch) is not int or not 1 <= self.batch <= MOST_BATCH:
            raise ValueError(f'batch is {shown(self.batch)}; expected a whole number from 1 to '
                             f'{MOST_BATCH}')
        if not 0.0 < self.execution_ms_per_image <= MOST_MS:
            raise ValueError(f'execution_ms_per_image is {shown(self.execution_ms_per_image)}; '
                             'expected milliseconds above 0')
        if not 0.0 <= self.io_ms_per_image <= MOST_MS:
            raise ValueError(f'io_ms_per_image is {shown(self.io_ms_per_image)}; expected '
                             'milliseconds from 0')
        if not (math.isnan(self.power_w) or 0.0 <= self.power_w <= MOST_MS):
            raise ValueError(f'power_w is {shown(self.power_w)}; expected watts from 0')

    @property
    def total_ms(self) -> float:
        """Return what the whole batch takes."""
        return (self.execution_ms_per_image + self.io_ms_per_image) * self.batch
