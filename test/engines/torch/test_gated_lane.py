"""A gated lane on a fake device: its words, its images and outputs, and how it is held."""

import functools
import types

import numpy as np
import pytest
from fake_gates import FakeGatedDevice

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.cuda import Cuda
from s3dnn_ros.engines.gates.gates import Gates
from s3dnn_ros.engines.gates.progress_mark import ProgressMark
from s3dnn_ros.engines.gates.streams import GateStreams
from s3dnn_ros.engines.torch.gated_lane import TorchGatedLane
from s3dnn_ros.engines.torch.lane import Lane

SHAPE = (2, 2, 3)
SEGMENTS = 3


class FakeTensor:
    """An array with a tensor's face."""

    def __init__(self, array):
        self.array = array
        self.shape, self.dtype, self.nbytes = array.shape, array.dtype, array.nbytes

    def data_ptr(self):
        return self.array.ctypes.data

    def numpy(self):
        return self.array

    def __iter__(self):
        return (FakeTensor(row) for row in self.array)


FAKE_TORCH = types.SimpleNamespace(
    uint8=np.uint8, cuda=types.SimpleNamespace(graph_pool_handle=lambda: 'pool',
                                          ExternalStream=lambda number: number),
    zeros=lambda shape, dtype, pin_memory: FakeTensor(np.zeros(shape, dtype)),
    empty=lambda shape, dtype: FakeTensor(np.empty(shape, dtype)))


@pytest.fixture(params=['graphs', 'windows'])
def device(request):
    device = FakeGatedDevice()
    if request.param == 'windows':
        device.lacks.add('cuGraphAddBatchMemOpNode')
    return device


@pytest.fixture
def lane(make):
    """Return a lane for batches of 2 that adds up an image, segment by segment, in `lane.ran`."""
    lane = make()
    assert lane.ran == [0, 1, 2]        # warm
    lane.ran.clear()
    return lane


@pytest.fixture
def make(device, monkeypatch):
    """Return a builder of such lanes; where a segment has `coarser` ones, they run as (0, 1)."""
    return functools.partial(make_lane, device, monkeypatch)


def make_lane(device, monkeypatch, coarser=(0, 0, 0)):
    cuda = Cuda(libraries=(device.driver, device.runtime))

    def capture(self, batch, modules, shape):
        image = np.zeros((batch, *shape), np.uint8)
        sums = np.zeros((batch, 1), np.float32)

        def run(segment):
            self.ran.append(segment)
            sums[:, 0] = image.reshape(batch, -1).sum(axis=1)

        numbers = [[device.captured(functools.partial(run, (segment, variant) if variant
                                                      else segment))
                    for variant in range(1 + coarser[segment])] for segment in range(SEGMENTS)]
        segments = [[types.SimpleNamespace(captured=types.SimpleNamespace(
            raw_cuda_graph=functools.partial(int, number))) for number in variants]
            for variants in numbers]
        self._captured[batch] = types.SimpleNamespace(
            image=FakeTensor(image), graphs=[segments], outputs={'sums': FakeTensor(sums)})

    monkeypatch.setattr(Lane, 'capture', capture)
    streams = GateStreams(lambda: cuda.stream(0), VirtualClock())
    made = TorchGatedLane(FAKE_TORCH, cuda, Gates(cuda), streams, None, ['sums'], look=device.run)
    made.streams = streams
    made.ran = []
    made.capture(2, None, SHAPE)
    return made


def images(*values):
    return FakeTensor(np.stack([np.full(SHAPE, value, np.uint8) for value in values]))


def sums_of(lane):
    return lane.send(2)['sums'][:, 0].tolist()


def test_segments_run_when_they_are_launched_and_outputs_come_with_the_last(device, lane):
    lane.fetch(2, [images(1), images(2)])
    for segment in range(SEGMENTS):
        mark = lane.mark(segment)
        device.run()
        assert not mark.query() and lane.progress() == segment
        lane.launch_all(2, segment, [0])
        device.run()
        assert mark.query()
    assert lane.ran == [0, 1, 2] and sums_of(lane) == [12.0, 24.0]


