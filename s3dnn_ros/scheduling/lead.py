"""How long before a segment's end the next one is chosen."""

from __future__ import annotations

# So long before the core hears of an end, what comes next is to be handed over: an end is heard
# of late, by up to a look's period and what the look takes.
MARGIN_S = 100e-6
# Of what was too early or too late, so much is learned at once, and at most of a margin.
GAIN = 0.1
# The lead is never longer than so many of the engine's: what is chosen early may be overtaken.
MOST_LEADS = 4.0


class Lead:
    """Grows until the host, as slow as it is, hands segments over in time (DERIVED).

    With too short a lead the device stands still between segments; a longer one than needed
    chooses before more urgent work has come.

    Parameters
    ----------
    least_s : float
        The engine's `lead_s`: what a fast host needs.

    Attributes
    ----------
    seconds : float
        The lead now.

    """

    def __init__(self, least_s: float):
        self.seconds = self._least_s = least_s

    def learn(self, margin_s: float):
        """Take note of how long before an end was heard of the next work was handed over."""
        missing_s = min(max(MARGIN_S - margin_s, -MARGIN_S), MARGIN_S)
        self.seconds = min(max(self.seconds + GAIN * missing_s, self._least_s),
                           MOST_LEADS * self._least_s)
