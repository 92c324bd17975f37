"""What a kind of hostile input is: how one is made, and what the package does with it."""

from __future__ import annotations

import random
from typing import Any, Protocol


class Kind(Protocol):
    """Inputs for one parser; made with the path of an empty folder, which is its own."""

    name: str

    def make(self, chance: random.Random) -> Any:
        """Return an input; the same for the same random numbers."""

    def use(self, given: Any) -> None:
        """Do what the package does with such an input; S3dnnError where that refuses it."""