def test_each_job_reads_its_own_images_and_keeps_its_outputs(device, lane):
    found = []
    for first in (1, 3):
        lane.fetch(2, [images(first, first + 1)])
        lane.launch_all(2, 0, [0] * SEGMENTS)
        device.run()
        found.append(lane.send(2)['sums'][:, 0])
    assert [row.tolist() for row in found] == [[12.0, 24.0], [36.0, 48.0]]


def test_rows_without_an_image_read_the_first(device, lane):
    lane.fetch(2, [images(5)])
    lane.launch_all(2, 0, [0] * SEGMENTS)
    device.run()
    assert sums_of(lane) == [60.0, 60.0]


def test_a_job_that_is_held_stops_behind_its_segment(device, lane):
    lane.fetch(2, [images(1, 2)])
    lane.launch_all(2, 0, [0])
    device.run()
    assert lane.hold()
    for segment in range(1, SEGMENTS):
        lane.launch_all(2, segment, [0])
    device.run()
    assert lane.ran == [0]
    lane.resume()
    device.run()
    assert lane.ran == [0, 1, 2] and lane.mark(SEGMENTS - 1).query()


def test_a_job_that_is_held_first_does_not_begin(device, lane):
    lane.fetch(2, [images(1, 2)])
    assert lane.hold()
    for segment in range(SEGMENTS):
        lane.launch_all(2, segment, [0])
    device.run()
    assert lane.ran == [] and lane.progress() == 0
    lane.resume()
    device.run()
    assert lane.ran == [0, 1, 2] and not lane.hold()
    lane.leave()
    lane.fetch(2, [images(3, 4)])
    lane.launch_all(2, 0, [0])
    device.run()
    assert lane.ran == [0, 1, 2, 0]         # the next job is not held for that


def test_a_job_that_is_left_runs_to_its_end_before_the_next(device, lane):
    lane.fetch(2, [images(1, 2)])
    lane.hold()
    lane.leave()
    device.run()
    assert lane.ran == [0, 1, 2]
    lane.fetch(2, [images(3, 4)])
    assert not lane.mark(0).query()


def test_the_next_job_waits_until_the_former_has_ended(device, lane, monkeypatch):
    lane.fetch(2, [images(1, 2)])
    waited = []
    monkeypatch.setattr(ProgressMark, 'synchronize',
                        lambda mark: (waited.append(lane.progress()), lane.leave(), device.run()))
    lane.fetch(2, [images(3, 4)])
    assert waited == [0] and lane.ran == [0, 1, 2]


def test_repeating_runs_the_whole_job_on_the_same_images(device, lane):
    lane.fetch(2, [images(1, 2)])
    lane.leave()
    device.run()
    lane.repeat(2)
    device.run()
    assert lane.ran == 2 * [0, 1, 2] and sums_of(lane) == [12.0, 24.0]


def streams_left(lane):
    return len(lane.streams._free)


def test_a_job_begins_on_a_stream_and_gives_it_back(device, lane):
    before = streams_left(lane)
    for _ in range(2):
        lane.fetch(2, [images(1, 2)])
        assert streams_left(lane) == before - 1
        lane.launch_all(2, 0, [0] * SEGMENTS)
        device.run()
        lane.leave()
        assert streams_left(lane) == before


def test_a_job_that_is_left_keeps_its_stream_until_it_has_ended(device, lane):
    before = streams_left(lane)
    device.broken = True
    lane.fetch(2, [images(1, 2)])
    lane.leave()
    assert streams_left(lane) == before - 1
    device.broken = False
    device.run()
    lane.fetch(2, [images(3, 4)])
    assert streams_left(lane) == before - 1


@pytest.fixture
def armed(lane):
    """Return the lane armed, as another thread would do it."""
    lane.streams.arming.allowed = True
    assert lane._jobs.arm() and lane._jobs.armed == 2
    return lane


