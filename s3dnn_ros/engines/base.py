"""What every inference engine offers, whatever device is behind it."""

from __future__ import annotations

import dataclasses
from typing import Callable, Mapping, Optional, Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: outputs by name (batch first), or the error that ended it."""

    started_s: float
    ended_s: float
    outputs: Optional[Mapping[str, np.ndarray]] = None
    error: str = ''


class Network(Protocol):
    """One network, loaded and ready; image input uint8 (N, H, W, 3)."""

    output_shapes: Mapping[str, tuple]
    batch: int      # the largest batch it takes; 0: any

    def run(self, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        """Run now, in the caller's thread; used to warm up and to check."""


class Engine(Protocol):
    """Loads networks and runs them asynchronously."""

    name: str
    device: str

    def load(self, instance: str, model, spec) -> Network:
        """Load an ONNX model; raises EngineError naming the instance."""

    def submit(self, network: Network, pixels: np.ndarray, done: Callable[[Run], None]) -> None:
        """Start a run; `done` is called once, from any thread, never from within submit."""

    def close(self) -> None:
        """Finish what was submitted and free everything."""
