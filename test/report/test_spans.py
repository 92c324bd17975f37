"""What is drawn of a recording: every segment within bounds, and what is left out is told."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import DEADLINE_S, PERIOD_S, many, recording, request

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.report.spans import (
    DROPPED,
    IN_TIME,
    LATE,
    MOST_INSTANCES,
    MOST_SPANS,
    UNKNOWN,
    WINDOW_S,
    view,
)


@pytest.mark.parametrize(('changes', 'outcome'), [
    ({}, IN_TIME), ({'late': True}, LATE), ({'dropped': True}, DROPPED),
    ({'finishes': False}, UNKNOWN)])
def test_a_request_has_one_outcome(changes, outcome):
    # another one, as what is missed is missed when its deadline has passed
    found = view(recording(request(1, **changes), request(2, 'rear', at_s=1.0)))
    account = found.accounts['front']
    assert account.outcomes == {**dict.fromkeys(account.outcomes, 0), outcome: 1}
    assert {span.outcome for span in found.spans if span.request == 1} <= {outcome}
    missed = outcome in (LATE, DROPPED)
    assert [each.deadline_s for each in found.missed] == [pytest.approx(DEADLINE_S)] * missed
    assert account.missed_share == (None if outcome == UNKNOWN else float(missed))


@given(st.lists(st.tuples(st.sampled_from(['a', 'b']), st.booleans(), st.booleans(),
                          st.integers(0, 4)), max_size=20))
def test_every_request_and_segment_is_there_once(rows):
    requests = [request(number, instance, PERIOD_S * number, late, dropped, segments)
                for number, (instance, late, dropped, segments) in enumerate(rows)]
    found = view(recording(*requests, instances='ab'))
    counts = {name: sum(account.outcomes.values()) for name, account in found.accounts.items()}
    assert counts == {name: sum(row[0] == name for row in rows) for name in 'ab'}
    assert len(found.spans) == sum(segments for _, _, dropped, segments in rows if not dropped)
    assert len({span[:3] for span in found.spans}) == len(found.spans)
    assert all(0.0 <= span.begin_s <= span.end_s <= found.whole_s for span in found.spans)
    assert not found.left_out


def test_a_segment_knows_what_was_decided_for_it():
    found = view(recording(request(1), request(2, at_s=1.0)))
    assert [(span.request, span.boundary.request, span.boundary.segment == span.segment)
            for span in found.spans] == [(1, 1, True)] * 2 + [(2, 2, True)] * 2


def test_in_a_batch_the_decision_is_that_of_the_urgent_request():
    both = recording(request(1, 'front', images=2), request(2, 'rear', images=2))
    one = both.__class__(**{**vars(both), 'boundaries': [
        row for row in both.boundaries if row.request == 1]})
    assert {span.boundary.request for span in view(one).spans} == {1}


def test_nothing_recorded_is_an_empty_view():
    found = view(recording())
    assert not found.spans and found.whole_s == 0.0 and not found.changes
    assert found.accounts['front'].missed_share is None


def test_of_a_long_recording_the_newest_is_drawn_and_all_of_it_is_counted():
    count = int(2 * WINDOW_S / PERIOD_S)
    found = view(recording(*many(count)))
    assert found.begin_s > 0.0 and found.end_s == found.whole_s
    assert found.end_s - found.begin_s <= WINDOW_S + 1e-6
    assert all(span.end_s >= found.begin_s for span in found.spans)
    assert all(row.now_s >= found.begin_s for row in found.boundaries)
    assert sum(sum(account.outcomes.values()) for account in found.accounts.values()) == count
    sentence, = found.left_out
    assert f'{len(found.spans):,} of' in sentence and '--from' in sentence


def test_of_too_many_segments_the_newest_are_drawn():
    found = view(recording(*many(MOST_SPANS, period_s=0.0002)))
    assert 0.9 * MOST_SPANS < len(found.spans) <= 1.1 * MOST_SPANS
    assert max(span.request for span in found.spans) == MOST_SPANS - 1
    assert min(row.now_s for row in found.boundaries) >= found.begin_s > 0.0
    assert found.left_out


def test_of_too_many_deadlines_the_newest_are_drawn():
    requests = [request(number, at_s=number / 5000.0, dropped=True)
                for number in range(2 * MOST_SPANS)]
    found = view(recording(*requests))
    assert 0 < len(found.missed) <= MOST_SPANS and found.left_out


@given(st.floats(0, 12), st.floats(0, 12))
def test_a_part_holds_what_ran_in_it(first_s, second_s):
    from_s, to_s = sorted((first_s, second_s))
    whole = recording(*many(100))
    if from_s > view(whole).whole_s:
        with pytest.raises(ParameterError, match='which lasts 9'):
            view(whole, from_s, to_s)
        return
    found = view(whole, from_s, to_s)
    assert {span[:3] for span in found.spans} == {
        span[:3] for span in view(whole).spans
        if span.end_s >= from_s and span.begin_s <= to_s}


def test_more_instances_than_fit_are_told():
    names = [f'net_{index:03}' for index in range(MOST_INSTANCES + 5)]
    found = view(recording(*(request(number, name) for number, name in enumerate(names))))
    assert list(found.instances) == names[:MOST_INSTANCES]
    assert {span.instance for span in found.spans} == set(found.instances)
    assert len(found.accounts) == len(names)
    assert any('instances' in sentence for sentence in found.left_out)


def test_requests_without_a_deadline_are_in_time():
    times, stamps = request(1, late=True)
    found = view(recording((times._replace(deadline_s=math.inf), stamps)))
    assert found.accounts['front'].outcomes[IN_TIME] == 1 and not found.missed


def test_configurations_last_until_the_next_change_and_to_the_end():
    found = view(recording(request(1), request(2, at_s=1.0), request(3, at_s=2.0)))
    assert [change.configuration for change in found.changes] == [8, 7, 8, 8]
    assert found.changes[-1].now_s == found.end_s
    assert [round(change.now_s, 6) for change in found.changes[:3]] == [0.0, 1.0, 2.0]
    # what was set before a part is set at its begin
    part = view(recording(request(1), request(2, at_s=1.0)), 0.5, 0.9)
    assert [change.configuration for change in part.changes] == [8, 8]
    assert [change.now_s for change in part.changes] == [0.5, 0.9]
