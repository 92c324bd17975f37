"""What trials of strategies have in common, in virtual time and on an engine.

A trial is a frozen dataclass with `workload`, `policy`, `seconds` and `seeds`: all runs together
take so many seconds, and there is one for each seed.
"""

from __future__ import annotations

import dataclasses
import math

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.scheduling import POLICIES


def check_trial(trial) -> None:
    """Refuse what cannot be tried; raises ParameterError."""
    if trial.policy not in POLICIES:
        raise ParameterError('policy', trial.policy, f'expected one of {sorted(POLICIES)}')
    shortest_s = len(trial.seeds) * max(task.period_s for task in trial.workload.tasks)
    if not shortest_s <= trial.seconds < math.inf:
        raise ParameterError('seconds', trial.seconds, f'expected {shortest_s:g} at least, so '
                             'that every task has a frame in every run')


def longer(trial, times: int):
    """Return a trial with other seeds that takes so many times as long."""
    first = max(trial.seeds) + 1
    return dataclasses.replace(trial, seconds=times * trial.seconds, seeds=tuple(
        range(first, first + times * len(trial.seeds))))
