"""The table of `s3dnn models lowrank` as a picture; needs matplotlib."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.bench.s3dnn_plots import DPI, FONT, PlotError, load_matplotlib
from s3dnn_ros.profiling.variant_table import VariantTable

EXACT_LINE = {'color': '#7F7F7F', 'linewidth': 0.8, 'linestyle': '--'}
WORTH_IT, SLOWER = '#0072B2', '#D55E00'


def plot(table: VariantTable, score: str, path: Path) -> Path:
    """Draw score over speed-up, of the whole network and of each segment; return the path.

    Raises PlotError where matplotlib is missing or too old, or the file cannot be written.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(FONT):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.0, 4.2), layout='constrained')
        whole, segments = figure.subplots(1, 2)
        _whole(whole, table, score)
        _segments(segments, table, score)
        figure.suptitle(f'{table.model} on {table.device}; {table.images}; calibration: '
                        f'{table.calibration}', fontsize=9)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=DPI, format='png')
        except OSError as error:
            raise PlotError(f'{path} cannot be written ({error.strerror}); name another with '
                            '--plot') from error
    return path


def _whole(panel, table, score):
    """Draw a line through the ratios, beside the share of answers that stay the same."""
    rows = table.of(None)
    speedups = [row.speedup for row in rows]
    panel.plot(speedups, [row.score(score) for row in rows], 'o-', color='#0072B2', label=score)
    panel.plot(speedups, [row.answers for row in rows], 's:', color='#E69F00',
               label='same answers')
    for row in rows:
        panel.annotate(f'{row.ratio:g}', (row.speedup, row.score(score)), fontsize=7,
                       textcoords='offset points', xytext=(4, 4))
    _finish(panel, 'all segments at one ratio of their work', score)
    panel.legend(frameon=False)


def _segments(panel, table, score):
    """Draw a number for each variant of each segment, in red where it gains nothing."""
    for row in table.rows:
        if row.segment is None or not row.layers:
            continue
        colour = WORTH_IT if row.is_worth_it else SLOWER
        panel.plot(row.speedup, row.score(score), '.', color=colour, markersize=4)
        panel.annotate(f'{row.segment}', (row.speedup, row.score(score)), color=colour,
                       fontsize=7, textcoords='offset points', xytext=(3, 2))
    _finish(panel, 'one segment not exact (its number; red: no gain, not offered)',
            f"the whole network's {score}")


def _finish(panel, title, label):
    panel.axvline(1.0, **EXACT_LINE)
    panel.set(title=title, xlabel='speed-up', ylabel=label, ylim=(-0.03, 1.06))
    panel.grid(alpha=0.25)
