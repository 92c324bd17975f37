"""How long each unit of a machine takes for a batch, as it was measured.

Lee, Choi and Park, KCC 2020: a table for each network has, for each unit, the time per image at
batches of powers of two and their neighbours, where it changes most.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

import numpy as np

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import read_bytes
from s3dnn_ros.errors import DocumentError, TableError, shown

COLUMNS = ('unit', 'batch', 'execution_ms_per_image', 'io_ms_per_image')
POWER = 'power_w'       # a column that may be there
# No device takes more images at once, no image takes longer.
MOST_BATCH = 65536
MOST_MS = 1e9
MOST_ROWS = 100_000
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
        if not isinstance(self.unit, str) or not 0 < len(self.unit) <= LONGEST_NAME:
            raise ValueError(f'unit is {shown(self.unit)}; expected a name of up to '
                             f'{LONGEST_NAME} letters')
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


class PerformanceTable:
    """The measured batches of each unit, and what follows for the others.

    Parameters
    ----------
    rows : iterable of Row
        In any order; `units` come in the order of their first rows.

    Raises
    ------
    TableError
        There is no row, or a unit has two of one batch.

    """

    def __init__(self, rows: Iterable[Row], source: str = 'performance table'):
        by_unit: Dict[str, Dict[int, Row]] = {}
        for row in rows:
            batches = by_unit.setdefault(row.unit, {})
            if row.batch in batches:
                raise TableError(source, f"has two rows of unit '{row.unit}' and batch "
                                         f'{row.batch}; leave one of them out')
            batches[row.batch] = row
        if not by_unit:
            raise TableError(source, 'has no rows; measure one')
        self._rows: Mapping[str, Tuple[Row, ...]] = {
            unit: tuple(batches[batch] for batch in sorted(batches))
            for unit, batches in by_unit.items()}
        self._source = source

    @classmethod
    def from_csv(cls, path) -> PerformanceTable:
        """Read a table; raises TableError that names the file and the line."""
        path = Path(path)
        try:
            content = read_bytes(path).decode('utf-8-sig')
        except DocumentError as error:
            raise TableError(path, str(error)) from error
        except UnicodeDecodeError as error:
            raise TableError(path, f'is no text in UTF-8 ({error.reason} at byte {error.start})'
                             ) from error
        return cls(_rows_of(content, path), str(path))

    def to_csv(self, path) -> None:
        """Write the table, whole or not at all; what is not known stays empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        with_power = any(not math.isnan(row.power_w) for row in self.rows)
        writer.writerow((*COLUMNS, POWER) if with_power else COLUMNS)
        for row in self.rows:
            values = [row.unit, row.batch, row.execution_ms_per_image, row.io_ms_per_image]
            if with_power:
                values.append('' if math.isnan(row.power_w) else row.power_w)
            writer.writerow(values)
        write_whole(Path(path), text.getvalue().encode())

    @property
    def units(self) -> Tuple[str, ...]:
        """Return the names of the units."""
        return tuple(self._rows)

    @property
    def rows(self) -> List[Row]:
        """Return all rows, unit by unit, smaller batches first."""
        return [row for rows in self._rows.values() for row in rows]

    def rows_of(self, unit: str) -> Tuple[Row, ...]:
        """Return a unit's rows, smaller batches first; raises TableError for another unit."""
        if unit not in self._rows:
            raise TableError(self._source, f'has no unit {shown(unit)}; it has '
                                           f"{', '.join(self._rows)}")
        return self._rows[unit]

    def time_ms(self, unit: str, batch: int) -> float:
        """Return what a unit takes for so many images, their way there and back included.

        Raises TableError for another unit, or less than no images.
        """
        return float(self.times_ms(unit, [batch])[0])

    def times_ms(self, unit: str, batches) -> np.ndarray:
        """Return what a unit takes for each of several batches, (n,) milliseconds.

        Exact where it was measured. Between two measured batches the time grows in proportion; the
        paper's code takes the time per image so, between powers of two only, and forgets the way
        of the images on exact hits and beyond (DERIVED). Outside the measured batches each image
        takes what it takes at the nearest.
        """
        batches = np.asarray(batches)
        if batches.size and batches.min() < 0:
            raise TableError(self._source, f'is asked for a batch of {batches.min()}; expected 0 '
                                           'or more images')
        return self._between(unit, batches, [row.total_ms for row in self.rows_of(unit)])

    def energies_j(self, unit: str, batches) -> np.ndarray:
        """Return the joules of each of several batches, (n,); NaN where power is not known."""
        return self._between(unit, np.asarray(batches), [
            row.total_ms * row.power_w / 1e3 for row in self.rows_of(unit)])

    def with_row(self, row: Row) -> PerformanceTable:
        """Return a table that has this row, instead of the one of its unit and batch."""
        others = [other for other in self.rows
                  if (other.unit, other.batch) != (row.unit, row.batch)]
        return PerformanceTable([*others, row], self._source)

    def without(self, unit: str, batch: Optional[int] = None) -> PerformanceTable:
        """Return a table without a unit, or without one of its batches."""
        return PerformanceTable([
            row for row in self.rows
            if row.unit != unit or (batch is not None and row.batch != batch)], self._source)

    def _between(self, unit, batches, values) -> np.ndarray:
        measured = np.array([row.batch for row in self._rows[unit]], float)
        values = np.asarray(values, float)
        nearest = np.where(batches < measured[0], 0, -1)
        return np.where((batches < measured[0]) | (batches > measured[-1]),
                        values[nearest] / measured[nearest] * batches,
                        np.interp(batches, measured, values))


def _rows_of(content: str, path: Path) -> List[Row]:
    reader = csv.DictReader(io.StringIO(content), strict=True)
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise TableError(path, f"lacks the column '{missing[0]}'; expected "
                                   f"{', '.join(COLUMNS)}")
        rows: List[Row] = []
        for values in reader:
            if len(rows) == MOST_ROWS:
                raise TableError(path, f'has more than {MOST_ROWS} rows')
            rows.append(_row_of(values, path, reader.line_num))
        return rows
    except csv.Error as error:
        raise TableError(f'{path}, line {reader.line_num}', f'is no CSV ({error})') from error


def _row_of(values: Mapping[str, Optional[str]], path: Path, line: int) -> Row:
    numbers = {}
    for column in (*COLUMNS[1:], POWER):
        text = (values.get(column) or '').strip()
        if column == POWER and not text:
            continue
        try:
            numbers[column] = int(text) if column == 'batch' else float(text)
        except ValueError as error:
            raise TableError(f'{path}, line {line}', f'{column} is {shown(text)}; expected a '
                                                     'number') from error
    try:
        return Row((values['unit'] or '').strip(), **numbers)
    except ValueError as error:
        raise TableError(f'{path}, line {line}', str(error)) from error
