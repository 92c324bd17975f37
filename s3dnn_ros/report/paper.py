"""Figures that NeuOS's paper published (Bateni and Liu, ATC 2020), beside those of a run.

The paper measured a Jetson TX2 and an AGX Xavier. Its savings are means over all its rivals; which
ones a mean has here depends on who took part, so the table names them (INFERRED). Section 5.2 of
the paper and its contributions disagree on the Xavier's energy: both figures are given.
"""

from __future__ import annotations

import statistics
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from s3dnn_ros.report.points import Point
from s3dnn_ros.report.tables import table

NEUOS = 'balanced'
RIVALS = ('POET', 'PredJoule', 'ApNet', 'race to idle', 'Max-N', 'Max-Q')
CAPTION = "Figures of NeuOS's paper (Jetson TX2 and AGX Xavier) beside ours"


class _Row(NamedTuple):
    what: str
    published: str
    ours: Callable[[Mapping[str, Point]], Optional[float]]


def beside_ours(found: Sequence[Point]) -> str:
    """Return the table of one group of points; empty if NeuOS did not take part."""
    by_name = {point.decider: point for point in found}
    if NEUOS not in by_name:
        return ''
    rows = [(row, row.ours(by_name)) for row in _rows(by_name)]
    cells = [[row.what, row.published,
              f'{ours:.2f}' if index == 0 else f'{ours:+.0f}'.replace('-', '−')]
             for index, (row, ours) in enumerate(rows) if ours is not None]
    return table(['', 'paper, %', 'ours, %'], cells, CAPTION)


def _rows(by_name) -> List[_Row]:
    present = [name for name in RIVALS if name in by_name]
    rivals = f'the mean of {", ".join(present)}'
    return [
        _Row(f'missed deadlines of {NEUOS}', '3.25 (small cohorts)',
             lambda known: statistics.fmean(known[NEUOS].missed_percent)),
        _Row(f'energy of {NEUOS} against {rivals}', 'TX2 −68, Xavier −40 or −46',
             lambda known: _against(known, NEUOS, present, 'energy')),
        _Row(f'mean response of {NEUOS} against {rivals}', 'TX2 −68, Xavier −40',
             lambda known: _against(known, NEUOS, present, 'mean_ms')),
        _Row(f'energy of min_energy against {NEUOS}', '−11 at most',
             lambda known: _against(known, 'min_energy', [NEUOS], 'energy')),
        _Row(f'energy of max_accuracy against {NEUOS}', '+23',
             lambda known: _against(known, 'max_accuracy', [NEUOS], 'energy'))]


def _against(known, name, others, field) -> Optional[float]:
    """Return by how many percent a mean is above the mean of others; None if one is unknown."""
    ours, theirs = _mean(known, [name], field), _mean(known, others, field)
    return 100.0 * (ours / theirs - 1.0) if ours is not None and theirs else None


def _mean(known: Mapping[str, Point], names, field) -> Optional[float]:
    values: Tuple[Sequence[float], ...] = tuple(
        getattr(known[name], field) for name in names if name in known)
    means = [statistics.fmean(each) for each in values if each]
    return statistics.fmean(means) if means else None
