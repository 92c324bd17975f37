"""What every inference engine offers, whatever device is behind it."""

from __future__ import annotations

import dataclasses
import math
from typing import (
    Any,
    Callable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from s3dnn_ros.errors import ParameterError

# In the order in which `auto` tries them; the first that works is taken.
ENGINES = ('tensorrt', 'torch', 'onnxruntime')
# The one that is made of others; `units/engine.py`.
UNITS = 'units'
PRECISIONS = ('fp16', 'fp32', 'int8')
# That the build of a segment may be given.
LONGEST_S = 86400.0


class Run(NamedTuple):
    """A finished segment: when it ran, or the error that ended it.

    `exact` says that it ran exact although it was to run in a variant: an engine that is `gated`
    lets all segments of a job run on while no job may wait. An engine of several units says by
    which of its `units` each image ran. The time of a run that is `untypical` tells nothing of
    others: its deadline allowed to take longer, or a unit failed.
    """

    started_s: float
    ended_s: float
    error: str = ''
    exact: bool = False
    units: Tuple[str, ...] = ()
    untypical: bool = False


@dataclasses.dataclass(frozen=True)
class BuildOptions:
    """How an engine is to build networks; each heeds what its `heeds` names.

    `dla` is a core, -1 for none; a workspace of 0 MB, an `optimum` of 0 images, no `tactics` and
    an `optimization_level` of -1 leave it to the engine, which then takes the largest batch for
    the optimum. `graphs` says whether segments are captured as CUDA graphs, `limit_s` how long
    the build of a segment may take before it is given up.
    """

    precision: str = 'fp16'
    dla: int = -1
    workspace_mb: int = 0
    optimum: int = 0
    tactics: Tuple[str, ...] = ()
    graphs: bool = True
    limit_s: float = 1800.0
    optimization_level: int = -1

    def __post_init__(self):
        """Refuse what no accelerator does, and no clock waits for; raises ParameterError."""
        if self.dla >= 0 and self.precision == 'fp32':
            raise ParameterError('engine_dla', self.dla, 'a DLA computes in fp16 or int8: set '
                                 'engine_precision to one of them, or engine_dla to -1')
        if self.limit_s > LONGEST_S:
            raise ParameterError('engine_build_limit_s', self.limit_s,
                                 f'expected {LONGEST_S:g} at most')


DEFAULTS = BuildOptions()


class Flight(Protocol):
    """One batch on its way through a network, on a lane of its own.

    All calls come from the core's thread.
    """

    def submit(self, segment: int, done: Callable[[Run], None], level: int = 0,
               variant: int = 0, last: Optional[int] = None) -> None:
        """Start a segment, behind the one before it, in one of its variants; 0 is the exact one.

        With `last`, all behind it up to that one follow, exact, without a decision in between.
        `done` is called once, from any thread, never from within submit, when all have ended. Of
        what runs side by side, a lower `level` goes first; below the engine's `levels`. An error
        is raised if nothing was started, and told to `done` otherwise.
        """

    def hold(self) -> bool:
        """Stop behind the segment that runs, or before the first, whatever was submitted.

        Tells whether there is a segment left to stop before. Only where the engine is `gated`.
        """

    def resume(self) -> None:
        """Go on with what was submitted."""

    def progress(self) -> Optional[int]:
        """Return how many segments have ended, of those submitted; None: nobody can tell."""

    def abandon(self) -> None:
        """Let go of a lane on which a segment does not end; nobody gets it again."""

    def outputs(self) -> Mapping[str, np.ndarray]:
        """Return the network's outputs by name, batch first, once the last segment is done."""

    def close(self) -> None:
        """Give the lane back; outputs that were taken stay valid."""


class Network(Protocol):
    """One network, loaded and ready, in `segments` segments; at most `lanes` flights at once."""

    segments: int
    variants: Sequence[int]     # how many each segment has, the exact one among them
    lanes: int
    stages: bool    # whether `stage` copies, and is worth a thread of the pool
    output_shapes: Mapping[str, tuple]
    batch: int      # the batch it is fixed to; 0: any
    largest: int    # most frames of one flight
    note: str       # what the user should know about it, or empty

    def padded(self, frames: int) -> int:
        """Return the batch that runs for so many frames."""

    def stage(self, pixels: np.ndarray) -> Any:
        """Put pixels, uint8 (N, H, W, 3), where the device can fetch them; any thread.

        Those that it `reads` where they are stay there, and must until the flight has ended.
        """

    def open(self, staged: Sequence[Any], deadline_s: float = math.inf) -> Flight:
        """Start a flight with what was staged, in this order; a lane must be free.

        By `deadline_s` it should have ended, on the engine's clock: who has several ways to run
        it heeds that.
        """

    def measure(self, batch: int, repeats: int, variant: int = 0) -> Sequence[Sequence[float]]:
        """Return the seconds of every segment in each of `repeats` runs; nothing else may run.

        Segments that have no such variant run in their coarsest.
        """

    def measure_shared(self, batch: int, repeats: int) -> float:
        """Return the seconds of a whole run, for each of many that all lanes run at once."""

    def tb_ratios(self, batch: int) -> Optional[Sequence[float]]:
        """Return for every segment its thread blocks over those the device can host.

        1.0 where the device has no thread blocks; None where the engine does not tell them.
        """

    def memory_mb(self, batch: int) -> float:
        """Return what a flight of this batch takes of the device's memory; 0 if unknown."""

    def run(self, pixels: np.ndarray, variants: Sequence[int] = ()) -> Mapping[str, np.ndarray]:
        """Run now, in the caller's thread; used to warm up and to check.

        `variants` has one for each segment; without it all are exact.
        """


class Engine(Protocol):
    """Loads networks and runs them asynchronously."""

    name: str
    device: str
    sms: int        # multiprocessors of the GPU that it has for itself; 0: all, or no such thing
    gpu: Union[int, str, None]  # number or UUID of the NVIDIA GPU that runs all; None: no GPU
    versions: Mapping[str, str]
    options: BuildOptions   # what it was asked for
    heeds: Sequence[str]    # the fields of that which it follows
    precision: str  # in what it computes
    built: int      # plans that it has built so far; 0 where it builds nothing ahead
    gated: bool     # whether flights have `hold`, `resume` and `progress`
    parallel: bool  # whether runs side by side are faster than one after another
    levels: int     # of urgency that the device tells apart
    poll_s: Optional[float]     # how often `poll` is wanted once a run may be over; None: never
    lead_s: float   # how long before a segment's end a fast host best chooses the next; 0: never
    loads_bytes: bool   # whether `load` also takes segments as the bytes of ONNX files

    def load(self, instance: str, segments: Sequence[Any], outputs: Sequence[str], spec, *,
             coarser: Sequence[Sequence[Any]] = (), lanes: int = 1, max_batch: int = 1,
             keep: bool = True) -> Network:
        """Load a network from the ONNX models of its segments, the first with the image input.

        `outputs` names the network's outputs, whichever segment makes them. `coarser` has for
        every segment its other variants, with the same inputs and outputs; all of them are
        ready to run. At most `lanes` flights run at once, of `max_batch` frames at most. Without
        `keep`, as for what is only measured once, no file is left of what was built for it.
        Raises EngineError naming the instance.
        """

    def frame_memory(self, size: int) -> np.ndarray:
        """Return so many bytes of any content, where the device `reads` pixels; any thread."""

    def reads(self, pixels: np.ndarray) -> bool:
        """Tell whether the device reads these pixels where they are; any thread."""

    def poll(self) -> None:
        """Call `done` of what has finished; the core's thread calls it."""

    def lost(self) -> str:
        """Return why nothing can run in this process any more, or an empty string; any thread.

        Asked after a failure; waits for nothing.
        """

    def close(self) -> None:
        """Finish what was submitted and free everything."""


def variants_of(segments: Sequence[Any], coarser: Sequence[Sequence[Any]]) -> List[List[Any]]:
    """Return the models of every segment, the exact one first; raises ValueError."""
    coarser = coarser or [()] * len(segments)
    if len(coarser) != len(segments):
        raise ValueError(f'there are {len(segments)} segments, and coarser variants of '
                         f'{len(coarser)}; expected some of each, or none at all')
    return [[exact, *others] for exact, others in zip(segments, coarser)]
