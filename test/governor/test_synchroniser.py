"""Moments: whole, in time, in order, and nothing lost."""

import collections

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3dnn_ros.governor.synchroniser import PATIENCE, Stamped, Synchroniser

CAMERAS = ('front', 'left', 'rear')
SKEW_S = 0.020
WAIT_S = 0.050
ROUNDING_S = 1e-9


class Group:
    """A synchroniser that is polled whenever it is due, and what came out when."""

    def __init__(self, cameras=CAMERAS):
        self.synchroniser = Synchroniser(cameras, SKEW_S, WAIT_S)
        self.offered = []
        self.moments = []          # (time, frames)

    def go_to(self, now_s):
        while True:
            due_s = self.synchroniser.next_due_s()
            if due_s is None or due_s > now_s:
                return
            ready = self.synchroniser.poll(due_s)
            assert ready, 'due, but nothing ready'
            self._note(due_s, ready)

    def offer(self, camera, stamp_s, now_s):
        self.go_to(now_s)
        frame = Stamped(camera, stamp_s, len(self.offered))
        self.offered.append((now_s, frame))
        ready = self.synchroniser.offer(frame, now_s)
        self._note(now_s, ready)
        return [''.join(other.camera[0] for other in moment) for moment in ready]

    def _note(self, now_s, ready):
        self.moments += [(now_s, moment) for moment in ready]

    @property
    def frames(self):
        return [frame for _, moment in self.moments for frame in moment]


@st.composite
def arrivals(draw, jumps):
    """Return (camera, stamp, arrival) in order of arrival; stamps rise unless they jump back."""
    now_ms, newest_ms, events = 0, collections.Counter(), []
    for _ in range(draw(st.integers(0, 25))):
        now_ms += draw(st.integers(0, 40))
        camera = draw(st.sampled_from(CAMERAS))
        stamp_ms = max(newest_ms[camera] + 1, now_ms - draw(st.integers(0, 60)))
        if jumps and draw(st.integers(0, 9)) == 0:
            stamp_ms = now_ms - draw(st.integers(0, 5000))
        newest_ms[camera] = stamp_ms
        events.append((camera, stamp_ms / 1e3, now_ms / 1e3))
    return events


def played(events):
    group = Group()
    for event in events:
        group.offer(*event)
    group.go_to(1e9)
    return group


WITH_JUMPS, WITHOUT_JUMPS = arrivals(jumps=True), arrivals(jumps=False)


@given(WITH_JUMPS)
def test_every_frame_comes_out_once(events):
    group = played(events)
    assert sorted(frame.item for frame in group.frames) == list(range(len(events)))


@given(WITH_JUMPS)
def test_a_moment_has_one_frame_of_a_camera_and_is_within_the_skew(events):
    for _, moment in played(events).moments:
        assert len({frame.camera for frame in moment}) == len(moment)
        stamps = [frame.stamp_s for frame in moment]
        assert max(stamps) - min(stamps) <= SKEW_S + ROUNDING_S


@given(WITH_JUMPS)
def test_no_frame_waits_longer_than_allowed(events):
    group = played(events)
    arrived_s = {frame.item: now_s for now_s, frame in group.offered}
    for now_s, moment in group.moments:
        for frame in moment:
            assert 0.0 <= now_s - arrived_s[frame.item] <= WAIT_S + ROUNDING_S


@given(WITHOUT_JUMPS)
@example([('rear', 0.002, 0.002), ('left', 0.022, 0.022), ('rear', 0.021, 0.022),
          ('front', 0.001, 0.022)])
@example([('rear', 0.030, 0.0), ('left', 0.000, 0.01), ('left', 0.040, 0.02)])
def test_frames_of_a_camera_come_out_in_the_order_of_their_stamps(events):
    for camera in CAMERAS:
        stamps = [frame.stamp_s for frame in played(events).frames if frame.camera == camera]
        assert stamps == sorted(stamps)


@given(st.permutations(CAMERAS), st.lists(st.integers(0, 19), min_size=3, max_size=3))
def test_a_complete_moment_goes_at_once(order, stamps_ms):
    group = Group()
    for camera, stamp_ms in zip(order[:-1], stamps_ms):
        assert group.offer(camera, stamp_ms / 1e3, 0.03) == []
    assert group.offer(order[-1], stamps_ms[-1] / 1e3, 0.03) == ['flr']


def test_an_incomplete_moment_goes_when_it_is_due():
    group = Group()
    group.offer('front', 0.0, 0.010)
    group.offer('left', 0.001, 0.030)
    assert group.synchroniser.next_due_s() == pytest.approx(0.010 + WAIT_S)
    assert group.synchroniser.poll(0.059) == []
    group.go_to(1.0)
    assert [now_s for now_s, _ in group.moments] == [pytest.approx(0.060)]
    assert group.synchroniser.next_due_s() is None


