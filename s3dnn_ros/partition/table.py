"""How long each unit of a machine takes for a batch, as it was measured.

Lee, Choi and Park, KCC 2020: a table for each network has, for each unit, the time per image at
batches of powers of two and their neighbours, where it changes most.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

import numpy as np

from s3dnn_ros.errors import TableError, shown
from s3dnn_ros.partition import table_file
from s3dnn_ros.partition.row import Row

# Of what a table is; `unit NAME` says so of a unit.
MODEL, MODEL_SHA256, PROCESSOR, UNIT = 'model', 'model_sha256', 'processor', 'unit'


class PerformanceTable:
    """The measured batches of each unit, and what follows for the others.

    Parameters
    ----------
    rows : iterable of Row
        In any order; `units` come in the order of their first rows.
    source : str
        What errors name.
    about : mapping of str to str
        What the rows are of, as far as it is known: `model`, `model_sha256`, `processor`, and
        `unit NAME` for the device and versions of a unit.

    Raises
    ------
    TableError
        There is no row, or a unit has two of one batch.

    """

    def __init__(self, rows: Iterable[Row], source: str = 'performance table',
                 about: Optional[Mapping[str, str]] = None):
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
        self.about: Mapping[str, str] = {
            key: _line(value) for key, value in (about or {}).items() if _line(value)}

    @classmethod
    def from_csv(cls, path) -> PerformanceTable:
        """Read a table; raises TableError that names the file and the line."""
        rows, about = table_file.read(Path(path))
        return cls(rows, str(path), about)

    def to_csv(self, path) -> None:
        """Write the table, whole or not at all; raises TableError."""
        table_file.write(Path(path), self.rows, self.about)

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

    def expect(self, about: Mapping[str, str]) -> None:
        """Refuse a table of another model, processor or device; raises TableError.

        What the table does not say, such as one of the study, is not compared.
        """
        for key, here in about.items():
            here = _line(here)
            measured = self.about.get(key, here)
            if measured != here:
                raise TableError(self._source, f'was measured with {key} {shown(measured)}, here '
                                               f'it is {shown(here)}; measure it again, into '
                                               'another file')

    def with_about(self, about: Mapping[str, str]) -> PerformanceTable:
        """Return a table that says this of its rows as well."""
        return PerformanceTable(self.rows, self._source, {**self.about, **about})

    def with_row(self, row: Row) -> PerformanceTable:
        """Return a table that has this row, instead of the one of its unit and batch."""
        others = [other for other in self.rows
                  if (other.unit, other.batch) != (row.unit, row.batch)]
        return PerformanceTable([*others, row], self._source, self.about)

    def without(self, unit: str, batch: Optional[int] = None) -> PerformanceTable:
        """Return a table without a unit, or without one of its batches; raises TableError."""
        if not any(batch in (None, row.batch) for row in self.rows_of(unit)):
            raise TableError(self._source, f'has no batch {batch} of unit {shown(unit)}; it has '
                             + ', '.join(str(row.batch) for row in self.rows_of(unit)))
        rows = [row for row in self.rows
                if row.unit != unit or (batch is not None and row.batch != batch)]
        left = {row.unit for row in rows}
        about = {key: value for key, value in self.about.items()
                 if unit in left or key != f'{UNIT} {unit}'}
        return PerformanceTable(rows, self._source, about)

    def _between(self, unit, batches, values) -> np.ndarray:
        measured = np.array([row.batch for row in self._rows[unit]], float)
        values = np.asarray(values, float)
        nearest = np.where(batches < measured[0], 0, -1)
        return np.where((batches < measured[0]) | (batches > measured[-1]),
                        values[nearest] / measured[nearest] * batches,
                        np.interp(batches, measured, values))


def _line(text: str) -> str:
    """Return a text as a line of a file holds it."""
    return ' '.join(''.join(letter if letter.isprintable() else ' ' for letter in text).split())
