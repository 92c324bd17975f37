"""Units that were left out are asked again, later each time."""

from __future__ import annotations

import logging
from typing import Callable, Dict

from s3dnn_ros.base.content import shortened
from s3dnn_ros.units.split_network import SplitNetwork

_LOG = logging.getLogger(__name__)

# A unit is asked again after this time, and after twice the last one where it fails again.
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 60.0


class Retries:
    """Asks the units of a network again that are left out, one at a time.

    Parameters
    ----------
    network : SplitNetwork
    clock : Clock
    submit : callable
        Runs a function in another thread, as to load a network takes long.

    """

    def __init__(self, network: SplitNetwork, clock, submit: Callable[[Callable], object]):
        self._network = network
        self._clock = clock
        self._submit = submit
        self._delay_s: Dict[str, float] = {}
        self._due_s: Dict[str, float] = {}      # of those that are left out
        self._asking = False

    def went_well(self, unit: str) -> None:
        """Take note of a part that a unit ran."""
        self._delay_s.pop(unit, None)

    def look(self) -> None:
        """Ask a unit again if it is time; call it now and then."""
        if self._asking:
            return
        now_s = self._clock.now_s()
        for unit in self._network.left_out:
            if self._due_s.setdefault(unit, now_s + self._next_delay_s(unit)) <= now_s:
                self._asking = True
                self._submit(lambda unit=unit: self._ask(unit))
                return

    def _next_delay_s(self, unit) -> float:
        last_s = self._delay_s.get(unit)
        return FIRST_DELAY_S if last_s is None else min(2.0 * last_s, LONGEST_DELAY_S)

    def _ask(self, unit):
        self._delay_s[unit] = self._next_delay_s(unit)
        try:
            self._network.ask_again(unit)
        except Exception as error:
            # whatever a device's driver raises, the next attempt may do better
            _LOG.warning(f'unit {unit} cannot be used again: {shortened(error)}; the next attempt '
                         f'comes in {self._next_delay_s(unit):g} s')
        else:
            _LOG.warning(f'unit {unit} is used again')
        finally:
            del self._due_s[unit]
            self._asking = False