def test_a_frame_outside_the_skew_begins_another_moment():
    group = Group(('front', 'left'))
    group.offer('front', 0.0, 0.0)
    assert group.offer('left', SKEW_S + 0.001, 0.0) == ['f']
    assert group.offer('front', SKEW_S + 0.001, 0.0) == ['fl']


def test_a_moment_is_not_held_for_a_camera_that_has_sent_a_later_frame():
    group = Group(('front', 'left'))
    group.offer('front', 0.0, 0.0)
    group.offer('front', 0.033, 0.033)
    assert group.offer('left', 0.034, 0.034) == ['f', 'fl']


def test_a_group_of_one_never_waits():
    assert Group(('front',)).offer('front', 1.0, 1.0) == ['f']


def test_a_silent_camera_is_waited_for_only_so_often():
    group = Group(('front', 'rear'))
    for index in range(PATIENCE):
        assert group.offer('front', float(index), float(index)) == []
    group.go_to(PATIENCE - 0.5)
    assert group.offer('front', float(PATIENCE), float(PATIENCE)) == ['f']


def test_a_camera_that_returns_is_waited_for_again():
    group = Group(('front', 'rear'))
    for index in range(PATIENCE + 1):
        group.offer('front', float(index), float(index))
    assert group.offer('rear', 10.0, 10.0) == []
    assert group.offer('front', 10.0, 10.01) == ['fr']
    assert group.offer('front', 11.0, 11.0) == []
    assert group.offer('rear', 11.0, 11.01) == ['fr']


def test_a_stamp_that_jumps_back_lets_go_what_waited():
    group = Group(('front', 'rear'))
    group.offer('front', 100.0, 0.0)
    assert group.offer('front', 1.0, 0.01) == ['f']
    assert [frame.stamp_s for frame in group.frames] == [100.0]
    assert group.offer('rear', 1.0, 0.02) == ['fr']


def test_cameras_are_synchronised_again_after_all_have_jumped_back():
    group = Group(('front', 'rear'))
    for camera, stamp_s, now_s in (('front', 100.0, 0.0), ('rear', 100.0, 0.0),
                                   ('front', 1.0, 1.0), ('rear', 1.0, 1.01)):
        last = group.offer(camera, stamp_s, now_s)
    group.offer('front', 2.0, 2.0)
    assert group.offer('rear', 2.0, 2.01) == ['fr']
    assert last == ['fr']


def test_waits_and_skews_can_change_between_frames():
    group = Group(('front', 'rear'))
    group.offer('front', 0.0, 0.0)
    group.synchroniser.max_skew_s, group.synchroniser.max_wait_s = 1.0, 9.0
    assert group.offer('rear', 0.5, 0.04) == ['fr']
    group.offer('front', 5.0, 5.0)
    assert group.synchroniser.next_due_s() == 14.0


def test_a_camera_that_is_a_frame_behind_is_still_paired():
    group, period_s, lag_s = Group(('front', 'rear')), 0.033, 0.040
    # rear has sent one frame more at the beginning, whose companion never comes
    events = [('front', index * period_s, index * period_s) for index in range(1, 9)]
    events += [('rear', index * period_s, index * period_s + lag_s) for index in range(8)]
    for event in sorted(events, key=lambda event: event[2]):
        group.offer(*event)
    pairs = [moment for _, moment in group.moments if len(moment) == 2]
    assert len(pairs) == 7


@given(arrivals(jumps=False), st.sets(st.sampled_from(CAMERAS)), st.integers(0, 25))
def test_a_camera_that_leaves_takes_its_frames_along_and_no_others(events, left, index):
    group = Group()
    for event in events[:index]:
        group.offer(*event)
    stays = [camera for camera in CAMERAS if camera not in left]
    removed = group.synchroniser.watch(stays)
    assert {frame.camera for frame in removed} <= left
    for event in events[index:]:
        if event[0] in stays:
            group.offer(*event)
    group.go_to(1e9)
    assert collections.Counter(frame.item for frame in [*group.frames, *removed]) \
        == collections.Counter(frame.item for _, frame in group.offered)


def test_a_moment_that_waited_for_a_camera_that_leaves_is_complete():
    group = Group(('front', 'rear'))
    assert group.offer('front', 1.0, 1.0) == []
    group.synchroniser.watch(('front',))
    assert [len(moment) for moment in group.synchroniser.poll(1.0)] == [1]


def test_a_camera_that_joins_is_waited_for():
    group = Group(('front',))
    assert group.offer('front', 1.0, 1.0) == ['f']
    group.synchroniser.watch(('front', 'rear'))
    assert group.offer('front', 2.0, 2.0) == []
    assert group.offer('rear', 2.0, 2.01) == ['fr']
