"""Turns: shares by weight, no debts of the idle, and the test of whether all can be in time."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.turns import CLAIM, Need, Turns, all_in_time

STREAMS = ('a', 'b', 'c')
WEIGHTS = st.fixed_dictionaries(dict.fromkeys(STREAMS, st.sampled_from([0.5, 1.0, 2.0, 5.0])))
# sums of eighths are exact
EIGHTHS = st.integers(0, 40).map(lambda value: value / 8)
NEEDS = st.lists(st.builds(Need, EIGHTHS, EIGHTHS, EIGHTHS), max_size=5)


def backlogged(turns, weights, count):
    """Serve streams that always have a frame; return how often each was served."""
    served = dict.fromkeys(weights, 0)
    for _ in range(count):
        for stream, weight in weights.items():
            turns.wait(stream, weight)
        stream = min(weights, key=lambda name: turns.rank(name, weights[name]))
        turns.serve(stream, weights[stream])
        served[stream] += 1
    return served


@given(WEIGHTS)
def test_shares_are_as_the_weights(weights):
    served = backlogged(Turns(), weights, 1000)
    shares = [served[stream] / weight for stream, weight in weights.items()]
    # at no time is one ahead of another by more than a frame of each
    assert max(shares) - min(shares) <= 2.0 / min(weights.values())


def test_a_weight_of_0_comes_last_and_may_come_back():
    turns = Turns()
    weights = {'a': 0.0, 'b': 1.0}
    assert backlogged(turns, weights, 100) == {'a': 0, 'b': 100}
    served = backlogged(turns, {'a': 1.0, 'b': 1.0}, 100)
    assert 0 <= served['a'] - served['b'] <= CLAIM + 2


@given(st.integers(1, 200))
def test_who_was_idle_makes_up_for_its_claim_at_most(idle):
    turns = Turns()
    turns.wait('b')
    turns.serve('b', 1.0)
    backlogged(turns, {'a': 1.0}, idle)
    served = backlogged(turns, {'a': 1.0, 'b': 1.0}, 100)
    assert served['b'] - served['a'] <= CLAIM + 2


def test_a_stream_whose_frame_was_lost_keeps_its_place():
    turns = Turns()
    for stream in ('a', 'b'):
        turns.wait(stream)
    turns.lose('b')
    turns.serve('a', 1.0)
    for stream in ('a', 'b'):
        turns.wait(stream)
    assert turns.rank('b', 1.0) < turns.rank('a', 1.0)
    assert turns.lead('a', 'b') == 1.0


def test_a_stream_that_left_is_forgotten():
    turns = Turns()
    turns.wait('a')
    turns.leave('a')
    turns.wait('b')
    turns.serve('b', 1.0)
    turns.leave('nobody')


@given(NEEDS, EIGHTHS)
def test_all_are_in_time_only_if_some_order_has_all_in_time(needs, now_s):
    def works(order):
        moment_s = now_s
        for need in order:
            if moment_s > need.start_by_s or moment_s + need.time_s > need.deadline_s:
                return False
            moment_s += need.time_s
        return True

    if all_in_time(needs, now_s):
        assert works(sorted(needs))
    without_successors = [need._replace(start_by_s=float('inf')) for need in needs]
    # the earliest deadline first finds an order if there is any (Jackson 1955)
    assert all_in_time(without_successors, now_s) == any(
        map(works, itertools.permutations(without_successors)))
