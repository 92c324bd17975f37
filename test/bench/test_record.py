"""Every image counts once, by its own stamp, and work by the time it takes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench.record import Answer, Offered, Record, joined

MODELS = {'a': 'cheap', 'b': 'dear'}
ALONE_S = {'cheap': 0.1, 'dear': 0.4}


def record(answers=(), offered=None, *, models=MODELS, cpu_s=0.5, busy_s=1.0, end_s=12.0):
    if offered is None:
        offered = [Offered(answer.client, answer.stamp_s, answer.deadline_s)
                   for answer in answers]
    return Record(10.0, end_s, models, offered, list(answers), [], [1.0, 3.0], cpu_s, busy_s)


def answer(client='a', stamp_s=10.5, took_s=0.2, deadline_s=0.3, batch=1):
    return Answer(client, stamp_s, stamp_s + took_s, stamp_s + deadline_s, batch)


def test_work_is_what_the_finished_take_alone():
    measured = record([answer('a'), answer('a'), answer('b')]).measured(ALONE_S)
    assert measured.finished_hz == pytest.approx(1.5)
    assert measured.work_share == pytest.approx((0.1 + 0.1 + 0.4) / 2.0)


def test_an_image_misses_that_is_late_or_has_no_answer():
    answers = [answer(), answer(took_s=0.4)]
    offered = [Offered(client, stamp_s, stamp_s + 0.3)
               for client, stamp_s in (('a', 10.5), ('a', 10.5), ('b', 11.0), ('b', 12.0))]
    measured = record(answers, offered).measured(ALONE_S)
    assert measured.missed_share == pytest.approx(2 / 3)
    assert measured.missed_by_client == {'a': 0.5, 'b': 1.0}
    assert measured.offered_hz == 1.5 and measured.in_time_hz == 0.5


def test_what_came_before_the_window_but_ended_in_it_is_throughput_only():
    measured = record([answer(stamp_s=9.9)]).measured(ALONE_S)
    assert measured.finished_hz == 0.5 and measured.offered_hz == 0.0
    assert measured.response_ms == {}


def test_an_empty_run_has_figures_too():
    measured = record().measured(ALONE_S)
    assert measured.missed_share == measured.work_share == measured.batch == 0.0


moments = st.floats(9.0, 13.0)
answered = st.builds(answer, st.sampled_from('ab'), moments, st.floats(0.0, 1.0),
                     st.floats(0.0, 1.0), st.integers(1, 8))


@given(st.lists(answered), st.lists(answered))
def test_the_figures_of_two_loops_together(first, second):
    measured = [record(answers).measured(ALONE_S) for answers in (first, second)]
    both = joined([record(first), record(second)]).measured(ALONE_S)
    for field in ('offered_hz', 'finished_hz', 'work_share', 'in_time_hz', 'loop_cpu_share',
                  'decisions_hz'):
        assert getattr(both, field) == pytest.approx(
            sum(getattr(one, field) for one in measured))
    assert 0.0 <= both.missed_share <= 1.0
    assert both.busy_share is None
    assert both.decision_us == {'p50': 2.0, 'p95': 3.0, 'p99': 3.0}


def test_clients_of_all_loops_are_there():
    parts = [record([answer(name)], models={name: MODELS[name]}) for name in 'ab']
    assert joined(parts).measured(ALONE_S).finished_by_client == {'a': 0.5, 'b': 0.5}
