"""What `s3dnn plan` measured as pictures; needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import List

from s3dnn_ros.bench.s3dnn_plots import FONT, grid, load_matplotlib, save
from s3dnn_ros.strategy.proxy import ProxyError
from s3dnn_ros.strategy.strategy import Measured, Strategy, is_feasible
from s3dnn_ros.strategy.workload import Workload

FEASIBLE, OTHER, CHOSEN = '#0072B2', '#BBBBBB', '#D55E00'


def plot(workload: Workload, measured: Measured, chosen: Strategy, error: ProxyError,
         directory: Path) -> List[Path]:
    """Write front.png and proxy.png into a directory; return their paths.

    Raises PlotError where matplotlib is missing or too old, or the directory cannot be written.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(FONT):
        return save({'front': _front(workload, measured, chosen),
                     'proxy': _proxy(workload, error)}, directory)


def _front(workload, measured, chosen):
    """Loss over what is missed beyond what is tolerated: a point for each measured strategy."""
    figure, [panel] = grid(1, 3.4)
    feasible = [is_feasible(workload, *item) for item in measured.items()]
    for wanted, colour, label in ((False, OTHER, 'misses too much'),
                                  (True, FEASIBLE, 'feasible')):
        points = [(_excess(workload, measured, strategy), _loss(workload, strategy))
                  for strategy, found in zip(measured, feasible) if found is wanted]
        panel.plot(*zip(*points) if points else ((), ()), '.', color=colour, label=label)
    panel.plot(_excess(workload, measured, chosen), _loss(workload, chosen), 'o',
               markerfacecolor='none', color=CHOSEN, markersize=9, label='chosen')
    panel.set(title=f'{workload.name}: {len(measured)} measured strategies',
              xlabel='missed beyond what is tolerated, sum over tasks, %',
              ylabel='loss, sum over tasks, % of accuracy')
    panel.set_xscale('symlog', linthresh=1.0)
    panel.grid(alpha=0.25)
    panel.legend(frameon=False)
    return figure


def _proxy(workload, error):
    """Predicted over measured misses of held-out strategies, a colour for each task."""
    figure, [panel] = grid(1, 3.8)
    for index, task in enumerate(workload.tasks):
        panel.plot(1e2 * error.measured[:, index], 1e2 * error.predicted[:, index], '.',
                   alpha=0.6, label=task.name)
    panel.plot((0, 100), (0, 100), 'k:', linewidth=0.8)
    panel.set(title=f'held-out strategies: {1e2 * error.proxy:.1f} points off on average',
              xlabel='measured, missed frames, %', ylabel='predicted, %')
    panel.grid(alpha=0.25)
    panel.legend(frameon=False)
    return figure


def _excess(workload, measured, strategy):
    return 1e2 * workload.excess(measured[strategy].missed)


def _loss(workload, strategy):
    return 1e2 * workload.loss(strategy.variants)
