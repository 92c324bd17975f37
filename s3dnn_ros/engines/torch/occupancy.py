"""How much of the GPU a kernel fills: thread blocks over those the GPU can host (S3DNN)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Iterable, Tuple

WARP = 32
# Registers are given out to warps in units of this many.
REGISTER_UNIT = 256
# A multiprocessor has four files of registers, each for every fourth warp.
WARPS_TOGETHER = 4
# Shared memory of a block that the driver takes for itself, from compute capability 8.0 on.
RESERVED_SHARED_BYTES = 1024
# Most blocks on one multiprocessor, by compute capability (CUDA programming guide).
BLOCKS_PER_SM = {(5, 3): 32, (6, 2): 32, (7, 2): 32, (7, 5): 16, (8, 0): 32, (8, 6): 16,
                 (8, 7): 16, (8, 9): 24, (9, 0): 32}


@dataclasses.dataclass(frozen=True)
class Multiprocessors:
    """What `count` streaming multiprocessors offer; all but the count are of one."""

    count: int
    threads: int
    registers: int
    shared_bytes: int
    blocks: int


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel launch, as the profiler recorded it."""

    time_us: float
    blocks: int
    threads: int                # per block
    registers: int              # per thread
    shared_bytes: int           # per block

    def resident_blocks(self, sms: Multiprocessors) -> int:
        """Return how many of its blocks the multiprocessors host at once, at least one each."""
        warps = -(-self.threads // WARP)
        limits = [sms.blocks, sms.threads // (warps * WARP)]
        if self.registers:
            per_warp = -(-self.registers * WARP // REGISTER_UNIT) * REGISTER_UNIT
            limits.append(sms.registers // per_warp // WARPS_TOGETHER * WARPS_TOGETHER // warps)
        if self.shared_bytes:
            limits.append(sms.shared_bytes // (self.shared_bytes + RESERVED_SHARED_BYTES))
        return sms.count * max(1, min(limits))

    def tb_ratio(self, sms: Multiprocessors) -> float:
        """Return its blocks over those the multiprocessors can host."""
        return self.blocks / self.resident_blocks(sms)


def tb_ratio(kernels: Iterable[Kernel], sms: Multiprocessors) -> float:
    """Return the share of the device that kernels fill, one after another, over their time.

    DERIVED: S3DNN schedules single kernels; a segment has many, so the ratios are weighted by
    time, and none counts for more than a full device. 1.0 without kernels.
    """
    kernels = tuple(kernels)
    time_us = sum(kernel.time_us for kernel in kernels)
    if not time_us:
        return 1.0
    return sum(min(1.0, kernel.tb_ratio(sms)) * kernel.time_us for kernel in kernels) / time_us


def kernels_of(trace: Path) -> Tuple[Kernel, ...]:
    """Return the kernels in a trace of PyTorch's profiler (Chrome format), in order of time."""
    events = json.loads(Path(trace).read_text())['traceEvents']
    found = sorted((event for event in events if event.get('cat') == 'kernel'),
                   key=lambda event: event['ts'])
    return tuple(_kernel(event) for event in found)


def _kernel(event):
    arguments = event['args']
    grid, block = arguments['grid'], arguments['block']
    return Kernel(float(event['dur']), grid[0] * grid[1] * grid[2],
                  block[0] * block[1] * block[2], int(arguments.get('registers per thread', 0)),
                  int(arguments.get('shared memory', 0)))
