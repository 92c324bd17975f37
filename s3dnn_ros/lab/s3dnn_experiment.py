"""S3DNN's experiment in virtual time: videos that share one detector on a simulated board.

Core, schedulers, fusion and synchroniser are the shipped ones; the rules of later systems run
beside them. Nothing here is a measurement of a device.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import random
from typing import Any, Callable, Deque, Dict, List, Mapping, Sequence, Tuple, Union

import numpy as np
import onnx

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.lab_s3dnn_results import FORMAT
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.engines.lanes import LaneEngine
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.governor.synchroniser import Stamped, Synchroniser
from s3dnn_ros.lab import skeletons
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.layers import Layer, cut, layers_of
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.sweep import Experiment
from s3dnn_ros.lab.virtual_executor import JITTER, OPTIONS, PARAMETERS, VirtualExecutor
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.scheduling import POLICIES
from s3dnn_ros.scheduling.rivals import KNOWN, RIVALS

NETWORKS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    'tiny_yolo_v2': skeletons.tiny_yolo_v2, 'alexnet': skeletons.alexnet}
# How frames of videos come into batches.
NONE, FULL, FUSED, MOMENTS = 'none', 'full', 'fused', 'moments'
# KITTI's cameras have 25 frames a second in S3DNN's experiment; a frame's result is due when the
# next frame comes.
PERIOD_S = 0.04
# A frame comes later than its period says by up to this part of it.
ARRIVAL_JITTER = 0.05
# Cameras that are triggered together: how far apart their frames come, and how far apart frames of
# one moment may be.
SKEW_S, MOST_SKEW_S = 0.002, 0.005
# How early the next segment is best chosen, as the engines for GPUs say it.
LEAD_S = LaneEngine.lead_s
# Of the images of a burst; so long that none is late.
BURST_DEADLINE_S = 60.0
# Of policies. DARIS has as many streams as are best for it here, of 1, 2, 3, 4 and 8: one image
# fills a TX2, and batches fill a Xavier.
POLICY_OPTIONS: Mapping[str, Mapping[str, Any]] = {**OPTIONS, 'daris': {'streams': 1}}


@dataclasses.dataclass(frozen=True)
class Videos:
    """One run of videos, each with an instance of the network.

    Parameters
    ----------
    board : str
        A name, or a YAML file.
    network : str
        One of NETWORKS.
    segments : int
        Into which the network is cut; no more than it has layers.
    videos : int
    together : int
        So many cameras are triggered at once; the others at any time.
    policy : str
        One of KNOWN.
    batching : str
        'none'; 'full' batches, which wait for a frame of each of `batch` videos and run though
        late, as in S3DNN's case study; 'fused', as the core does it with frames of all videos;
        or 'moments', batches of the cameras that are triggered together, as the governor's
        synchroniser makes them.
    batch : int
        The most images in a batch.
    seconds : float
        Of virtual time.
    seed : int

    """

    board: str
    network: str
    segments: int
    videos: int
    together: int
    policy: str
    batching: str
    batch: int
    seconds: float
    seed: int

    def run(self) -> Dict:
        """Return pMiss and throughput, ready for JSON.

        `missed` is the share of all frames without a result in time, `worst` that of the video
        with the most, `fps` the frames with a result per second, in time or not, `images` how many
        a batch had in the mean.
        """
        run = _VideosRun(self)
        run.run()
        shares = [1.0 - video.in_time / video.frames for video in run.videos]
        frames = sum(video.frames for video in run.videos)
        return {'missed': 1.0 - sum(video.in_time for video in run.videos) / frames,
                'worst': max(shares), 'fps': run.answered / self.seconds,
                'images': run.ran / run.jobs if run.jobs else 0.0,
                'p99_ms': (1e3 * float(np.percentile(run.responses_s, 99))
                           if run.responses_s else None)}


@dataclasses.dataclass(frozen=True)
class Burst:
    """One run of images of as many videos that come at once; parameters as those of Videos."""

    board: str
    network: str
    segments: int
    images: int
    policy: str
    batching: str
    seed: int

    def run(self) -> Dict:
        """Return when the last image of the burst has its result, in `ms`."""
        ended_s: List[float] = []
        executor, _ = _executor(self, self.images if self.batching == FUSED else 1,
                                lambda job: ended_s.append(job.ended_s), ignore)
        for number in range(self.images):
            executor.send(executor.add(f'video_{number}', model=self.network), BURST_DEADLINE_S)
        executor.run_until(BURST_DEADLINE_S)
        return {'ms': 1e3 * max(ended_s)}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to simulate: `loads` are the shares of the board that videos ask for, one by one.

    Full batches have the first of the policies only, as S3DNN's case study has no scheduler.
    Cameras that are triggered together have `together_policies`. What other numbers of segments
    than `segments` give is told of `cut_policies`, at the load next to 1.
    """

    boards: Sequence[str] = ('tx2', 'agx_xavier')
    loads: Sequence[float] = (0.5, 0.8, 1.0, 1.3)
    policies: Sequence[str] = ('fifo', *sorted(set(POLICIES) - {'fifo'}), *sorted(RIVALS))
    batches: Sequence[int] = (2, 4)
    together: int = 4
    together_policies: Sequence[str] = ('edf',)
    segments: int = 5
    cuts: Sequence[int] = (1, 15)
    cut_policies: Sequence[str] = ('fifo', 'edf', 'supervised')
    bursts: Sequence[int] = (2, 4, 8, 16)
    burst_policies: Sequence[str] = ('fifo', 'streams', 'supervised')
    seconds: float = 2.0
    seeds: int = 3

    def __post_init__(self):
        """Refuse what cannot be simulated; raises ParameterError."""
        above_zero('--loads', self.loads)
        above_zero('--seconds', [self.seconds])
        at_least_one('--segments', [self.segments])
        at_least_one('--seeds', [self.seeds])
        if not (self.boards and self.loads and self.policies):
            raise ParameterError('--boards, --loads, --policies', '', 'expected one of each at '
                                 'least')
        if min(self.batches, default=2) < 2:
            raise ParameterError('--batches', min(self.batches), 'expected at least 2')
        if self.seconds < PERIOD_S:
            raise ParameterError('--seconds', self.seconds, 'expected the time of a frame at '
                                 f'least, {PERIOD_S:g}')
        for name in (*self.policies, *self.together_policies, *self.cut_policies,
                     *self.burst_policies):
            if name not in KNOWN:
                raise ParameterError('--policies', name, 'expected some of '
                                     + ', '.join(sorted(KNOWN)))


