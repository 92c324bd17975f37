"""LAG: how far a job is ahead of its own schedule (NeuOS, ATC 2020, section 4.2).

One sign everywhere: positive is ahead, negative behind.
"""

from __future__ import annotations

import math
from typing import List, Sequence

# In what time a LAG is to be made up for: the whole deadline (NeuOS), what is left of it (exact,
# DERIVED), or the next layer alone (the NeuOS authors' code). With 'slack' the plan is not to
# fill the deadline, but to run as profiled: LAG is the slack then, and the horizon what remains
# (ours).
HORIZONS = ('deadline', 'remaining', 'next', 'slack')
# So much faster is as fast as can be: what is left of a job cannot end in time any more.
MOST_SPEEDUP = 1000.0


def proportional_sub_deadlines(times_s: Sequence[float], deadline_s: float) -> List[float]:
    """Return d_l = D · e_l / Σ e for every layer (NeuOS, equation 2, DERIVED).

    Parameters
    ----------
    times_s : sequence of float
        Profiled time of each layer, or segment.
    deadline_s : float
        Of the whole job, from its start.

    Raises
    ------
    ValueError
        If a time or the deadline is negative or not finite, or no time is above 0.

    """
    times_s = [float(time_s) for time_s in times_s]
    total_s = math.fsum(times_s)
    if not all(0.0 <= time_s < math.inf for time_s in times_s) or not total_s > 0.0:
        raise ValueError(f'times_s is {times_s}; expected finite seconds from 0, some above 0')
    if not 0.0 <= deadline_s < math.inf:
        raise ValueError(f'deadline_s is {deadline_s}; expected finite seconds from 0')
    return [deadline_s * time_s / total_s for time_s in times_s]


def lag_s(sub_deadlines_s: Sequence[float], execution_times_s: Sequence[float]) -> float:
    """Return LAG = Σ (d_l − e_l) over the layers that have finished (equation 1, DERIVED).

    `execution_times_s` has as many entries as layers have finished, the first ones.

    Raises
    ------
    ValueError
        If more layers have finished than there are.

    """
    if len(execution_times_s) > len(sub_deadlines_s):
        raise ValueError(f'{len(execution_times_s)} layers have finished of '
                         f'{len(sub_deadlines_s)}; expected no more than there are')
    return math.fsum(deadline_s - took_s
                     for deadline_s, took_s in zip(sub_deadlines_s, execution_times_s))


def needed_speedup(lag_s: float, horizon_s: float) -> float:
    """Return S_P = H / (H + LAG) (equation 3, DERIVED), above 1 if behind.

    To run so much faster than planned for the horizon H makes up for the LAG. At most
    MOST_SPEEDUP, also where H + LAG ≤ 0: then nothing is fast enough.
    """
    left_s = horizon_s + lag_s
    if left_s * MOST_SPEEDUP <= horizon_s:
        return MOST_SPEEDUP
    return horizon_s / left_s
