"""The results of `s3dnn bench s3dnn` as pictures; needs matplotlib."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Dict, List

from s3dnn_ros.bench.s3dnn_results import column, names_of
from s3dnn_ros.errors import S3dnnError

# Okabe and Ito's colours, which colour-blind readers tell apart, and a marker for print.
STYLES = {
    'streams': ('#E69F00', 'o'), 'fifo': ('#7F7F7F', 's'), 'edf': ('#56B4E9', '^'),
    'S3DNN': ('#009E73', 'D'), 'supervised': ('#0072B2', 'v'),
    'application batching': ('#CC79A7', 'P'), 'process per instance': ('#D55E00', 'X')}
OTHER_STYLE = ('#000000', '*')
IN_TIME, MISSED = '#56B4E9', '#D55E00'
FIGURE_SPACE = '\u2007'       # as wide as a digit
FONT = {'font.size': 9, 'axes.titlesize': 10, 'axes.spines.top': False,
        'axes.spines.right': False}
DPI = 200
OLDEST = (3, 7)
ADVICE = 'install it with `pip install "matplotlib>=3.7,<4"`'


class PlotError(S3dnnError):
    """Pictures cannot be made here."""


def plot(results: Dict, directory: Path) -> List[Path]:
    """Write a PNG of each part that the results have; return their paths.

    Raises PlotError where matplotlib is missing or too old, or the directory cannot be written.
    """
    matplotlib = load_matplotlib()
    figures = {}
    with matplotlib.rc_context(FONT):
        if results.get('deadlines'):
            figures['missed'] = _missed(results['deadlines'])
        if results.get('throughput'):
            figures['throughput'] = _throughput(results['throughput'])
        for row in results.get('timeline', []):
            name = re.sub(r'\W+', '_', row['policy'].lower())
            figures[f'timeline_{name}'] = _timeline(row)
        return save(figures, directory)


def save(figures: Dict, directory: Path) -> List[Path]:
    """Write figures as NAME.png; return their paths. Raises PlotError."""
    paths = [directory / f'{name}.png' for name in figures]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, figure in zip(paths, figures.values()):
            figure.savefig(path, dpi=DPI)
    except OSError as error:
        raise PlotError(f'{directory} cannot be written ({error.strerror}); name another '
                        'with --out') from error
    return paths


def load_matplotlib():
    """Return matplotlib; raises PlotError where it is missing or too old."""
    try:
        import matplotlib
    except ImportError as error:
        raise PlotError(f'matplotlib is not here; {ADVICE}') from error
    if tuple(map(int, matplotlib.__version__.split('.')[:2])) < OLDEST:
        raise PlotError(f'matplotlib is only {matplotlib.__version__}; {ADVICE}')
    return matplotlib


def _missed(rows):
    """Missed share over load: a line for each policy, a panel for each number of instances."""
    counts = list(dict.fromkeys(row['instances'] for row in rows))
    figure, panels = grid(len(counts), 3.1)
    for panel, count in zip(panels, counts):
        mine = [row for row in rows if row['instances'] == count]
        loads = [1e2 * row['load'] for row in mine]
        for name in names_of(mine):
            points = [(1e2 * row['load'], column(row['policies'][name], 'missed_share', 1e2))
                      for row in mine if name in row['policies']]
            colour, marker = _style(name)
            at = [load for load, _ in points]
            panel.fill_between(at, [min(shares) for _, shares in points],
                               [max(shares) for _, shares in points], color=colour, alpha=0.15,
                               linewidth=0)
            fused = name.endswith('fused')
            panel.plot(at, [statistics.median(shares) for _, shares in points], color=colour,
                       marker=marker, markersize=4, linewidth=1.4, label=name,
                       linestyle='-.' if fused else '-',
                       markerfacecolor='white' if fused else colour)
        panel.plot(loads, [1e2 * row['ideal_missed_share'] for row in mine], 'k--', linewidth=1.2,
                   label='ideal without fusion (computed)')
        panel.plot(loads, [1e2 * row['overload_share'] for row in mine], 'k:', linewidth=1.2,
                   label='work beyond capacity (1 − 1/load)')
        panel.set(title=f'{count} instances', ylim=(-2, 102), xticks=loads,
                  xlabel='load, % of what streams carry', ylabel='missed deadlines, %')
        panel.grid(alpha=0.25)
    add_legend(figure, panels)
    return figure


def _throughput(rows):
    """Work share of each policy as bars, a panel for each number of instances."""
    names = names_of(rows)
    figure, panels = grid(len(rows), 1.0 + 0.24 * len(names))
    widest = max([entry['work_share'] for row in rows for entry in row['limits']]
                 + [run['work_share'] for row in rows for runs in row['policies'].values()
                    for run in runs])
    places = range(len(names))
    for panel, row in zip(panels, rows):
        figures = []
        for place, name in zip(places, names):
            runs = row['policies'].get(name)
            if not runs:
                figures.append('left out')
                continue
            shares = column(runs, 'work_share')
            middle = statistics.median(shares)
            panel.barh(place, middle, height=0.7, color=_style(name)[0], alpha=0.75,
                       hatch='///' if name.endswith('fused') else None, edgecolor='white',
                       xerr=[[middle - min(shares)], [max(shares) - middle]],
                       error_kw={'linewidth': 1.0, 'capsize': 2})
            images_hz = statistics.median(column(runs, 'finished_hz'))
            figures.append(f'{middle:.2f}{images_hz:7.0f}/s'.replace(' ', FIGURE_SPACE))
        panel.axvline(max(entry['work_share'] for entry in row['limits']), color='black',
                      linestyle='--', linewidth=1.0, label='limit: batches without a policy')
        ylim = (len(names) - 0.4, -0.6)
        panel.set(title=f"{row['instances']} instances", xlim=(0, 1.05 * widest), ylim=ylim,
                  yticks=places, yticklabels=names,
                  xlabel='work share (1: as one after another), and images/s')
        beside = panel.twinx()
        beside.set(ylim=ylim, yticks=places, yticklabels=figures)
        for axes in (panel, beside):
            axes.tick_params(axis='y', length=0)
    add_legend(figure, panels)
    return figure


def _timeline(row):
    """Draw what ran when: a line for each client, a box for each segment."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    clients = row['clients']
    figure = _figure(10.0, 1.6 + 0.42 * len(clients))
    panel = figure.add_subplot()
    for place, client in enumerate(clients):
        spans = sorted((span for span in row['spans'] if span['client'] == client),
                       key=lambda span: span['submitted_ms'])
        lanes = _lanes(spans)
        height = 0.62 / (1 + max(lanes, default=0))
        for span, lane in zip(spans, lanes):
            start_ms, end_ms = span['submitted_ms'], span['completed_ms']
            low = place - 0.31 + lane * height
            panel.barh(low, end_ms - start_ms, height, start_ms, align='edge', linewidth=0.5,
                       color=MISSED if span['missed'] else IN_TIME, edgecolor='white')
            if span['segment'] == 0 and (span['batch'] or 1) > 1:
                panel.text(start_ms, place + 0.33, f"×{span['batch']}", va='top', fontsize=6,
                           clip_on=True)
        for image in (image for image in row['images'] if image['client'] == client):
            panel.plot(image['stamp_ms'], place - 0.38, marker=7, markersize=4, color='black')
            panel.vlines(image['deadline_ms'], place - 0.42, place + 0.42, linewidth=1.1,
                         color='black')
            if image['missed']:
                panel.plot(image['deadline_ms'], place - 0.36, marker='X', markersize=6,
                           color=MISSED, markeredgecolor='white', markeredgewidth=0.5)
    panel.set(title=f"{row['policy']}: {row['instances']} instances at {row['load']:.0%} of what "
                    'streams carry, around the first misses',
              yticks=range(len(clients)), yticklabels=clients, ylim=(len(clients) - 0.45, -0.55),
              xlim=(0, row['window_ms']),
              xlabel='ms (×n: a batch of n images, in the row of the most urgent)')
    panel.tick_params(axis='y', length=0)
    figure.legend(handles=[
        Patch(color=IN_TIME, label='runs, in time'), Patch(color=MISSED, label='runs, missed'),
        Line2D([], [], color='black', marker=7, linestyle='', label='image comes'),
        Line2D([], [], color='black', marker='|', markersize=9, linestyle='', label='deadline'),
        Line2D([], [], color=MISSED, marker='X', linestyle='', label='deadline missed')],
        loc='outside lower center', ncols=5, frameon=False)
    return figure


