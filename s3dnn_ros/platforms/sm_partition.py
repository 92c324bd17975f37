"""A discrete GPU on which an engine uses more or fewer multiprocessors (DERIVED: for DVFS)."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.base import Configuration, MonotonicClock, board_of
from s3dnn_ros.platforms.nvml import NvmlMeter
from s3dnn_ros.platforms.sysfs import Sysfs


class PartitionedEngine(Protocol):
    """An engine that runs on a part of its device, as large as it is told."""

    device: str
    partition: int                  # the one in use
    partitions: Sequence[int]       # multiprocessors of each, ascending

    def use(self, partition: int) -> None:
        """Run what is submitted from now on on this partition."""


def check_partitions(engine) -> None:
    """Refuse an engine that has none; raises PlatformError."""
    if not hasattr(engine, 'partitions'):
        raise PlatformError('sm_partition', f'the engine {engine.name} has no partitions; it '
                            'takes the torch engine on a discrete GPU')


class SmPartitionPlatform:
    """The partitions of an engine's GPU as configurations; nothing is left to be restored.

    What runs goes on where it is. Only this process is set: whoever shares the GPU has its own.

    Parameters
    ----------
    engine : PartitionedEngine
    meter : NvmlMeter, optional
        Tells the power of the whole GPU.
    clock : Clock, optional
        Times the transitions.
    root : str
        What lies below is the system.

    Raises
    ------
    PlatformError
        The engine has no partitions.

    """

    name = 'sm_partition'
    immediate = True

    def __init__(self, engine: PartitionedEngine, meter: Optional[NvmlMeter] = None, clock=None,
                 root='/'):
        check_partitions(engine)
        self._engine = engine
        self._meter = meter
        self._clock = clock or MonotonicClock()
        self._first = engine.partition
        self.board = f'{board_of(Sysfs(root))}/{engine.device}'
        self.configurations = tuple(
            Configuration(index, f'{sms} SMs', (('sms', sms),))
            for index, sms in enumerate(engine.partitions))
        self.transitions = 0
        self.transition_s = 0.0

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """Use what was used before."""
        self.close()

    @property
    def current(self):
        """Return the partition in use."""
        return self._engine.partition

    def apply(self, index) -> float:
        """Use this partition; return the seconds that it took; IndexError if there is none."""
        if index == self._engine.partition:
            return 0.0
        begin_s = self._clock.now_s()
        self._engine.use(index)
        took_s = self._clock.now_s() - begin_s
        self.transitions += 1
        self.transition_s += took_s
        return took_s

    def power_mw(self):
        """Return what the GPU draws now; None without a meter."""
        return self._meter and self._meter.power_mw()

    def rails_mw(self):
        """Return the GPU as the only rail."""
        power_mw = self.power_mw()
        return {} if power_mw is None else {'GPU': power_mw}

    def restore(self):
        """Use the partition that was used at first."""
        self._engine.use(self._first)

    def close(self):
        """Restore; the meter stays whose it was."""
        self.restore()
