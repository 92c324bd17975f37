"""One batch on several units: in order, whole, and whatever fails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.errors import EngineError
from s3dnn_ros.units.split_network import equal_share

NAMES = ('a', 'b', 'c')
PLACES = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2)
LIMIT_S = 0.25      # after which a fake that hangs is given up


def values(answer):
    """Return the value of each image, as all outputs agree on it."""
    assert np.array_equal(answer.outputs['row'],
                          answer.outputs['value'][:, np.newaxis] * np.ones(3))
    return answer.outputs['value'].tolist()


def shares_of(places):
    """Return what cuts images at these places, each from 0 to 1."""
    def share(images, units):
        cuts = sorted(round(place * images) for place in places[:len(units) - 1])
        return dict(zip(units, np.diff([0, *cuts, images]).tolist()))
    return share


def assert_answered(network, answer, count, failing):
    assert values(answer) == list(range(count))
    assert len(answer.units) == count and not set(answer.units) & failing
    assert [part.first for part in answer.parts] == sorted(part.first for part in answer.parts)
    # only who was given something can have failed
    assert set(network.left_out) <= failing


@given(places=PLACES, count=st.integers(1, 60), largest=st.integers(1, 60),
       broken=st.sets(st.sampled_from(NAMES), max_size=2))
def test_whatever_raises_all_images_are_answered_in_order(
        fake_units, images, places, count, largest, broken):
    built = fake_units(*NAMES, largest=largest)
    for name in broken:
        built.network.networks[name].broken = 'out of order'
    answer = built.network.run(images(count), shares_of(places))
    assert_answered(built.network, answer, count, broken)
    for unit in built.units:
        unit.close()


@settings(max_examples=20)
@given(places=PLACES, count=st.integers(1, 60), hanging=st.sampled_from(NAMES),
       broken=st.sampled_from(NAMES))
def test_whatever_hangs_all_images_are_answered_in_order(
        fake_units, images, places, count, hanging, broken):
    built = fake_units(*NAMES, limit_s=LIMIT_S)
    networks = built.network.networks
    networks[broken].broken = 'out of order'
    networks[hanging].may_run.clear()
    answer = built.network.run(images(count), shares_of(places))
    assert_answered(built.network, answer, count, {hanging, broken})
    networks[hanging].may_run.set()
    for unit in built.units:
        unit.close()


@given(count=st.integers(1, 200), units=st.integers(1, 9))
def test_equal_shares_differ_by_one_image_at_most(count, units):
    shares = list(equal_share(count, [str(unit) for unit in range(units)]).values())
    assert sum(shares) == count and max(shares) - min(shares) <= 1


def test_each_unit_reads_its_images_where_they_are_in_a_thread_of_its_own(fake_units, images):
    network, pixels = fake_units('a', 'b').network, images(5)
    network.run(pixels)
    seen = [network.networks[name] for name in 'ab']
    assert [[len(batch) for batch in each.batches] for each in seen] == [[3], [2]]
    assert all(np.shares_memory(pixels, batch) for each in seen for batch in each.batches)
    assert len(seen[0].threads | seen[1].threads) == 2


def test_who_runs_the_whole_batch_has_its_outputs_handed_on(fake_units, images, monkeypatch):
    network = fake_units('a').network
    given_out = network.networks['a'].run(images(3))
    monkeypatch.setattr(network.networks['a'], 'run', lambda pixels: given_out)
    assert network.run(images(3)).outputs['value'] is given_out['value']


def test_a_failure_is_logged_once_and_the_unit_is_left_out_until_asked_again(
        fake_units, images, said):
    network = fake_units('a', 'b').network
    broken = network.networks['a']
    broken.broken = 'it smokes'
    for _ in range(3):
        assert values(network.run(images(4))) == [0, 1, 2, 3]
    assert said == ['unit a is left out, others do its part: it smokes']
    assert network.units == ('b',) and network.left_out == {'a': 'it smokes'}
    assert len(broken.batches) == 1
    network.ask_again('a')
    assert network.run(images(4)).units == ('a', 'a', 'b', 'b')
    assert network.networks['a'] is not broken and not network.left_out


def test_a_unit_that_hangs_is_made_anew_when_asked_again_and_writes_nothing_late(
        fake_units, images, said):
    built = fake_units('a', 'b', limit_s=LIMIT_S)
    network, engine = built.network, built.units[0].engine
    hanging = network.networks['a']
    hanging.may_run.clear()
    answer = network.run(images(4))
    assert answer.units == ('b',) * 4
    assert said == ['unit a is left out, others do its part: nothing came from it within '
                    '0.25 s']
    answer.outputs['value'][:] = -1.0
    network.ask_again('a')
    assert built.units[0].engine is not engine
    assert network.run(images(2)).units == ('a', 'b')
    hanging.may_run.set()
    next(iter(hanging.threads)).join()      # it has ended what it had to do, and its thread
    assert engine.closed and answer.outputs['value'].tolist() == [-1.0] * 4


def test_without_any_unit_the_errors_of_all_are_told(fake_units, images):
    network = fake_units('a', 'b').network
    network.networks['a'].broken, network.networks['b'].broken = 'it smokes', 'it burns'
    with pytest.raises(EngineError, match=r'no unit is left: .: it (smokes|burns); .: it'):
        network.run(images(4))


@pytest.mark.parametrize('shares', [{'a': 3}, {'a': 5}, {'a': 2, 'c': 2}])
def test_shares_that_lose_images_or_go_to_nobody_are_refused(fake_units, images, shares):
    with pytest.raises(ValueError, match=r"4 images for \('a', 'b'\) are shared out as"):
        fake_units('a', 'b').network.run(images(4), lambda count, units: shares)