def experiment(plan: Plan) -> Experiment:
    """Return S3DNN's experiment; raises PlatformError for a board that is not known."""
    return Experiment('s3dnn', FORMAT, plan, list(_cells(plan)), _run)


def carried(board: str, segments: int = 5) -> float:
    """Return how many videos a board carries with Tiny YOLOv2, one image after the other."""
    return PERIOD_S / _profile(board, 'tiny_yolo_v2', segments).time_s(1, 'median')


def _run(cell: Union[Videos, Burst]) -> Dict:
    return cell.run()


def _cells(plan):
    for board in plan.boards:
        most = carried(board, plan.segments)
        counts = {max(1, round(load * most)): load for load in plan.loads}
        full = min(counts, key=lambda videos: abs(counts[videos] - 1.0))
        for seed in range(plan.seeds):
            cell = functools.partial(Videos, board, 'tiny_yolo_v2', seconds=plan.seconds,
                                     seed=seed)
            for videos in counts:
                yield from _videos(plan, functools.partial(cell, plan.segments, videos))
            for segments, policy in itertools.product(plan.cuts, plan.cut_policies):
                yield cell(segments, full, 1, policy, NONE, 1)
            for images, policy, batching in itertools.product(
                    plan.bursts, plan.burst_policies, (NONE, FUSED)):
                yield Burst(board, 'alexnet', plan.segments, images, policy, batching, seed)


def _videos(plan, cell):
    """Give the cells of so many videos."""
    for policy in plan.policies:
        yield cell(1, policy, NONE, 1)
    for batch in plan.batches:
        yield cell(1, plan.policies[0], FULL, batch)
        for policy in plan.policies:
            yield cell(1, policy, FUSED, batch)
    for policy, batching in itertools.product(plan.together_policies, (NONE, FUSED, MOMENTS)):
        yield cell(plan.together, policy, batching, 1 if batching == NONE else plan.together)


@functools.lru_cache(maxsize=None)
def _layers(network) -> Tuple[Layer, ...]:
    return tuple(layers_of(NETWORKS[network]()))


@functools.lru_cache(maxsize=None)
def _profile(board, network, segments) -> ProfileTable:
    """Return what a profiler would find on this device, whose times vary."""
    table = Roofline(load_board(board)).profile(network, cut(_layers(network), segments),
                                                (1, 2, 4, 8, 16))
    return dataclasses.replace(table, rows=tuple(
        dataclasses.replace(row, **dict.fromkeys(('p99_ms', 'worst_ms'),
                                                 (1.0 + JITTER) * row.median_ms))
        for row in table.rows))


def _executor(cell, max_batch, finished, dropped) -> Tuple[VirtualExecutor, VirtualClock]:
    clock = VirtualClock()
    platform = SimulatedPlatform(load_board(cell.board), clock, {
        cell.network: cut(_layers(cell.network), cell.segments)})
    return VirtualExecutor(
        cell.policy, {cell.network: _profile(cell.board, cell.network, cell.segments)}, finished,
        dropped, cell.seed, clock=clock, parameters=dataclasses.replace(
            PARAMETERS, fusion=max_batch > 1, max_batch=max_batch),
        options=POLICY_OPTIONS.get(cell.policy, {}), board=platform, lead_s=LEAD_S), clock


@dataclasses.dataclass(eq=False)
class _Video:
    """A camera's frames, and how many of them had a result in time."""

    name: str
    send: Callable
    frames: int = 0
    in_time: int = 0


