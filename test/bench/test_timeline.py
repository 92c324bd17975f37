"""The cut-out of a run lies around its first misses, and is small."""

import pytest

from s3dnn_ros.bench.record import Answer, Offered, Record, Span
from s3dnn_ros.bench.timeline import MOST_IMAGES, WINDOW_S, timeline

BEGIN_S, END_S, DEADLINE_S = 100.0, 101.0, 0.004


def record(period_s, missed_at_s=None, dropped=False):
    """Return a run of images that take 1 ms, but for those that come at one moment or later."""
    offered, answers, spans = [], [], []
    for index in range(int((END_S - BEGIN_S) / period_s)):
        stamp_s = BEGIN_S + index * period_s
        late = missed_at_s is not None and stamp_s >= missed_at_s
        ended_s = stamp_s + (0.005 if late else 0.001)
        deadline_s = stamp_s + DEADLINE_S
        offered.append(Offered('a', stamp_s, deadline_s))
        spans.append(Span('a', deadline_s, 0, stamp_s, ended_s))
        if not (late and dropped):
            answers.append(Answer('a', stamp_s, ended_s, deadline_s, 3))
    return Record(BEGIN_S, END_S, {'a': 'net'}, offered, answers, spans, [], 0.0, 0.0)


@pytest.mark.parametrize('dropped', [False, True])
def test_the_first_miss_is_in_its_first_half(dropped):
    shown = timeline(record(0.01, 100.5, dropped))
    assert shown['window_ms'] == pytest.approx(1e3 * WINDOW_S)
    missed = [image for image in shown['images'] if image['missed']]
    assert missed and not shown['images'][0]['missed']
    assert 0.0 < missed[0]['stamp_ms'] < shown['window_ms'] / 2
    assert (missed[0]['ended_ms'] is None) == dropped
    assert missed[0]['deadline_ms'] == pytest.approx(missed[0]['stamp_ms'] + 1e3 * DEADLINE_S)
    assert [span['batch'] for span in shown['spans'] if span['submitted_ms'] >= 0.0] \
        == [None if image['missed'] and dropped else 3 for image in shown['images']]


def test_without_a_miss_it_is_the_beginning():
    shown = timeline(record(0.01))
    assert len(shown['images']) == pytest.approx(WINDOW_S / 0.01, abs=1)
    assert shown['images'][0]['stamp_ms'] == 0.0


@pytest.mark.parametrize('missed_at_s', [None, 100.0, 100.5, 100.999])
def test_where_much_happens_less_time_is_shown(missed_at_s):
    shown = timeline(record(0.0001, missed_at_s))
    assert len(shown['images']) <= MOST_IMAGES and len(shown['spans']) <= 2 * MOST_IMAGES
    assert shown['window_ms'] < 1e3 * WINDOW_S / 2
    assert any(image['missed'] for image in shown['images']) == (missed_at_s is not None)


def test_a_run_without_images():
    assert timeline(record(2.0)) == {'window_ms': 0.0, 'images': [], 'spans': []}
