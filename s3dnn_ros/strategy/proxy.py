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


class Proxy:
    """Predicts miss rates of strategies that nobody measured.

    One forest learns of all tasks (DERIVED): each measured strategy is as many examples as there
    are tasks, and what holds for one task mostly holds for others.

    Parameters
    ----------
    workload : Workload
    seed : int

    """

    def __init__(self, workload: Workload, seed: int):
        self._workload = workload
        # of each split a third of the features, as is usual for regression: trees differ more
        self._forest = library('sklearn.ensemble').RandomForestRegressor(
            TREES, max_features=1 / 3, random_state=seed)

    def fit(self, measured: Measured):
        """Learn from what was measured: least squares over all tasks, Eq. 6."""
        self._forest.fit(_rows(features(self._workload, list(measured))),
                         _missed(measured).ravel())

    def predict(self, strategies: Sequence[Strategy]) -> np.ndarray:
        """Return miss rates, a row for each strategy and a column for each task."""
        found = self._forest.predict(_rows(features(self._workload, strategies)))
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
    strategies, missed = list(measured), _missed(measured)
    predicted, constant = np.empty_like(missed), np.empty_like(missed)
    for learned, held_out in folds.split(strategies):
        proxy = Proxy(workload, seed)
        proxy.fit({strategies[index]: measured[strategies[index]] for index in learned})
        predicted[held_out] = proxy.predict([strategies[index] for index in held_out])
        constant[held_out] = missed[learned].mean(axis=0)
    return ProxyError(float(np.abs(predicted - missed).mean()),
                      float(np.abs(constant - missed).mean()), predicted, missed)


def features(workload: Workload, strategies: Sequence[Strategy]) -> np.ndarray:
    """Return what the forest sees (DERIVED), of this shape: strategies, tasks, features.

    Of a task in a strategy: which task it is; its variant and priority; the load of the device by
    more important tasks and by itself; the load of processors by the same; the bound of its
    response time, over its deadline; its own time alone over its deadline; and the load of
    processors by all. Behind them the load of the device by every task, then by those alone that
    go before it, and by itself.
    """
    tasks = workload.tasks
    chosen = [workload.chosen(strategy.variants) for strategy in strategies]
    variants = np.array([strategy.variants for strategy in strategies], float)
    priorities = np.array([strategy.priorities for strategy in strategies], float)
    periods_s = np.array([task.period_s for task in tasks])
    deadlines_s = np.array([task.deadline_s for task in tasks])
    device_s = np.array([[variant.device_s for variant in row] for row in chosen])
    cpu_s = np.array([[variant.before_s + variant.behind_s for variant in row] for row in chosen])
    # [strategy, task, other]: whether the other goes first
    first = priorities[:, None, :] >= priorities[:, :, None]
    device_loads, cpu_loads = device_s / periods_s, cpu_s / periods_s
    first_loads = first * device_loads[:, None, :]
    # so often the other comes while this one may still be in time
    often = np.ceil(deadlines_s[:, None] / periods_s[None, :])
    bound_s = cpu_s + (first * often[None] * device_s[:, None, :]).sum(axis=2)
    shape = variants.shape
    own = np.stack([
        np.broadcast_to(np.arange(len(tasks)), shape), variants, priorities,
        first_loads.sum(axis=2), (first * cpu_loads[:, None, :]).sum(axis=2),
        bound_s / deadlines_s, (cpu_s + device_s) / deadlines_s,
        np.broadcast_to(cpu_loads.sum(axis=1)[:, None], shape)], axis=2)
    return np.concatenate([
        own, np.broadcast_to(device_loads[:, None, :], first.shape), first_loads], axis=2)


def _rows(found: np.ndarray) -> np.ndarray:
    """Return features as a row for each task of each strategy."""
    return found.reshape(-1, found.shape[-1])


def _missed(measured):
    return np.array([measurement.missed for measurement in measured.values()])
