"""Figures of several runs, and tables of them, in markdown."""

from __future__ import annotations

import statistics
from typing import Iterator, Mapping, Sequence


def spread(values, digits=0) -> str:
    """Return 'median (least–most)'."""
    values = sorted(values)
    return (f'{statistics.median(values):.{digits}f} '
            f'({values[0]:.{digits}f}–{values[-1]:.{digits}f})')


def head(results: Mapping, device: str) -> str:
    """Return where and when results were measured, and how to read them."""
    environment = results['environment']
    return (f"{device}, commit {environment['commit']}, {environment['date']}; medians "
            '(least–most) of all runs.')


def table(heads: Sequence[str], rows) -> Iterator[str]:
    """Give the lines of a table."""
    yield line(heads)
    yield line(['---'] * len(heads))
    yield from map(line, rows)


def line(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return '| ' + ' | '.join(cells) + ' |'
