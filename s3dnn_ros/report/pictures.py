"""The figures of a page as PNG files, drawn by matplotlib from the same dicts.

It knows what our figures use of plotly: bars with a base, lines, points and bars of confidence, in
panels above each other.
"""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import Any, Dict, List, Mapping

from s3dnn_ros.bench.s3dnn_plots import FONT, load_matplotlib, save

WIDTH_INCHES, PIXELS_PER_INCH = 10.0, 96
_LINES = {'solid': '-', 'dash': '--', 'dot': ':', 'dashdot': '-.', 'longdash': (0, (8, 3))}
_MARKERS = {'circle': 'o', 'square': 's', 'diamond': 'D', 'triangle-up': '^',
            'triangle-down': 'v', 'cross': 'P', 'x': 'X', 'star': '*'}
_HATCHES = {'': '', '/': '////', 'x': 'xxxx', '.': '....'}


def pictures(figures: Mapping[str, Dict], folder: Path) -> List[Path]:
    """Write a PNG of each figure into a folder, by its name; return their paths.

    Raises PlotError where matplotlib is missing or too old, or the folder cannot be written.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(FONT):
        return save({name: _drawn(figure) for name, figure in figures.items()}, folder)


def _drawn(figure):
    from matplotlib.figure import Figure

    layout = figure['layout']
    axes = sorted((key for key in layout if key.startswith('yaxis')),
                  key=lambda key: -layout[key]['domain'][0])
    heights = [layout[key]['domain'][1] - layout[key]['domain'][0] for key in axes]
    drawn = Figure(figsize=(WIDTH_INCHES, layout['height'] / PIXELS_PER_INCH),
                   layout='constrained')
    panels = drawn.subplots(len(axes), 1, sharex=True, squeeze=False,
                            gridspec_kw={'height_ratios': heights})[:, 0]
    legend: Dict[str, Any] = {}
    for key, panel in zip(axes, panels):
        axis, number = layout[key], key[len('yaxis'):]
        places = {name: place for place, name in enumerate(axis.get('categoryarray', ()))}
        for trace in (trace for trace in figure['data'] if trace['yaxis'] == f'y{number}'):
            handle = _trace(panel, trace, places)
            if trace.get('showlegend', True) and handle is not None:
                legend.setdefault(html.unescape(trace['name']), handle)
        _axis(panel, axis, places)
        across = layout[f'xaxis{number}']
        if 'title' in across:
            panel.set_xlabel(across['title']['text'])
        if 'range' in across:
            panel.set_xlim(across['range'])
        elif 'rangemode' in across:
            panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
    if legend:
        # names are no formulas, whatever signs of dollars they hold
        drawn.legend(legend.values(), [name.replace('$', r'\$') for name in legend],
                     loc='outside upper left', frameon=False, ncols=min(6, len(legend)))
    return drawn


def _trace(panel, trace, places):
    """Draw a trace; return what stands for it in the legend."""
    x = [math.nan if value is None else value for value in trace['x']]
    y = [places.get(value, value) for value in trace['y']]
    y = [math.nan if value is None else value for value in y]
    if not x:
        return None
    marker = trace.get('marker', {})
    if trace['type'] == 'bar':
        # the edge's colour is that of the hatch
        return panel.barh(y, x, left=trace['base'], height=0.75, color=marker['color'],
                          edgecolor='black', linewidth=0.0,
                          hatch=_HATCHES[marker['pattern']['shape']])
    line, bars = trace.get('line', {}), {}
    for side in 'xy':
        error = trace.get(f'error_{side}', {})
        if 'array' in error:
            bars[f'{side}err'] = [error['arrayminus'], error['array']]
    return panel.errorbar(
        x, y, **bars, capsize=3, elinewidth=1.0, color=line.get('color', marker.get('color')),
        linestyle=_LINES[line.get('dash', 'solid')] if 'lines' in trace['mode'] else '',
        linewidth=line.get('width', 1.5), marker=_MARKERS[marker.get('symbol', 'circle')]
        if 'markers' in trace['mode'] else '', markersize=0.7 * marker.get('size', 6),
        drawstyle='steps-post' if line.get('shape') == 'hv' else 'default')


def _axis(panel, axis, places):
    panel.grid(alpha=0.25)
    panel.set_axisbelow(True)
    if 'title' in axis:
        panel.set_ylabel(axis['title']['text'])
    if 'range' in axis:
        panel.set_ylim(axis['range'])
    elif axis.get('rangemode') == 'tozero':
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
    if places:
        panel.set_yticks(list(places.values()), [_shown(name) for name in places])
    elif 'tickvals' in axis:
        panel.set_yticks(axis['tickvals'], [_shown(name) for name in axis['ticktext']])
    elif 'dtick' in axis:
        panel.yaxis.get_major_locator().set_params(integer=True)


def _shown(name):
    return html.unescape(name).replace('$', r'\$')
