"""Results and depths are paired by the nearest stamp, and none waits for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.distance.pairs import KEPT, Pair, Pairs

MS = 1_000_000
STAMPS = st.integers(0, 1000)


@pytest.fixture
def pairs():
    """Return Pairs that allow 50 ms and wait for 0.2 s."""
    return Pairs(0.05, 0.2)


def test_a_depth_that_is_there_is_taken_at_once(pairs):
    pairs.add_depth(100 * MS, 'depth')
    pairs.add_result(100 * MS, 'result', 0.0)
    assert pairs.take(0.0) == [Pair('result', 'depth', 0.0)]
    assert pairs.take(9.0) == [] and pairs.due_s is None


def test_a_result_waits_for_the_nearest_depth(pairs):
    pairs.add_depth(80 * MS, 'early')
    pairs.add_result(100 * MS, 'result', 1.0)
    assert pairs.take(1.1) == [] and pairs.due_s == pytest.approx(1.2)
    pairs.add_depth(110 * MS, 'late')
    assert pairs.take(1.1) == [Pair('result', 'late', 0.01)]


def test_a_result_that_has_waited_takes_what_there_is(pairs):
    pairs.add_depth(80 * MS, 'early')
    pairs.add_result(100 * MS, 'result', 1.0)
    assert pairs.take(1.2) == [Pair('result', 'early', -0.02)]


def test_a_depth_too_far_away_is_none_and_how_far_is_known(pairs):
    pairs.add_result(1000 * MS, 'first', 0.0)
    assert pairs.take(0.2) == [Pair('first')]
    pairs.add_depth(700 * MS, 'depth')
    pairs.add_result(1000 * MS, 'second', 0.3)
    assert pairs.take(0.5) == [Pair('second', None, -0.3)]


def test_results_of_one_image_share_its_depth(pairs):
    pairs.add_depth(100 * MS, 'depth')
    for name in ('one', 'other'):
        pairs.add_result(100 * MS, name, 0.0)
    assert [pair.depth for pair in pairs.take(0.0)] == ['depth', 'depth']


def test_a_camera_that_begins_again_does_not_get_depths_of_before(pairs):
    pairs.add_depth(1000 * MS, 'before')
    pairs.add_depth(10 * MS, 'again')
    pairs.add_result(20 * MS, 'result', 0.0)
    assert pairs.take(0.0) == []
    assert pairs.take(0.2) == [Pair('result', 'again', -0.01)]


@given(depths=st.lists(STAMPS, max_size=3 * KEPT), results=st.lists(STAMPS, max_size=20))
def test_every_result_comes_out_once_with_the_nearest_depth_that_is_kept(depths, results):
    pairs = Pairs(0.05, 0.2)
    depths = sorted(set(depths))
    for stamp in depths:
        pairs.add_depth(stamp * MS, stamp)
    for stamp in results:
        pairs.add_result(stamp * MS, stamp, 0.0)
    at_once = pairs.take(0.1)
    found = [*at_once, *pairs.take(0.2)]
    assert sorted(pair.result for pair in found) == sorted(results)
    assert all(depths and depths[-1] >= pair.result for pair in at_once)
    for pair in found:
        nearest = min((abs(stamp - pair.result) for stamp in depths[-KEPT:]), default=None)
        if nearest is None:
            assert pair == Pair(pair.result)
        else:
            assert abs(pair.skew_s) == pytest.approx(nearest / 1e3)
            assert (pair.depth is not None) == (nearest <= 50)
