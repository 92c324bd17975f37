"""One HTML page of runs that holds all that it needs: figures, tables, plotly.js.

Nothing on it is asked of any other place: its content security policy forbids that, and what
files say is text and never markup.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Tuple, Union

from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.report.figure import script_json, text
from s3dnn_ros.report.paper import beside_ours
from s3dnn_ros.report.points import figure as points_figure
from s3dnn_ros.report.points import groups, points
from s3dnn_ros.report.spans import view
from s3dnn_ros.report.tables import accounts, from_markdown, points_table
from s3dnn_ros.report.timeline import timeline
from s3dnn_ros.runtime.recording import Recording

MOST_BYTES = 10_000_000
ADVICE = 'install it with `pip install "plotly>=5.18,<7"`'
OLDEST = (5, 18)
_POLICY = ("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
           "img-src data: blob:")
_TOOLS = (('in', 'Zoom in'), ('out', 'Zoom out'), ('earlier', 'Earlier'), ('later', 'Later'),
          ('all', 'Show all'), ('png', 'Save PNG'))


class ReportError(S3dnnError):
    """A page that cannot be made here, or of these runs."""


class Results(NamedTuple):
    """Results of a bench or an experiment, and their tables in markdown."""

    content: Mapping[str, Any]
    tables: Sequence[str]


class Section(NamedTuple):
    """A run on the page: HTML, in which `figures` stand in their order, by name."""

    title: str
    html: str
    figures: Mapping[str, Dict]


Run = Tuple[str, Union[Recording, Results]]


def sections(runs: Iterable[Run], from_s=None, to_s=None, first=0) -> List[Section]:
    """Return a section for each run, which has a name, usually that of its file.

    `from_s` and `to_s` say which part of a recording is drawn, in seconds since its begin; `first`
    is the number of the first section on the page.
    Raises ParameterError if a recording has no such part.
    """
    return [_recording(number, title, run, from_s, to_s) if isinstance(run, Recording)
            else _results(number, title, run) for number, (title, run) in enumerate(runs, first)]


def page(found: Sequence[Section], plotly_js: str) -> str:
    """Return the page; `plotly_js` is plotly's own script. Raises ReportError if it is too large.

    It stays below MOST_BYTES.
    """
    folder = Path(__file__).parent
    figures = {name: figure for section in found for name, figure in section.figures.items()}
    links = ''.join(f'<a href="#run-{number}">{text(section.title)}</a>'
                    for number, section in enumerate(found))
    body = '\n'.join(f'<section id="run-{number}"><h2>{text(section.title)}</h2>{section.html}'
                     '</section>' for number, section in enumerate(found))
    nav = f'<nav aria-label="Runs">{links}</nav>' if len(found) > 1 else ''
    whole = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f'<title>{text(", ".join(section.title for section in found))} – s3dnn report</title>\n'
        f'<style>{(folder / "page.css").read_text(encoding="utf-8")}</style></head>\n'
        f'<body><header><h1>s3dnn report</h1>{nav}</header>\n<main>{body}</main>\n'
        f'<script>{plotly_js}</script>\n'
        f'<script type="application/json" id="figures">{script_json(figures)}</script>\n'
        f'<script>{(folder / "page.js").read_text(encoding="utf-8")}</script>\n</body></html>\n')
    size = len(whole.encode())
    if size > MOST_BYTES:
        raise ReportError(f'the page would have {size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:g} MB '
                          'is the most; name fewer runs, or a shorter part with --from and --to')
    return whole


def plotly_script() -> str:
    """Return plotly's script; raises ReportError where plotly is missing or too old."""
    try:
        import plotly
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ReportError(f'plotly is not here; {ADVICE}') from error
    if tuple(map(int, plotly.__version__.split('.')[:2])) < OLDEST:
        raise ReportError(f'plotly is only {plotly.__version__}; {ADVICE}')
    return get_plotlyjs()


