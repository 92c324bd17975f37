"""Tables as users see them."""

from __future__ import annotations

from typing import Mapping, Sequence

from s3dnn_ros.partition import PerformanceTable, Split

SPLIT_BY = ('greedy', 'optimal')
# Marks the unit that takes an image in the least time.
QUICKEST = ' *'


def print_times(table: PerformanceTable, units: Sequence[str], title: str) -> None:
    """Print milliseconds per image by batch and unit, the quickest unit with a mark."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=f'{title}: ms per image, execution + I/O', caption=None if len(
        units) < 2 else f'{QUICKEST.strip()} quickest at this batch, where -: as estimated')
    shown.add_column('Batch', justify='right')
    for unit in units:
        shown.add_column(_escaped(unit), justify='right', overflow='fold')
    rows = {(row.unit, row.batch): row for row in table.rows}
    for batch in sorted({row.batch for unit in units for row in table.rows_of(unit)}):
        quickest = min(units, key=lambda unit: table.time_ms(unit, batch))
        shown.add_row(str(batch), *(
            _times(rows.get((unit, batch)))
            + (QUICKEST if unit == quickest and len(units) > 1 else '')
            for unit in units))
    Console().print(shown)


def print_splits(units: Sequence[str], splits: Sequence[Mapping[str, Split]]) -> None:
    """Print splits of batches, each by method, beside `alone` and `equal`."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title='how batches would be split',
                  caption='speed-up: over the quickest unit alone, and over equal numbers of '
                          'images for all units')
    for label in ('Batch', 'Method', *map(_escaped, units), 'ms', 'Over one', 'Over equal'):
        shown.add_column(label, justify='left' if label == 'Method' else 'right', overflow='fold')
    for by_method in splits:
        alone, equal = by_method['alone'], by_method['equal']
        for method in SPLIT_BY:
            split = by_method[method]
            shown.add_row(
                str(sum(split.assignment.values())), method,
                *map(str, split.assignment.values()), f'{split.makespan_ms:.2f}',
                f'{alone.makespan_ms / split.makespan_ms:.2f}',
                f'{equal.makespan_ms / split.makespan_ms:.2f}')
        shown.add_section()
    Console().print(shown)


def _times(row) -> str:
    return '-' if row is None else (
        f'{row.execution_ms_per_image:.3f} + {row.io_ms_per_image:.3f}')


def _escaped(unit: str) -> str:
    """Return a name as rich prints it: some have brackets."""
    from rich.markup import escape

    return escape(unit)
