"""How long layers take on a board, by its clocks: a roofline, thread blocks and launches."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple, Sequence

from s3dnn_ros.lab.board import GPU, MEMORY, PRECISIONS, Board
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable

_BYTES = {'fp32': 4.0, 'fp16': 2.0}
# A thread block of cuDNN's and TensorRT's kernels computes about so many results: 64 × 64.
BLOCK = 4096.0


class Run(NamedTuple):
    """What layers take alone: time, and the shares of the multiprocessors and of the bandwidth."""

    time_s: float
    utilization: float
    traffic: float


@dataclasses.dataclass(frozen=True)
class Roofline:
    """A board's GPU in one precision.

    A layer takes the longer one of its arithmetic and its traffic, and some time for its launch.
    It has as many multiprocessors as it has thread blocks; the others are free for what runs
    beside it. Raises ValueError for a precision that no board tells.
    """

    board: Board
    precision: str = 'fp16'

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}; expected one of "
                             f"{', '.join(PRECISIONS)}")

    def run(self, layers: Sequence[Layer], batch: int, gpu_mhz: float,
            memory_mhz: float) -> Run:
        """Return what some layers, one behind the other, take of the device."""
        board = self.board
        kernel_s = board.kernel_s * board.clocks[GPU].steps_mhz[-1] / gpu_mhz
        bytes_s = 1e6 * memory_mhz * board.bytes_per_clock * board.bandwidth_efficiency
        time_s = used_s = moved = 0.0
        for layer in layers:
            share = min(1.0, math.ceil(batch * layer.results / BLOCK) / board.multiprocessors)
            # without tensor cores
            kind = self.precision if layer.is_dense else 'fp32'
            flops_s = (1e6 * gpu_mhz * board.flops_per_clock[kind]
                       * board.efficiency[self.precision] * share)
            size = _BYTES[self.precision] * (batch * layer.moved + layer.weights)
            took_s = kernel_s + max(batch * layer.flops / flops_s, size / bytes_s)
            time_s += took_s
            used_s += share * took_s
            moved += size
        return Run(time_s, used_s / time_s if time_s else 1.0,
                   moved / (bytes_s * time_s) if time_s else 0.0)

    def profile(self, model: str, segments: Sequence[Sequence[Layer]],
                batches: Sequence[int] = (1,)) -> ProfileTable:
        """Return what a profiler would measure with all clocks at their highest step."""
        highest = [self.board.clocks[name].steps_mhz[-1] for name in (GPU, MEMORY)]
        rows = []
        for segment, layers in enumerate(segments):
            for batch in batches:
                run = self.run(layers, batch, *highest)
                time_ms = 1e3 * run.time_s
                rows.append(ProfileRow(segment, batch, time_ms, time_ms, time_ms,
                                       run.utilization, run.utilization))
        return ProfileTable(model, '', 'simulated', self.board.name, 'default', {}, tuple(rows))
