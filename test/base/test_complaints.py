"""Warnings come once in a while, and of a flood only the first."""

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.complaints import FLOOD, MOST, PERIOD_S, Complaints

MOMENTS = st.lists(st.tuples(st.integers(0, 2 * MOST), st.floats(0.0, PERIOD_S / 4)), max_size=400)


def test_the_same_subject_is_told_again_after_a_while():
    complaints = Complaints()
    said = [complaints.chosen(f'sentence {now_s}', 'subject', now_s)
            for now_s in (0.0, 1.0, PERIOD_S, PERIOD_S + 1.0)]
    assert said == ['sentence 0.0', '', f'sentence {PERIOD_S}', '']


@given(MOMENTS)
def test_whatever_comes_no_more_is_said_than_may_be(moments):
    complaints, said, now_s = Complaints(), [], 0.0
    for number, later_s in moments:
        now_s += later_s
        sentence = complaints.chosen(f'sentence {number}', f'{number}', now_s)
        if sentence:
            said.append((sentence, now_s))
    for index, (sentence, at_s) in enumerate(said):
        recent = [other for other, before_s in said[:index] if at_s - before_s < PERIOD_S]
        assert len(recent) <= MOST and sentence not in recent
        assert (sentence == FLOOD) == (len(recent) == MOST)


def test_a_sentence_without_end_is_cut():
    assert len(Complaints().chosen('x' * 100_000, 'subject', 0.0)) < 2100