def _lanes(spans) -> List[int]:
    """Return for each span, by start, the first of the lanes that is free then."""
    ends_ms: List[float] = []
    lanes = []
    for span in spans:
        lane = next((index for index, end_ms in enumerate(ends_ms)
                     if end_ms <= span['submitted_ms']), len(ends_ms))
        ends_ms[lane:lane + 1] = [span['completed_ms']]
        lanes.append(lane)
    return lanes


def grid(count, height):
    """Return a figure and its panels, two side by side at most; each is so high, in inches."""
    columns = min(2, count)
    lines = -(-count // columns)
    figure = _figure(5.0 * columns, height * lines + 1.0)
    return figure, list(figure.subplots(lines, columns, squeeze=False).flat)


def _figure(width, height):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout='constrained')


def add_legend(figure, panels):
    """Put one legend for all panels below them, and hide those that are empty."""
    entries = {}
    for panel in panels:
        panel.set_visible(bool(panel.get_title()))
        handles, labels = panel.get_legend_handles_labels()
        entries.update((label, handle) for handle, label in zip(handles, labels))
    figure.legend(entries.values(), entries.keys(), loc='outside lower center', frameon=False,
                  ncols=min(4, 2 * len(panels)))


def _style(name):
    return STYLES.get(name.split(',')[0], OTHER_STYLE)
