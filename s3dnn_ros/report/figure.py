"""What all figures of a page share: colours, escaped names, and JSON for plotly.

A figure is a dict as plotly.js takes it, `data` and `layout`. Colours of text, grid and ground
are those of the page, which sets them (`page.js`): light or dark.
"""

from __future__ import annotations

import html
import json
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

# Okabe and Ito's colours without black, which light and dark pages show, and dashes for more.
COLOURS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#9A8A00')
DASHES = ('solid', 'dash', 'dot', 'dashdot', 'longdash')
SYMBOLS = ('circle', 'square', 'diamond', 'triangle-up', 'triangle-down', 'cross', 'x', 'star')
LONGEST_NAME = 40
# Pixels around panels, and between two of them.
TOP, BOTTOM, LEFT, RIGHT, GAP = 40, 48, 70, 44, 30


class Panel(NamedTuple):
    """A part of a figure with a vertical axis of its own, so many pixels high.

    `axis` is what plotly wants of the axis.
    """

    height: int
    axis: Mapping[str, Any]
    traces: Sequence[Dict]


def text(value: Any) -> str:
    """Return what a file holds as text of a page or a figure: no markup, whatever it says."""
    return html.escape(str(value), quote=True)


def name(value: Any) -> str:
    """Return a name as text, shortened if it would push the figure aside."""
    value = str(value)
    return text(value if len(value) <= LONGEST_NAME else value[:LONGEST_NAME - 1] + '…')


def colour(index: int) -> str:
    """Return the colour of the index-th line or point."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """Return the dash of the index-th line: another one for each use of a colour."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def symbol(index: int) -> str:
    """Return the symbol of the index-th point."""
    return SYMBOLS[index % len(SYMBOLS)]


def title(words: str) -> Dict:
    """Return the title of an axis."""
    return {'text': words}


def stacked(panels: Sequence[Panel], across: str, axis: Mapping[str, Any]) -> Dict:
    """Return one figure of panels, the first on top; to zoom into one zooms all.

    `across` is the title of the horizontal axis, and `axis` what plotly wants of it besides.
    """
    inside = sum(panel.height for panel in panels) + GAP * (len(panels) - 1)
    data: List[Dict] = []
    layout: Dict = {
        'height': inside + TOP + BOTTOM, 'hovermode': 'closest', 'dragmode': 'zoom',
        # at the side, where no legend is
        'modebar': {'orientation': 'v'}, 'margin': {'t': TOP, 'b': BOTTOM, 'l': LEFT, 'r': RIGHT},
        'legend': {'orientation': 'h', 'y': 1.0, 'yanchor': 'bottom', 'x': 0.0}}
    top = inside
    for index, panel in enumerate(panels):
        number = str(index + 1) if index else ''
        layout[f'yaxis{number}'] = {
            'domain': [max(0.0, (top - panel.height) / inside), top / inside],
            'anchor': f'x{number}', 'automargin': True, 'zeroline': False, **panel.axis}
        layout[f'xaxis{number}'] = {'anchor': f'y{number}', 'zeroline': False, **axis}
        if index:
            layout[f'xaxis{number}']['matches'] = 'x'
        if index == len(panels) - 1:
            layout[f'xaxis{number}']['title'] = {**title(across), 'standoff': 8}
        else:
            layout[f'xaxis{number}']['showticklabels'] = False
        data += [{**trace, 'xaxis': f'x{number}', 'yaxis': f'y{number}'}
                 for trace in panel.traces]
        top -= panel.height + GAP
    return {'data': data, 'layout': layout}


def script_json(value: Any) -> str:
    """Return JSON that may stand in a script of a page.

    ValueError if a number is without end, which JSON does not know.
    """
    plain = json.dumps(value, allow_nan=False, separators=(',', ':'))
    # no sign that could end the script, and none that ends a line for older browsers only
    for sign in '<>&\u2028\u2029':
        plain = plain.replace(sign, f'\\u{ord(sign):04x}')
    return plain


def with_gaps(groups: List[List]) -> List:
    """Return the values of groups in a row, with a gap in the line between two groups."""
    values: List = []
    for group in groups:
        values += [None, *group] if values else group
    return values