class _Frame:
    """A frame on its way."""

    __slots__ = ('deadline_s', 'released_s', 'video')

    def __init__(self, video: _Video, released_s: float):
        self.video, self.released_s, self.deadline_s = video, released_s, released_s + PERIOD_S


class _VideosRun:
    """One run of videos."""

    def __init__(self, cell: Videos):
        self.answered = self.jobs = self.ran = 0
        self.responses_s: List[float] = []
        self._cell = cell
        self._chance = random.Random(cell.seed)
        self._under_way: Dict[int, List[_Frame]] = {}       # by the number of their request
        self._executor, self._clock = _executor(
            cell, cell.batch if cell.batching == FUSED else 1, self._finished, self._dropped)
        self.videos: List[_Video] = []
        size = cell.batch if cell.batching == FULL else cell.together
        for first in range(0, cell.videos, size):
            self._add(range(first, min(first + size, cell.videos)))

    def run(self):
        """Let the videos run."""
        self._executor.run_until(self._cell.seconds + PERIOD_S)

    def _add(self, numbers):
        """Add cameras whose frames come together, or go into one batch."""
        cell, names = self._cell, [f'video_{number}' for number in numbers]
        phase_s = self._chance.uniform(0.0, PERIOD_S)
        if cell.batching in (FULL, MOMENTS):
            instance = self._executor.add(names[0], model=cell.network)
            batches = (_Full if cell.batching == FULL else _Moments)(self, instance, names)
            sends = [batches.send] * len(names)
        else:
            sends = [_Single(self, self._executor.add(name, model=cell.network)).send
                     for name in names]
        for name, send in zip(names, sends):
            video = _Video(name, send)
            self.videos.append(video)
            begin_s = (self._chance.uniform(0.0, PERIOD_S) if cell.together == 1
                       else phase_s + self._chance.uniform(0.0, SKEW_S))
            self._executor.at(begin_s, functools.partial(self._release, video, begin_s))

    def _release(self, video, due_s):
        """Take a camera's frame; `due_s` is when it comes without jitter."""
        now_s = self._clock.now_s()
        if now_s >= self._cell.seconds:
            return
        video.frames += 1
        video.send(_Frame(video, now_s))
        due_s += PERIOD_S
        jitter_s = 0.0
        if self._cell.together == 1:
            jitter_s = self._chance.uniform(0.0, ARRIVAL_JITTER * PERIOD_S)
        self._executor.at(due_s + jitter_s, functools.partial(self._release, video, due_s))

    def submit(self, instance, frames: List[_Frame]):
        """Have frames run as one batch; one that has waited for others may be late."""
        request = self._executor.send(
            instance, min(frame.deadline_s for frame in frames), len(frames),
            self._cell.batching == FULL)
        self._under_way[request.number] = frames

    def later(self, time_s: float, action: Callable[[], None]):
        """Have something done at a time."""
        self._executor.at(time_s, action)

    def now_s(self) -> float:
        """Return the virtual time."""
        return self._clock.now_s()

    def _finished(self, job):
        self.jobs += 1
        self.ran += job.frames
        for request in job.requests:
            for frame in self._under_way.pop(request.number):
                frame.video.in_time += job.ended_s <= frame.deadline_s
                self.responses_s.append(job.ended_s - frame.released_s)
                self.answered += job.ended_s <= self._cell.seconds

    def _dropped(self, request, reason, sentence):
        del self._under_way[request.number]


class _Single:
    """Sends each frame by itself."""

    def __init__(self, run: _VideosRun, instance):
        self._run, self._instance = run, instance

    def send(self, frame: _Frame):
        """Send a frame."""
        self._run.submit(self._instance, [frame])


class _Full:
    """Sends a batch when each of some videos has a frame; of each the oldest."""

    def __init__(self, run: _VideosRun, instance, names: Sequence[str]):
        self._run, self._instance = run, instance
        self._waiting: Dict[str, Deque[_Frame]] = {name: collections.deque() for name in names}

    def send(self, frame: _Frame):
        """Take a frame in; send the batch that is complete."""
        self._waiting[frame.video.name].append(frame)
        if all(self._waiting.values()):
            self._run.submit(self._instance, [frames.popleft()
                                              for frames in self._waiting.values()])


class _Moments:
    """Sends frames of one moment as a batch: the governor's synchroniser says which."""

    def __init__(self, run: _VideosRun, instance, cameras: Sequence[str]):
        self._run, self._instance = run, instance
        self._synchroniser = Synchroniser(cameras, MOST_SKEW_S, MOST_SKEW_S)

    def send(self, frame: _Frame):
        """Take a frame in; send the moments that are ready."""
        stamped = Stamped(frame.video.name, frame.released_s, frame)
        self._submit(self._synchroniser.offer(stamped, self._run.now_s()))

    def _poll(self):
        self._submit(self._synchroniser.poll(self._run.now_s()))

    def _submit(self, moments):
        for moment in moments:
            self._run.submit(self._instance, [stamped.item for stamped in moment])
        due_s = self._synchroniser.next_due_s()
        if due_s is not None:
            self._run.later(due_s, self._poll)
