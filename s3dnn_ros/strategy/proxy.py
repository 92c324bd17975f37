"""RT-mDL's proxy: a random forest that predicts what each task misses (Eq. 5 and 6)."""

from __future__ import annotations

import dataclasses
from typing import Sequence

import numpy as np

from s3dnn_ros.strategy.libraries import library
from s3dnn_ros.strategy.strategy import Measured, Strategy
from s3dnn_ros.strategy.workload import Workload

TREES = 50
FOLDS = 5
# Of a task, see `features`.
TASK_FEATURES = 6


class Proxy:
    """Predicts miss rates of strategies that nobody measured.

    Parameters
    ----------
    workload : Workload
    seed : int

    """

    def __init__(self, workload: Workload, seed: int):
        self._workload = workload
        self._forest = _forest(seed)

    def fit(self, measured: Measured):
        """Learn from what was measured: least squares over all tasks, Eq. 6."""
        _fit(self._forest, features(self._workload, list(measured)), _missed(measured))

    def predict(self, strategies: Sequence[Strategy]) -> np.ndarray:
        """Return miss rates, a row for each strategy and a column for each task."""
        found = self._forest.predict(features(self._workload, strategies))
        return found.reshape(len(strategies), len(self._workload.tasks))


@dataclasses.dataclass(frozen=True)
class ProxyError:
    """How far predictions are from what was measured, of strategies that were not learned.

    All numbers are mean absolute differences of miss rates, over strategies and tasks;
    `constant` is the error of predicting every task's mean. `predicted` and `measured` have a
    row for each strategy, and a column for each task.
    """

    proxy: float
    constant: float
    predicted: np.ndarray = dataclasses.field(repr=False)
    measured: np.ndarray = dataclasses.field(repr=False)


def proxy_error(workload: Workload, measured: Measured, seed: int) -> ProxyError:
    """Return the proxy's error on held-out strategies: each is in one of five folds.

    Every fold is predicted by a forest that learned the others. There must be two strategies;
    fewer than five are a fold each.
    """
    selection = library('sklearn.model_selection')
    folds = selection.KFold(min(FOLDS, len(measured)), shuffle=True, random_state=seed)
    known, missed = features(workload, list(measured)), _missed(measured)
    predicted, constant = np.empty_like(missed), np.empty_like(missed)
    for learned, held_out in folds.split(known):
        forest = _forest(seed)
        _fit(forest, known[learned], missed[learned])
        predicted[held_out] = forest.predict(known[held_out]).reshape(len(held_out), -1)
        constant[held_out] = missed[learned].mean(axis=0)
    return ProxyError(float(np.abs(predicted - missed).mean()),
                      float(np.abs(constant - missed).mean()), predicted, missed)


def features(workload: Workload, strategies: Sequence[Strategy]) -> np.ndarray:
    """Return what the forest sees of strategies, a row for each (DERIVED).

    Of every task: its variant and priority; the load of the device by more important tasks and
    by itself; the load of processors by the same; the bound of its response time, over its
    deadline; and its own time alone over its deadline. Behind them the load of the device and of
    processors by all.
    """
    tasks = workload.tasks
    count = len(tasks)
    chosen = [workload.chosen(strategy.variants) for strategy in strategies]
    priorities = np.array([strategy.priorities for strategy in strategies], float)
    periods_s = np.array([task.period_s for task in tasks])
    deadlines_s = np.array([task.deadline_s for task in tasks])
    device_s = np.array([[variant.device_s for variant in row] for row in chosen])
    cpu_s = np.array([[variant.before_s + variant.behind_s for variant in row] for row in chosen])
    # [strategy, task, other]: whether the other goes first
    first = priorities[:, None, :] >= priorities[:, :, None]
    device_load = (first * (device_s / periods_s)[:, None, :]).sum(axis=2)
    cpu_load = (first * (cpu_s / periods_s)[:, None, :]).sum(axis=2)
    # so often the other comes while this one may still be in time
    often = np.ceil(deadlines_s[:, None] / periods_s[None, :])
    bound_s = cpu_s + (first * often[None] * device_s[:, None, :]).sum(axis=2)
    columns = np.stack([
        np.array([strategy.variants for strategy in strategies], float), priorities,
        device_load, cpu_load, bound_s / deadlines_s, (cpu_s + device_s) / deadlines_s], axis=2)
    loads = np.stack([(device_s / periods_s).sum(axis=1), (cpu_s / periods_s).sum(axis=1)], axis=1)
    return np.hstack([columns.reshape(len(strategies), count * TASK_FEATURES), loads])


def _forest(seed):
    # of each split a third of the features, as is usual for regression: trees differ more
    return library('sklearn.ensemble').RandomForestRegressor(
        TREES, max_features=1 / 3, random_state=seed)


def _fit(forest, known, missed):
    # scikit-learn warns of a column
    forest.fit(known, missed if missed.shape[1] > 1 else missed.ravel())


def _missed(measured):
    return np.array([measurement.missed for measurement in measured.values()])
