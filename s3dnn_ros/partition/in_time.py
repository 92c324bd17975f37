"""Whether a batch is split at all: where it pays, and where the deadline wants it."""

from __future__ import annotations

from typing import Optional, Sequence

from s3dnn_ros.partition.split import Split, partition_batch

# A unit alone is in time if it needs at most this share of what is left: tables are estimates.
SAFE = 0.8
# A split pays if it ends within this share of the time of the best unit alone: it wakes more
# units, and takes their memory's bandwidth from each other.
PAYS = 0.9


def split_in_time(table, batch: int, units: Optional[Sequence[str]], left_ms: float) -> Split:
    """Return the split of a batch that has to end within `left_ms`; inf: at any time.

    The quickest unit alone runs it, if it is in time, or if a split would end hardly sooner.
    Otherwise it is split so that it ends soonest. `table`, `units` and errors are those of
    `partition_batch`.
    """
    units = tuple(table.units if units is None else units)
    times_ms = {unit: float(table.times_ms(unit, [batch])[0]) for unit in units}
    best = min(units, key=times_ms.__getitem__)
    alone = Split({unit: batch if unit == best else 0 for unit in units}, times_ms[best])
    if alone.makespan_ms <= SAFE * left_ms or len(units) == 1:
        return alone
    split = partition_batch(table, batch, units, 'optimal')
    return split if split.makespan_ms <= PAYS * alone.makespan_ms else alone
