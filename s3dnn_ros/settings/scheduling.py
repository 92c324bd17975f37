"""What runs next, and what does not run: part of the executor's parameters."""

from __future__ import annotations

import dataclasses

from s3dnn_ros.scheduling.options import ORDERS, SHARES
from s3dnn_ros.settings.parameters import parameter

SCHEDULERS = ('supervised', 'packing', 'edf', 'fifo', 'streams')


@dataclasses.dataclass(frozen=True)
class SchedulingSettings:
    """The order of work on the device, its batches, and what happens to what is late."""

    scheduler: str = parameter('supervised', 'Scheduling policy. supervised: the most urgent '
                               'first, small segments side by side (S3DNN); packing: the '
                               'instance of highest priority first, and beside it one of lower '
                               'priority that fits (RT-mDL); edf: earliest deadline first; fifo: '
                               'in order of arrival; streams: everything at once, as CUDA does by '
                               'itself.',
                               choices=SCHEDULERS)
    capacity: float = parameter(1.0, 'supervised: how much of the device may be taken at '
                                'once. 1 suits embedded GPUs; large ones, which a network alone '
                                'leaves idle between its kernels, carry more by tb_ratio: 3 on an '
                                'H200.',
                                low=0.1, high=16.0)
    share: str = parameter('tb_ratio', 'supervised: what a run takes of it, by its '
                           'profile. tb_ratio: its thread blocks over those the device holds '
                           '(S3DNN), or as measured where the engine, as tensorrt, does not tell '
                           'them; utilization: as measured with others beside it.', choices=SHARES)
    order: str = parameter('deadline', 'supervised: what goes first, the least slack (S3DNN) or '
                           'the earliest deadline, with which jobs of like slack do not take '
                           'turns.', choices=ORDERS)
    overlap: bool = parameter(True, 'supervised: run more than that side by side where all of '
                              'it has the slack, however the GPU shares itself out (policy '
                              'overlapping). false: S3DNN as published.')
    packing_threshold: float = parameter(1.0, 'packing: two segments run side by side only if '
                                         'the sum of their utilizations, by their profiles, is '
                                         'below this (θ of RT-mDL), and only if their instances '
                                         'have different priorities. 0: one after the other.',
                                         low=0.0, high=16.0, live=True)
    fusion: bool = parameter(True, 'Run requests for one model as one batch, of whichever '
                             'instance or front end they are, as long as the earliest deadline '
                             'holds by the profile; without a profile each runs alone.',
                             live=True)
    max_batch: int = parameter(8, 'Most images of one model that run together. Front ends are '
                               'told, and send no larger batch; another one is refused.',
                               low=1, high=64)
    max_queue: int = parameter(32, 'Batches that may wait in the executor; the oldest one beyond '
                               'that is dropped.', low=1, high=1000, live=True)
    late_policy: str = parameter('drop', 'What happens to a batch that can no longer meet its '
                                 'deadline because it waited: drop it for a newer one, or run '
                                 'it late, after those that can be in time. Governors follow it, '
                                 'too. A camera whose frames are always too late when they '
                                 'come has its turns all the same.',
                                 choices=('run', 'drop'), live=True)