def _recording(number, title, recording, from_s, to_s) -> Section:
    run, found = recording.run, view(recording, from_s, to_s)
    names = {row.configuration: row.name for row in recording.configurations}
    facts = [('decided by', run.policy), ('seed', run.seed),
             ('energy since the run began',
              None if run.energy_j is None else f'{run.energy_j:.1f} J'),
             ('recorded', f'{found.whole_s:.3f} s')]
    notes = list(found.left_out)
    if not recording.boundaries:
        notes.append('No cohort decided in this run: there is no LAG, configuration or variant.')
    figure = f'timeline_{number}'
    caption = ('Segments on the device, by instance; below them what the cohort saw and decided. '
               'All panels share the time axis.' if recording.boundaries
               else 'Segments on the device, by instance.')
    return Section(title, _head(run.device, run.simulated, run.command, facts, run.environment)
                   + ''.join(f'<p class="note">{text(note)}</p>' for note in notes)
                   + _figure(figure, 'Timeline of ' + title, caption)
                   + accounts(found.accounts, run.energy_of_instances_j),
                   {figure: timeline(found, names)})


def _results(number, title, results) -> Section:
    content, figures, parts = results.content, {}, []
    for place, (group, found) in enumerate(groups(points(content)).items()):
        drawn = points_figure(found)
        parts.append(f'<h3>{text(group)}</h3>' if group else '')
        if drawn:
            figure = f'points_{number}_{place}'
            figures[figure] = drawn
            parts.append(_figure(figure, f'Energy and response over misses, {group}',
                                 'Left and low is better. Bars are 95 % confidence of the mean, '
                                 'where there are several runs.'))
        parts.append(points_table(found))
        if 'lab' not in content:
            # experiments have such tables of their own
            parts.append(beside_ours(found))
    device = str(content.get('device', 'unknown'))
    simulated = 'lab' in content or device == 'simulated'
    facts = [('experiment', content.get('lab')), *_plan(content.get('plan'))]
    if content.get('complete') is False:
        facts.append(('incomplete', f"{len(content['cells'])} of {content.get('total')} "
                                    'simulations were done when it stopped'))
    return Section(title, _head(device, simulated, str(content.get('command', '')), facts,
                                content.get('environment', {}))
                   + ''.join(parts) + '<h3>Tables</h3>' + from_markdown(results.tables), figures)


def _plan(plan) -> List[Tuple[str, Any]]:
    if not isinstance(plan, Mapping):
        return []
    return [(str(key).replace('_', ' '), ', '.join(map(str, value))
             if isinstance(value, (list, tuple)) else value) for key, value in plan.items()
            if not isinstance(value, Mapping)]


def _head(device, simulated, command, facts, environment) -> str:
    """Return what a run is of: device, versions, commit, command, and other facts."""
    badge = ('<p><span class="badge simulated">simulated: no figure was measured on a device'
             '</span></p>' if simulated else '<p><span class="badge">measured</span></p>')
    environment = environment if isinstance(environment, Mapping) else {}
    versions, machine = environment.get('versions'), environment.get('machine')
    rows = [('device', f'{device} (simulated)' if simulated and device != 'simulated'
             else device), *facts,
            ('command', command), ('commit', environment.get('commit')),
            ('date', environment.get('date')), ('versions', _joined(versions)),
            ('simulated on' if simulated else 'machine', _joined(machine))]
    return badge + '<dl class="facts">' + ''.join(
        f'<dt>{text(key)}</dt><dd>{text(value)}</dd>' for key, value in rows
        if value not in (None, '')) + '</dl>'


def _joined(values) -> str:
    if not isinstance(values, Mapping):
        return str(values or '')
    return ', '.join(f'{key} {value}' for key, value in values.items())


def _figure(name, label, caption) -> str:
    tools = ''.join(f'<button type="button" data-action="{action}">{words}</button>'
                    for action, words in _TOOLS)
    file_name = re.sub(r'\W+', '_', label).strip('_')[:80]
    return (f'<figure><div class="tools" role="toolbar" aria-label="{text(label)}">{tools}</div>'
            f'<div class="plot" tabindex="0" role="group" aria-label="{text(label)}; keys: + and '
            f'- zoom, arrows move, 0 shows all" data-figure="{name}" data-name="{file_name}">'
            f'</div><figcaption>{text(caption)}</figcaption></figure>')
