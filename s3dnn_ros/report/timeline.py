"""The figure of a recording: segments, LAG, configuration and variants over one time axis."""

from __future__ import annotations

import itertools
import math
from typing import Dict, List, Mapping

from s3dnn_ros.report.figure import Panel, colour, dash, name, stacked, text, title, with_gaps
from s3dnn_ros.report.spans import DROPPED, IN_TIME, LATE, UNKNOWN, View

# Colours with patterns, which a black and white print keeps.
OUTCOME_STYLES = {IN_TIME: ('#56B4E9', ''), LATE: ('#D55E00', '/'), DROPPED: ('#CC79A7', 'x'),
                  UNKNOWN: ('#9C9C9C', '.')}
# Pixels.
ROW, PANEL = 34, 150
# Names of so many configurations, no longer than that, are written at their axis.
MOST_NAMES, LONGEST_TICK = 6, 24


def timeline(view: View, names: Mapping[int, str]) -> Dict:
    """Return the figure; `names` are those of configurations. Panels without content are left out.

    All panels share the time axis, in seconds since the recording's begin.
    """
    panels = [_segments(view, names)]
    if view.boundaries:
        panels.append(_lag(view))
    if view.changes:
        panels.append(_configurations(view, names))
    if any(row.variant for row in view.boundaries):
        panels.append(_variants(view))
    figure = stacked(panels, 'time since the recording began, s',
                     {'range': [view.begin_s, max(view.end_s, view.begin_s + 1e-3)]})
    figure['layout'].update(barmode='overlay', bargap=0.25)
    return figure


def _segments(view, names) -> Panel:
    """Return a row for each instance with a bar for each segment."""
    rows = [name(instance) for instance in view.instances]
    traces = []
    for outcome, (filled, pattern) in OUTCOME_STYLES.items():
        spans = [span for span in view.spans if span.outcome == outcome]
        if spans:
            traces.append({
                'type': 'bar', 'orientation': 'h', 'name': outcome,
                'base': [round(span.begin_s, 6) for span in spans],
                'x': [round(span.end_s - span.begin_s, 6) for span in spans],
                'y': [name(span.instance) for span in spans],
                'customdata': [_told(span, names) for span in spans],
                'hovertemplate': '%{customdata}<extra>%{y}</extra>',
                'marker': {'color': filled, 'line': {'width': 0},
                           # neighbours are told apart
                           'opacity': [1.0 - 0.3 * (span.segment % 2) for span in spans],
                           'pattern': {'shape': pattern, 'size': 5, 'solidity': 0.3,
                                       'fillmode': 'overlay', 'fgcolor': '#000000',
                                       'fgopacity': 0.6}}})
    if view.missed:
        traces.append({
            'type': 'scatter', 'mode': 'markers', 'name': 'deadline missed',
            'x': [round(each.deadline_s, 6) for each in view.missed],
            'y': [name(each.instance) for each in view.missed],
            'customdata': [f'request {each.request}: {each.outcome}<br>deadline at '
                           f'{each.deadline_s:.4f} s' for each in view.missed],
            'hovertemplate': '%{customdata}<extra>%{y}</extra>',
            'marker': {'symbol': 'x', 'size': 7, 'color': '#D55E00',
                       'line': {'width': 0.5, 'color': '#ffffff'}}})
    if not traces:
        # an axis needs something to stand for
        traces.append({'type': 'scatter', 'mode': 'markers', 'name': 'nothing ran',
                       'x': [], 'y': []})
    axis = {'type': 'category', 'categoryorder': 'array', 'categoryarray': rows[::-1],
            'range': [-0.6, max(1, len(rows)) - 0.4], 'fixedrange': True}
    return Panel(max(2, len(rows)) * ROW, axis, traces)


def _told(span, names) -> str:
    """Return what a segment's hover says."""
    lines = [f'request {span.request}, segment {span.segment}: {span.outcome}',
             f'{span.begin_s:.4f} s, {1e3 * (span.end_s - span.begin_s):.2f} ms, '
             f'batch {span.images}']
    if span.boundary:
        lines += [f'variant {span.boundary.variant}, '
                  + _configuration(span.boundary.configuration, names),
                  f'LAG {1e3 * span.boundary.lag_s:+.2f} ms']
    return '<br>'.join(lines)


