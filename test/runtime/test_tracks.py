"""Objects keep their numbers from frame to frame."""

import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.runtime.tracks import ANEW_S, MOST_CAMERAS, TrackChange, Tracks

KEPT_FRAMES = 5
PERIOD_S = 1 / 30


@pytest.fixture(scope='module')
def follower(make_frame):
    """Return a builder of what follows objects, given as left edges, with a clock of its own."""
    pytest.importorskip('trackforge', reason='the library that follows objects is not here')

    class Follower:
        def __init__(self):
            self.tracks = Tracks('instances.net.tracker', KEPT_FRAMES)
            self.now_s = 100.0

        def __call__(self, *lefts, camera='front', step_s=PERIOD_S):
            """Return the numbers of objects in the next frame, and what changed."""
            self.now_s += step_s
            corner = np.float32([[left, 50.0] for left in lefts]).reshape(-1, 2)
            return self.tracks.follow(
                make_frame(camera, stamp_ns=round(self.now_s * 1e9)),
                Boxes(np.concatenate((corner, corner + 40.0), axis=1),
                      np.full(len(lefts), 0.5, np.float32), np.zeros(len(lefts), np.int32)))

    return Follower


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=30)
def test_objects_that_move_keep_their_numbers_in_whatever_order_they_come(follower, data):
    follow, count = follower(), data.draw(st.integers(1, 8))
    speeds = data.draw(st.lists(st.floats(-6.0, 6.0), min_size=count, max_size=count))
    for frame in range(12):
        order = data.draw(st.permutations(range(count)))
        numbers, change = follow(*(
            1000.0 * each + speeds[each] * frame for each in order))
        if not frame:
            first = dict(zip(order, numbers))
            assert sorted(numbers) == list(range(1, count + 1))
            assert change == TrackChange(begun=count)
        else:
            assert dict(zip(order, numbers)) == first and change == TrackChange()


@pytest.mark.parametrize('gone', [1, KEPT_FRAMES, KEPT_FRAMES + 1])
def test_an_object_that_was_gone_is_found_as_long_as_it_is_remembered(follower, gone):
    follow = follower()
    follow(0, 1000)
    changes = [follow(0)[1] for _ in range(gone)]
    assert changes == [TrackChange(lost=1), *[TrackChange()] * (gone - 1)]
    numbers, change = follow(0, 1000)
    if gone <= KEPT_FRAMES:
        assert numbers == (1, 2) and change == TrackChange(found=1)
    else:
        assert numbers == (1, 3) and change == TrackChange(begun=1)


def test_nothing_to_see(follower):
    follow = follower()
    assert follow() == ((), TrackChange())
    assert follow(0) == ((1,), TrackChange(begun=1))
    assert follow() == ((), TrackChange(lost=1))


def test_each_camera_counts_its_own_objects(follower):
    follow = follower()
    assert follow(0, 1000, camera='a')[0] == (1, 2)
    assert follow(0, camera='b')[0] == (1,)
    assert follow(2, 1002, camera='a')[0] == (1, 2)


def test_a_frame_that_is_older_than_the_last_changes_nothing(follower):
    follow = follower()
    follow(0)
    assert follow(0, step_s=-0.5) == ((0,), TrackChange())
    assert follow(0, step_s=0.6) == ((1,), TrackChange())


def test_a_clock_that_was_set_back_begins_anew(follower):
    follow = follower()
    follow(0)
    follow(0, 1000)
    assert follow(1000, step_s=-ANEW_S - 0.1) == ((1,), TrackChange(begun=1))
    assert follow(1000, 0)[0] == (1, 2)


def test_no_more_than_so_many_cameras_are_remembered(follower):
    follow = follower()
    for index in range(MOST_CAMERAS + 1):
        follow(0, camera=f'camera_{index}')
    assert follow(0, camera='camera_1')[1] == TrackChange()
    # the one that was quiet longest begins anew
    assert follow(0, camera='camera_0')[1] == TrackChange(begun=1)


@hypothesis.given(st.lists(st.lists(st.tuples(*[st.floats(-2.0**99, 2.0**99, width=32)] * 4),
                                    max_size=6), min_size=1, max_size=6))
def test_whatever_the_boxes_are_each_has_a_number_and_changes_add_up(follower, make_frame, frames):
    tracks, seen, begun = follower().tracks, 0, 0
    for index, boxes in enumerate(frames, 1):
        count = len(boxes)
        numbers, change = tracks.follow(
            make_frame('front', stamp_ns=index * 33_000_000),
            Boxes(np.reshape(boxes, (-1, 4)).astype(np.float32),
                  np.full(count, 0.5, np.float32), np.zeros(count, np.int32)))
        seen += change.begun + change.found - change.lost
        begun += change.begun
        assert len(set(numbers)) == count == seen
        assert all(1 <= number <= begun for number in numbers)


def test_a_missing_library_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, 'trackforge', None)
    with pytest.raises(ParameterError, match=r'instances\.net\.tracker.*pip install "trackforge'):
        Tracks('instances.net.tracker', KEPT_FRAMES)


def test_results_tell_the_numbers_and_counters_what_happened_to_objects(
        make_executor, make_batch, make_frame):
    pytest.importorskip('trackforge', reason='the library that follows objects is not here')
    run = make_executor(instances__net__tracker='sort', instances__net__score_threshold=0.9)
    for index, level in enumerate((255, 255, 0, 255), 1):
        pixels = np.zeros((1, 4, 4, 3), np.uint8)
        pixels[..., 0] = level
        run.executor.accept(make_batch(make_frame(stamp_ns=index * 10 ** 8), pixels=pixels))
        run.engine.finish()
    assert [result.tracks for result in run.published()] == [(1,), (1,), (), (1,)]
    count, = run.executor.counters.snapshot()
    assert (count.tracks, count.tracks_lost, count.tracks_found) == (1, 1, 1)


def test_nobody_is_followed_unless_asked_for(make_executor, make_batch, monkeypatch):
    monkeypatch.setitem(sys.modules, 'trackforge', None)
    run = make_executor()
    run.executor.accept(make_batch())
    run.engine.finish()
    result, = run.published()
    assert result.tracks == (0,) * len(result.boxes)
