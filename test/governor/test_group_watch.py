"""A group of which no moment is ever complete says so, and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.governor.group_watch import INCOMPLETE_MOMENTS, INCOMPLETE_S, SILENT_S
from s3dnn_ros.governor.synchroniser import Stamped, Synchroniser

PERIOD_S = 0.1
SKEW_S = 0.020
WAIT_S = 0.050


class Group:
    """A synchroniser whose cameras are triggered every 0.1 s; each has its offset and its way."""

    def __init__(self, cameras=('front', 'rear')):
        self.synchroniser = Synchroniser(cameras, SKEW_S, WAIT_S)
        self.now_s = 1000.0
        self.lacks = []

    def play(self, seconds, offsets_s, delays_s=None, period_s=PERIOD_S):
        """Let the cameras that have an offset send for a while; return what is said at the end."""
        delays_s = delays_s or {}
        shots = sorted((self.now_s + index * period_s + delays_s.get(camera, 0.0), camera,
                        self.now_s + index * period_s + offset_s)
                       for index in range(round(seconds / period_s))
                       for camera, offset_s in offsets_s.items())
        for self.now_s, camera, stamp_s in shots:
            while (self.synchroniser.next_due_s() or self.now_s) < self.now_s:
                self.synchroniser.poll(self.synchroniser.next_due_s())
            self.synchroniser.offer(Stamped(camera, stamp_s, None), self.now_s)
            self.lacks.append(self.synchroniser.lack(self.now_s))
        return self.lacks[-1]


def test_complete_moments_say_nothing():
    group = Group()
    group.play(20.0, {'front': 0.0, 'rear': 0.005})
    assert set(group.lacks) == {None}


# nearer ones may be those of another moment
@given(st.floats(5.0, 1e5))
def test_clocks_that_are_apart_are_named_with_their_distance(offset_s):
    said = Group().play(6.0, {'front': 0.0, 'rear': offset_s})
    assert 'no moment was complete in the last 6 s (of ' in said
    assert (f"stamps of 'front' and 'rear' are {offset_s:.1f} s apart, more than max_skew_ms (20)"
            in said)


def test_cameras_that_are_triggered_apart_are_named_with_their_least_distance():
    said = Group().play(6.0, {'front': 0.0, 'rear': 0.030})
    assert "stamps of 'front' and 'rear' are at least 30.0 ms apart" in said


def test_of_three_cameras_the_pair_that_is_furthest_apart_is_named():
    said = Group(('front', 'left', 'rear')).play(6.0, {'front': 0.0, 'left': -37.0, 'rear': 0.01})
    assert "'left'" in said and 'are 37.0 s apart' in said


def test_a_silent_camera_is_named():
    group = Group(('front', 'left', 'rear'))
    group.play(1.0, dict.fromkeys(('front', 'left', 'rear'), 0.0))
    assert group.play(SILENT_S - 0.2, {'front': 0.0, 'left': 0.0}) is None
    assert "no usable frame of 'rear' arrives" in group.play(1.0, {'front': 0.0, 'left': 0.0})
    assert "no usable frame of 'left' and 'rear' arrives" in group.play(12.0, {'front': 0.0})


def test_a_camera_that_arrives_too_late_is_no_matter_of_stamps():
    said = Group().play(6.0, {'front': 0.0, 'rear': 0.0}, {'rear': 0.25})
    assert "'front' and 'rear' that belong together arrive 250.0 ms after one another" in said
    assert 'max_wait_ms is 50' in said


def test_slow_cameras_are_not_silent():
    group = Group()
    said = group.play(20.0, {'front': 0.0, 'rear': 37.0}, period_s=4.0)
    assert 'are 37.0 s apart' in said
    assert group.lacks.count(None) <= INCOMPLETE_MOMENTS + 1


def test_it_takes_a_while_and_ends_with_the_first_complete_moment():
    group = Group()
    assert group.play(INCOMPLETE_S - 0.1, {'front': 0.0, 'rear': 37.0}) is None
    assert group.play(0.5, {'front': 0.0, 'rear': 37.0})
    assert group.play(0.5, {'front': 0.0, 'rear': 0.0}) is None


@pytest.mark.parametrize('offset_s', [0.0, 37.0])
def test_a_group_that_falls_silent_says_nothing(offset_s):
    group = Group()
    group.play(6.0, {'front': 0.0, 'rear': offset_s})
    assert group.synchroniser.lack(group.now_s + SILENT_S + 0.1) is None


def test_simulated_time_that_starts_again_begins_a_new_count():
    group = Group()
    group.play(6.0, {'front': 0.0, 'rear': 37.0})
    group.now_s = 10.0
    assert group.play(1.0, {'front': 0.0, 'rear': 37.0}) is None
    assert group.play(6.0, {'front': 0.0, 'rear': 37.0})
