"""The results of `s3dnn bench overload` as pictures; needs matplotlib."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Dict, List

from s3dnn_ros.bench.overload_results import BIN_S, column, name_of
from s3dnn_ros.bench.s3dnn_plots import FONT, add_legend, grid, load_matplotlib, save

# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#7F7F7F', '#F0E442')
LIMITS = {'alone': '--', 'beside': ':'}
LIMIT_LABELS = {'alone': 'limit alone', 'beside': 'limit beside the cameras'}


def plot(results: Dict, directory: Path) -> List[Path]:
    """Write a PNG over time and one over the load; return their paths.

    Raises PlotError where matplotlib is missing or too old, or the directory cannot be written.
    """
    matplotlib = load_matplotlib()
    rows = [row for row in results['overloads'] if row['runs']]
    with matplotlib.rc_context(FONT):
        return save({'overload_time': _over_time(rows),
                     'overload_load': _over_load(rows)}, directory)


def _over_time(rows):
    """Draw in time per second in every bin: a panel for each row, with the disturbance shaded."""
    figure, panels = grid(len(rows), 2.4)
    for panel, row in zip(panels, rows):
        runs = [run['series'] for run in row['runs']]
        bins = list(zip(*runs))
        at_s = [BIN_S * (index + 0.5) for index in range(len(bins))]
        panel.fill_between(at_s, list(map(min, bins)), list(map(max, bins)), color=COLOURS[0],
                           alpha=0.2, linewidth=0, label='least to most of all runs')
        panel.plot(at_s, list(map(statistics.median, bins)), color=COLOURS[0], linewidth=1.3,
                   label='in time, median')
        if row['disturb'] != 'none':
            panel.axvspan(*(statistics.median(column(row, 'phases', key))
                            for key in ('begin_s', 'end_s')),
                          color=COLOURS[1], alpha=0.2, linewidth=0, label='disturbance')
        for kind, style in LIMITS.items():
            panel.axhline(statistics.median(column(row, 'limit_hz', kind)), color='black',
                          linestyle=style, linewidth=1.0, label=LIMIT_LABELS[kind])
        panel.set(title=name_of(row), xlabel='s', ylabel='in time, frames/s',
                  xlim=(0, BIN_S * len(bins)))
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.25)
    add_legend(figure, panels)
    return figure


def _over_load(rows):
    """Draw in time per second as bars: a group for each load, a panel for each disturbance."""
    disturbances = list(dict.fromkeys(row['disturb'] for row in rows))
    names = list(dict.fromkeys(_name(row) for row in rows))
    loads = list(dict.fromkeys(row['load'] for row in rows))
    figure, panels = grid(len(disturbances), 3.0)
    width = 0.8 / len(names)
    for panel, disturbance in zip(panels, disturbances):
        mine = [row for row in rows if row['disturb'] == disturbance]
        for row in mine:
            place = names.index(_name(row))
            x = loads.index(row['load']) + width * (place - (len(names) - 1) / 2.0)
            values = column(row, 'in_time_hz')
            middle = statistics.median(values)
            panel.bar(x, middle, 0.9 * width, color=COLOURS[place % len(COLOURS)],
                      label=_name(row), yerr=[[middle - min(values)], [max(values) - middle]],
                      error_kw={'linewidth': 1.0, 'capsize': 2})
            panel.hlines(statistics.median(column(row, 'offered_hz')), x - width / 2.0,
                         x + width / 2.0, color='black', linewidth=1.4, label='offered')
            for kind, style in LIMITS.items():
                panel.hlines(statistics.median(column(row, 'limit_hz', kind)), x - width / 2.0,
                             x + width / 2.0, color='#D55E00', linestyle=style, linewidth=1.2,
                             label=LIMIT_LABELS[kind])
        title = ('nothing disturbs' if disturbance == 'none' else
                 f'{disturbance}: the disturbance counts like any other time')
        panel.set(title=title, ylabel='in time, frames/s', xticks=[])
        if loads != [None]:
            panel.set(xticks=range(len(loads)), xticklabels=[f'{load:.0%}' for load in loads],
                      xlabel='offered, % of the limit alone')
        panel.grid(axis='y', alpha=0.25)
    add_legend(figure, panels)
    return figure


def _name(row):
    """Return what tells a bar from the others in its group."""
    return name_of({**row, 'load': None, 'disturb': 'none'})