def test_an_armed_lane_launches_nothing_when_its_job_begins(device, armed):
    launched = []
    device.runtime.cudaGraphLaunch = lambda *arguments: launched.append(arguments) or (0,)
    armed.fetch(2, [images(1, 2)])
    armed.launch_all(2, 0, [0] * SEGMENTS)
    device.run()
    assert armed.ran == [0, 1, 2] and sums_of(armed) == [12.0, 24.0] and not launched


def test_a_lane_that_is_taken_or_armed_or_runs_is_not_armed(device, armed):
    assert armed._jobs.arm() and len(device.jobs) == 1      # it is
    armed.fetch(2, [images(1, 2)])
    assert armed._jobs.arm() and not armed._jobs.armed      # it is taken
    device.broken = True
    armed.leave()
    assert not armed._jobs.arm()                            # it runs: again, later
    device.broken = False
    device.run()
    assert armed._jobs.arm() and armed._jobs.armed == 2
    armed.streams.arming.allowed = False
    armed._jobs.disarm()
    device.run()
    assert armed._jobs.arm() and not armed._jobs.armed      # it may not


def test_what_is_disarmed_runs_and_overwrites_nothing_that_somebody_has(device, armed):
    armed.fetch(2, [images(1, 2)])
    armed.launch_all(2, 0, [0] * SEGMENTS)
    device.run()
    found = armed.send(2)['sums']
    armed.leave()
    assert armed._jobs.arm() and armed._jobs.armed
    armed._jobs.disarm()
    device.run()
    assert armed.ran == 2 * [0, 1, 2] and found[:, 0].tolist() == [12.0, 24.0]
    armed.fetch(2, [images(3, 4)])
    armed.launch_all(2, 0, [0] * SEGMENTS)
    device.run()
    assert sums_of(armed) == [36.0, 48.0]


def test_what_nobody_uses_is_let_go_at_the_second_look(device, armed):
    armed._jobs.disarm_unused()
    armed.fetch(2, [images(1, 2)])          # it is used in between
    armed.launch_all(2, 0, [0] * SEGMENTS)
    device.run()
    armed.leave()
    assert armed._jobs.arm()
    armed._jobs.disarm_unused()
    assert armed._jobs.armed
    armed._jobs.disarm_unused()
    device.run()
    assert not armed._jobs.armed and not device.jobs


def test_what_is_armed_for_another_batch_runs_before_the_job(device, armed):
    armed.capture(1, None, SHAPE)       # takes the lane, as a job of another batch does
    assert armed.ran == 2 * [0, 1, 2]
    armed._jobs._batch = 2
    assert armed._jobs.arm() and armed._jobs.armed == 2
    armed.fetch(1, [images(7)])
    armed.launch_all(1, 0, [0] * SEGMENTS)
    device.run()
    assert armed.ran == 4 * [0, 1, 2] and armed.send(1)['sums'][:, 0].tolist() == [84.0]


def test_the_lane_that_is_armed_for_the_batch_begins_a_job_soonest(device, armed):
    assert [armed.still_to_do(batch) for batch in (1, 2)] == [2, 0]
    armed._jobs.disarm()
    device.run()
    assert [armed.still_to_do(batch) for batch in (1, 2)] == [1, 1]


def test_a_launch_that_fails_is_told_to_whoever_begins_a_job_and_nobody_waits_for_it(
        device, lane, monkeypatch):
    lane.streams.arming.allowed = True
    before = streams_left(lane)
    device.lacks.add('cudaGraphLaunch')
    assert lane._jobs.arm() and not lane._jobs.armed
    with pytest.raises(RuntimeError, match='NOT_SUPPORTED'):
        lane.fetch(2, [images(1, 2)])
    lane.leave()
    assert streams_left(lane) == before
    device.lacks.clear()
    lane.fetch(2, [images(1, 2)])
    lane.launch_all(2, 0, [0] * SEGMENTS)
    device.run()
    assert sums_of(lane) == [12.0, 24.0]


