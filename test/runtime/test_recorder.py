"""Stamps: the newest are kept in order, and what they come to is exact."""

import itertools
import threading
import types

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.runtime.recorder import ROWS, Recorder, RequestTimes, Stage, Stamp

STAGES = [value for name, value in vars(Stage).items() if name.isupper()]


def request(number, instance='net', arrived_s=1.0, deadline_s=2.0):
    return types.SimpleNamespace(number=number, instance=types.SimpleNamespace(name=instance),
                                 arrived_s=arrived_s, deadline_s=deadline_s)


@given(st.integers(1, 8), st.lists(st.tuples(
    st.sampled_from(STAGES), st.integers(1, 2**40), st.sampled_from('abc'), st.integers(0, 300),
    st.floats(0, 1e10)), max_size=30))
def test_the_newest_stamps_are_kept_oldest_first(rows, taken):
    recorder = Recorder(rows)
    counts = dict.fromkeys('abc', 0)
    kept = []
    for stage, number, name, segment, now_s in taken:
        # what has not begun cannot end
        if stage is Stage.ENDED and not counts[name]:
            stage = Stage.SUBMITTED
        counts[name] += {Stage.SUBMITTED: 1, Stage.ENDED: -1}.get(stage, 0)
        recorder.stamp(stage, request(number, name), now_s, segment)
        kept.append(Stamp(stage, number, name, segment, now_s))
    assert recorder.stamps() == kept[-rows:]


@given(st.integers(1, 8), st.lists(st.sampled_from(STAGES), max_size=30))
def test_the_times_of_the_newest_staged_requests_are_kept(rows, stages):
    recorder, staged = Recorder(rows), []
    for number, stage in enumerate(stages):
        if stage is Stage.ENDED:
            continue
        recorder.stamp(stage, request(number, 'net', number, number + 0.5), float(number))
        if stage is Stage.STAGED:
            staged.append(RequestTimes(number, 'net', number, number + 0.5))
    assert recorder.requests() == staged[-rows:]


def test_of_many_threads_every_stamp_is_there():
    recorder, each = Recorder(ROWS), ROWS // 8

    def run(name):
        for number in range(each):
            recorder.stamp(Stage.ARRIVED, request(number, name), float(number))

    threads = [threading.Thread(target=run, args=(f'net_{index}',)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stamps = recorder.stamps()
    assert len(stamps) == ROWS
    for name, of_one in itertools.groupby(sorted(stamps, key=lambda stamp: stamp.instance),
                                          key=lambda stamp: stamp.instance):
        assert [stamp.request for stamp in of_one] == list(range(each)), name


def test_nothing_was_busy_before_anything_was_submitted():
    recorder = Recorder()
    recorder.stamp(Stage.ARRIVED, request(1), 5.0)
    assert recorder.busy_s(9.0) == 0.0 and recorder.busy_s_of_instances(9.0) == {}
    recorder.stamp(Stage.SUBMITTED, request(1), 6.0)
    assert recorder.busy_s(9.0) == 3.0 and recorder.busy_s_of_instances(9.0) == {'net': 3.0}


@pytest.mark.parametrize('late', [False, True])
def test_a_request_is_stamped_at_each_stage_of_the_core(bench, late):
    core = bench({'net': {'segments': 2}}, scheduler='edf', late_policy='drop')
    request = core.admit(1, deadline_s=0.0 if late else 1e9)
    if not late:
        core.end()
        core.end()
        core.next_job()
    stamps = core.core.recorder.stamps()
    whole = [(Stage.STAGED, 0), (Stage.SUBMITTED, 0), (Stage.ENDED, 0), (Stage.SUBMITTED, 1),
             (Stage.ENDED, 1), (Stage.FINISHED, 0)]
    assert [(stamp.stage, stamp.segment) for stamp in stamps] == (whole[:1] if late else whole)
    assert {stamp.request for stamp in stamps} == {request.number}