def _configuration(index, names) -> str:
    return f'configuration {text(names[index])}' if index in names else 'board not set'


def _lag(view) -> Panel:
    """Return a line for each job of an instance: how far ahead of its plan it was."""
    traces = []
    for place, instance in enumerate(view.instances):
        jobs = _jobs(view, instance)
        if jobs:
            traces.append({
                **_line(place, instance, jobs),
                'y': with_gaps([[round(1e3 * row.lag_s, 4) for row in job] for job in jobs]),
                'hovertemplate': 'LAG %{y:.2f} ms at %{x:.4f} s<br>%{customdata}'
                                 '<extra>%{fullData.name}</extra>'})
    return Panel(PANEL, {'title': title('LAG, ms'), 'zeroline': True}, traces)


def _variants(view) -> Panel:
    """Return the variant that was chosen for each segment; 0 is the exact one."""
    traces = []
    for place, instance in enumerate(view.instances):
        jobs = _jobs(view, instance)
        if jobs:
            traces.append({
                **_line(place, instance, jobs), 'showlegend': False,
                'y': with_gaps([[row.variant for row in job] for job in jobs]),
                'hovertemplate': 'variant %{y} from %{x:.4f} s<br>%{customdata}'
                                 '<extra>%{fullData.name}</extra>'})
            traces[-1]['line']['shape'] = 'hv'
    most = max(row.variant for row in view.boundaries)
    return Panel(PANEL, {'title': title('variant (0: exact)'), 'range': [-0.4, most + 0.4],
                         **({'dtick': 1} if most <= MOST_NAMES else {'tickformat': 'd'})}, traces)


def _jobs(view, instance) -> List[List]:
    """Return the boundaries of an instance, job by job; a job has the number of its request."""
    rows = sorted((row for row in view.boundaries if row.instance == instance),
                  key=lambda row: (row.request, row.now_s))
    jobs = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row.request)]
    return sorted(jobs, key=lambda job: job[0].now_s)


def _line(place, instance, jobs) -> Dict:
    return {'type': 'scatter', 'mode': 'lines+markers', 'name': name(instance),
            'legendgroup': f'instance {place}',
            'x': with_gaps([[round(row.now_s, 6) for row in job] for job in jobs]),
            'customdata': with_gaps([[f'request {row.request}, segment {row.segment}'
                                      for row in job] for job in jobs]),
            'line': {'color': colour(place), 'dash': dash(place), 'width': 1.5},
            'marker': {'color': colour(place), 'size': 4}}


def _configurations(view, names) -> Panel:
    """Return the configuration over time as steps, in the order of the board's numbers."""
    used = sorted({change.configuration for change in view.changes})
    places = {index: place for place, index in enumerate(used)}
    labels = [str(names.get(index, index)) for index in used]
    written = len(used) <= MOST_NAMES and max(map(len, labels)) <= LONGEST_TICK
    axis = {'title': title('configuration'), 'range': [-0.5, len(used) - 0.5],
            **({'tickmode': 'array', 'tickvals': list(range(len(used))),
                'ticktext': [text(label) for label in labels]} if written
               else _few_ticks(used))}
    trace = {'type': 'scatter', 'mode': 'lines', 'name': 'configuration',
             'x': [round(change.now_s, 6) for change in view.changes],
             'y': [places[change.configuration] for change in view.changes],
             'customdata': [text(labels[places[change.configuration]])
                            for change in view.changes],
             'hovertemplate': '%{customdata}<br>from %{x:.4f} s<extra></extra>',
             'line': {'shape': 'hv', 'color': '#009E73', 'width': 2}}
    return Panel(PANEL, axis, [trace])


def _few_ticks(used) -> Dict:
    """Return ticks at some configurations, with their numbers: there are too many for all."""
    step = max(1, math.ceil(len(used) / MOST_NAMES))
    places = list(range(0, len(used), step))
    return {'tickmode': 'array', 'tickvals': places,
            'ticktext': [f'no. {used[place]}' for place in places]}
