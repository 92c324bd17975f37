"""A front end in virtual time: the newest image of each camera, one batch after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.lab.front_end import FrontEnd
from s3dnn_ros.lab.virtual_executor import VirtualExecutor
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.runtime.events import Parameters

CAMERAS = ('left', 'right')


class Rig:
    """A front end of two cameras, whose network takes 10 ms, or 12 ms for both images."""

    def __init__(self):
        self.answers, self.dropped = [], []
        profile = ProfileTable('net', '', 'simulated', 'simulated', 'default', {}, tuple(
            ProfileRow(0, batch, time_ms, time_ms, time_ms, 1.0, 1.0)
            for batch, time_ms in ((1, 10.0), (2, 12.0))))
        self.executor = VirtualExecutor(
            'overlapping', {'net': profile}, self._finished, self._lost, 0, 0.0,
            parameters=Parameters(late_policy='drop', max_batch=2))
        self.front_end = FrontEnd(self.executor, self.executor.add('net'), CAMERAS, 2,
                                  lambda item, reason: self.dropped.append((item, reason)))

    def offer(self, camera, time_s, allowed_s=0.1):
        """Have an image come at a time, which is its item, too."""
        self.executor.at(time_s, lambda: self.front_end.offer(camera, time_s,
                                                              time_s + allowed_s))

    def _finished(self, job):
        for request in job.requests:
            self.answers.append((round(job.ended_s, 6), [
                frame.item for frame in self.front_end.ended(request)]))

    def _lost(self, request, reason, sentence):
        self.dropped += [(frame.item, reason) for frame in self.front_end.ended(request)]


def test_images_of_one_moment_run_together():
    rig = Rig()
    for camera in CAMERAS:
        rig.offer(camera, 0.0)
    rig.executor.run_until(1.0)
    assert rig.answers == [(0.012, [0.0, 0.0])]


def test_only_the_newest_image_of_a_camera_waits():
    rig = Rig()
    for time_s in (0.0, 0.002, 0.004):
        rig.offer('left', time_s)
    rig.executor.run_until(1.0)
    assert rig.answers == [(0.01, [0.0]), (0.02, [0.004])]
    assert rig.dropped == [(0.002, 'replaced')]


def test_what_cannot_be_in_time_any_more_is_dropped():
    rig = Rig()
    rig.offer('left', 0.0)
    rig.offer('right', 0.001, 0.015)
    rig.executor.run_until(1.0)
    assert [items for _, items in rig.answers] == [[0.0]]
    assert rig.dropped == [(0.001, 'late')]


@given(st.lists(st.tuples(st.sampled_from(CAMERAS), st.floats(0.0, 0.2), st.floats(0.0, 0.1)),
                max_size=30))
def test_every_image_has_an_answer_or_a_reason(images):
    rig = Rig()
    for camera, time_s, allowed_s in images:
        rig.offer(camera, time_s, allowed_s)
    rig.executor.run_until(2.0)
    found = [item for _, items in rig.answers for item in items]
    found += [item for item, _ in rig.dropped]
    assert sorted(found) == pytest.approx(sorted(time_s for _, time_s, _ in images))
