"""The cohort's parameters (NeuOS), part of the executor's."""

from __future__ import annotations

import dataclasses

from s3dnn_ros.cohort import HORIZONS, MODES, SCORES
from s3dnn_ros.settings.parameters import parameter


@dataclasses.dataclass(frozen=True)
class CohortSettings:
    """Whether all networks on a board decide together, and how: `cohort`, `cohort_…`."""

    enabled: bool = parameter(False, 'Coordinate with all instances on this board at every '
                              'segment boundary (NeuOS): each tells how far it is ahead of its '
                              'schedule on cohort/states. Takes profiles, and the scheduler '
                              'supervised, packing or edf.', called='cohort')
    mode: str = parameter('balanced', 'What the cohort gives up when it is behind: '
                          'max_accuracy: energy; min_energy: accuracy; balanced: some of both.',
                          choices=tuple(MODES), live=True)
    horizon: str = parameter('deadline', 'In what time an instance makes up for what it is '
                             'behind of a plan that fills its deadline: the whole deadline '
                             '(NeuOS), what is remaining of it, or the next segment. slack: it '
                             'is behind only if it would be late, run on as profiled; with '
                             'platform none.', choices=HORIZONS, live=True)
    threshold: float = parameter(-1.0, 'balanced: up to so much behind, on average, the middle '
                                 'of the cohort chooses, beyond it those that are most behind. '
                                 'Below 0: the spread of the cohort.',
                                 low=-1.0, high=100.0, live=True)
    margin: float = parameter(0.1, 'Share of every deadline that the cohort keeps free: who '
                              'would not be in time if what usually comes came, asks for more '
                              'speed than by its plan alone. Late jobs add to it for a while. '
                              'Below 0: the plan alone (NeuOS).',
                              low=-1.0, high=0.9, live=True)
    tables: str = parameter('segment', 'By what the configuration is chosen: what each gives the '
                            'next segment (NeuOS), or the whole network. network: where clocks '
                            'take longer to change than a segment runs.',
                            choices=('segment', 'network'))
    score: str = parameter('fidelity', 'What a low-rank variant of a segment counts: its '
                           'measured fidelity to the exact network, or one point less for each '
                           'low-rank layer (NeuOS). `s3dnn models lowrank` makes variants; '
                           'without, all runs exact.', choices=SCORES)
    lease_ms: float = parameter(1000.0, 'An instance that is silent for longer is no member any '
                                'more.', low=10.0, high=60000.0)
