"""What every board offers: configurations to choose from, and its power."""

from __future__ import annotations

import dataclasses
import logging
import platform
import time
from typing import Dict, Optional, Protocol, Sequence, Tuple

from s3dnn_ros.errors import PlatformError

_LOG = logging.getLogger(__name__)

_MODEL = 'sys/firmware/devicetree/base/model'
# the serial number comes first, as containers on one board share it
_IDENTITIES = ('sys/firmware/devicetree/base/serial-number', 'etc/machine-id', 'etc/hostname')


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One choice of every knob: `values` pairs each axis with its value; slow is low."""

    index: int
    name: str
    values: Tuple[Tuple[str, object], ...] = ()


class Platform(Protocol):
    """A board: what it can be set to, and what it draws. Configurations run from slow to fast."""

    name: str
    board: str              # the same for all processes on one board
    immediate: bool         # whether `apply` takes microseconds
    configurations: Sequence[Configuration]
    current: Optional[int]  # index of what is applied; None: not by us
    transitions: int        # how many changes were made
    transition_s: float     # and how long they took together

    def apply(self, index: int) -> float:
        """Set the board to a configuration; return the seconds that it took."""

    def power_mw(self) -> Optional[float]:
        """Return what the board draws now; None if nobody can tell."""

    def rails_mw(self) -> Dict[str, float]:
        """Return what each rail draws now, by its name."""

    def restore(self) -> None:
        """Set the board to what it was before the first `apply`."""

    def close(self) -> None:
        """Restore, and give the board to others."""


class EnergyMeter(Protocol):
    """Tells what a board or a GPU uses; asked by one thread."""

    period_s: float     # from one question to the next, by what it costs and may miss

    def energy_mj(self) -> Optional[float]:
        """Return what was used since the meter was made; None if nobody can tell.

        Raises PlatformError if it cannot be read.
        """

    def power_mw(self) -> Optional[float]:
        """Return what is drawn, as `energy_mj` saw it; None or PlatformError like there."""

    def close(self) -> None:
        """Give back what it reads with."""


class MonotonicClock:
    """Time that never jumps, for durations."""

    def now_s(self):
        """Return seconds since some moment."""
        return time.monotonic()


def board_of(files) -> str:
    """Return a name for the board that two processes on it share."""
    return f'{_first(files, _IDENTITIES) or platform.node()}/{model_of(files)}'


def model_of(files) -> str:
    """Return what the board calls itself, or else the processor's kind."""
    return _first(files, (_MODEL,)) or platform.machine()


def _first(files, names):
    for name in names:
        try:
            text = files.text(name)
        except PlatformError:
            continue
        if text:
            return text
    return ''