def test_of_a_job_that_was_launched_in_part_the_part_runs_and_nobody_waits_for_the_rest(
        device, lane, monkeypatch):
    if not lane._jobs._gates.note:
        pytest.skip('a graph is launched as a whole')
    graph = lane._jobs._jobs[2].graph
    for place in range(len(graph._steps)):
        with monkeypatch.context() as patch:
            patch.setattr(graph, '_steps', [*graph._steps[:place], refuse])
            with pytest.raises(RuntimeError, match='refused'):
                lane.fetch(2, [images(1, 2)])
            assert not device.jobs
            lane.leave()
        lane.fetch(2, [images(1, 2)])
        lane.launch_all(2, 0, [0] * SEGMENTS)
        device.run()
        assert lane.progress() == SEGMENTS and sums_of(lane) == [12.0, 24.0]
        lane.leave()


def refuse(stream):
    raise RuntimeError('refused')


@pytest.fixture
def in_variants(make, device):
    """Return a lane whose last two segments have coarser variants."""
    if device.lacks:
        pytest.skip('only graphs choose')
    return make(coarser=(0, 2, 1))


def test_all_variants_have_run_before_a_job_waits(in_variants):
    assert in_variants.ran == [0, 1, 2, 0, (1, 1), (2, 1), 0, (1, 2), 2]


def test_a_segment_runs_in_the_variant_that_it_is_launched_in(device, in_variants):
    lane = in_variants
    for second, third in [(0, 1), (2, 0), (1, 1), (0, 0)]:
        lane.ran.clear()
        lane.fetch(2, [images(1, 2)])
        for segment, variant in enumerate([0, second, third]):
            lane.launch_all(2, segment, [variant])
            device.run()
            assert lane.progress() == segment + 1
        assert lane.ran == [0, (1, second) if second else 1, (2, third) if third else 2]
        lane.leave()


def test_those_behind_the_first_of_several_run_exact(device, in_variants):
    lane = in_variants
    for turn in range(2):
        lane.ran.clear()
        lane.fetch(2, [images(1, 2)])
        lane.launch_all(2, 0, [0])
        device.run()
        if turn:
            lane.launch_all(2, 1, [2, 0])
        else:
            lane.launch_all(2, 1, [1])
            lane.launch_all(2, 2, [1])
        device.run()
        assert lane.ran == ([0, (1, 2), 2] if turn else [0, (1, 1), (2, 1)])
        lane.leave()


def test_while_nothing_may_wait_segments_that_nobody_told_run_exact_and_say_so(
        device, in_variants):
    lane = in_variants
    for begun_before in (True, False):
        # what ran before leaves no variants behind
        lane.streams.arming.may_wait = True
        lane.fetch(2, [images(1, 2)])
        assert not lane.launch_all(2, 0, [0, 2, 1]).exact
        device.run()
        lane.leave()
        lane.ran.clear()
        lane.streams.arming.may_wait = begun_before
        lane.fetch(2, [images(1, 2)])
        assert not lane.launch_all(2, 0, [0]).exact
        device.run()
        assert lane.ran == ([0] if begun_before else [0, 1, 2])
        lane.streams.arming.allow(False)
        device.run()
        assert lane.launch_all(2, 1, [1]) == (1, '', True)
        assert lane.launch_all(2, 2, [0]) == (2, '', False)
        assert lane.ran == [0, 1, 2] and lane.progress() == SEGMENTS
        lane.leave()
    # all that is told at once runs so
    lane.ran.clear()
    lane.fetch(2, [images(1, 2)])
    assert not lane.launch_all(2, 0, [0, 2, 1]).exact
    device.run()
    assert lane.ran == [0, (1, 2), (2, 1)]
    lane.leave()


def test_while_nothing_may_wait_a_job_runs_to_its_end_once_a_segment_is_launched(device, lane):
    lane.fetch(2, [images(1, 2)])
    lane.launch_all(2, 0, [0])
    device.run()
    assert lane.ran == [0]
    lane.streams.arming.allow(False)
    device.run()
    assert lane.ran == [0, 1, 2] and sums_of(lane) == [12, 24]
    lane.leave()
    lane.fetch(2, [images(3, 4)])
    device.run()
    assert lane.ran == [0, 1, 2]
    lane.launch_all(2, 0, [0])
    device.run()
    assert lane.ran == 2 * [0, 1, 2] and lane.progress() == SEGMENTS
    lane.leave()
