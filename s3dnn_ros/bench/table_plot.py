"""A performance table as a picture; needs matplotlib."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Sequence

from s3dnn_ros.bench.s3dnn_plots import DPI, FONT, STYLES, PlotError, load_matplotlib
from s3dnn_ros.partition import PerformanceTable


def plot(table: PerformanceTable, units: Sequence[str], title: str, path: Path) -> None:
    """Draw milliseconds per image over batch: a line for each unit, dotted without I/O.

    Raises PlotError where matplotlib is missing or too old, or the file cannot be written.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(FONT):
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullFormatter

        figure = Figure(figsize=(7.0, 4.6), layout='constrained')
        panel = figure.add_subplot()
        for unit, (colour, marker) in zip(units, itertools.cycle(STYLES.values())):
            rows = table.rows_of(unit)
            batches = [row.batch for row in rows]
            panel.plot(batches, [row.total_ms / row.batch for row in rows], color=colour,
                       marker=marker, markersize=4, linewidth=1.4, label=unit.replace('$', r'\$'))
            panel.plot(batches, [row.execution_ms_per_image for row in rows], color=colour,
                       linestyle=':', linewidth=1.0)
        largest = max(row.batch for unit in units for row in table.rows_of(unit))
        powers = [1 << bit for bit in range(largest.bit_length())]
        panel.set_xscale('log', base=2)
        panel.set_yscale('log')
        panel.set(title=title, xlabel='batch', xticks=powers, xticklabels=powers,
                  ylabel='ms per image (dotted: without I/O)')
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter('{x:g}')
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.25)
        figure.legend(loc='outside lower center', frameon=False, ncols=min(2, len(units)))
        try:
            figure.savefig(path, dpi=DPI, format='png')
        except OSError as error:
            raise PlotError(f'{path} cannot be written ({error.strerror}); name another with '
                            '--out') from error
