"""Variants come exact first, are kept on disk, and never come from a file of something else."""

import hashlib
import json

import numpy as np
import pytest
from onnx import helper

from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.models import variants as variants_module
from s3dnn_ros.models.calibration import Calibration, Moments
from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.models.segmentation import cut_points, split
from s3dnn_ros.models.variants import (
    RATIOS,
    checked_ratios,
    make_variants,
    stored_variants,
    variants_dir,
)

RATIO_PAIR = (1.0, 0.5)


@pytest.fixture(name='segments')
def _segments(make_network):
    """Return a network of two convolutions and a Relu as three segments, the last without MACs."""
    rng = np.random.default_rng(1)
    model = make_network(
        [helper.make_node('Conv', ['features', 'v'], ['b'], 'second', pads=[1] * 4),
         helper.make_node('Relu', ['b'], ['y'], 'last')], shape=(1, 3, 6, 8),
        output=(1, 16, 6, 8), constants={'v': rng.normal(size=(16, 4, 3, 3)).astype(np.float32)})
    return split(model, cut_points(model))


@pytest.fixture
def made(monkeypatch):
    """Return the list of ratios that were really computed."""
    ratios = []
    original = variants_module.low_ranks

    def counted(model, wanted, moments):
        ratios.extend(wanted)
        return original(model, wanted, moments)

    monkeypatch.setattr(variants_module, 'low_ranks', counted)
    return ratios


def make(segments, *more):
    return make_variants(variants_dir('net', 'none'), segments, *more)


def stored(segments, ratios=RATIO_PAIR, sha256=''):
    return stored_variants(variants_dir('net', 'none'), segments, ratios, sha256)


def calibrated(sha256):
    """Return a calibration in which the features that the second layer reads are one and dead."""
    products = np.diag([1.0, 0.0, 0.0, 0.0])
    return Calibration('a test', sha256, {('features', 1): Moments(np.zeros(4), products, 400)})


def files(cache, suffix):
    return sorted((cache / 'variants' / 'net.none').glob(f'*{suffix}'))


def test_the_exact_one_comes_first_and_equals_are_left_out(segments):
    for each in make(segments):
        exact, *coarser = each.variants
        assert exact.ratio == 1.0 and exact.model is each.segment.model and exact.layers == ()
        assert [variant.ratio for variant in each.variants] == sorted(
            {variant.ratio for variant in each.variants}, reverse=True)
        for before, after in zip(each.variants, coarser):
            assert after.layers != before.layers and after.macs < before.macs
            assert after.macs == multiply_adds(after.model)
    assert len(each.variants) == 1     # a Relu has nothing to give


def test_a_ratio_that_was_left_out_is_answered_by_its_equal(segments):
    each = make(segments, (0.5, 0.4999))[1]
    assert each.at(1.0) is each.variants[0]
    assert each.at(0.5) is each.variants[1] is each.at(0.4999)
    assert make(segments)[2].at(0.5).ratio == 1.0


def test_the_second_time_nothing_is_computed(segments, made):
    first = make(segments, RATIO_PAIR)
    assert made == [0.5] * 3
    assert make(segments, RATIO_PAIR) == first
    assert made == [0.5] * 3
    make(segments, (0.5, 0.3))
    assert made == [0.5] * 3 + [0.3] * 3


@pytest.mark.parametrize('suffix', ['.onnx', '.json'])
@pytest.mark.parametrize('damage', [
    lambda path: path.write_bytes(path.read_bytes()[:-9]), lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(b'[7]'), lambda path: path.unlink(),
    lambda path: path.write_bytes(path.read_bytes()[:-9] + b'\xff' + path.read_bytes()[-8:])])
def test_a_damaged_file_is_made_again(segments, own_cache, made, suffix, damage):
    first = make(segments, RATIO_PAIR)
    damage(files(own_cache, suffix)[0])
    del made[:]
    assert make(segments, RATIO_PAIR) == first
    assert made == [0.5]


@pytest.mark.parametrize('name, value', [
    ('revision', -1), ('ratio', 0.4), ('segment_sha256', 'a' * 64),
    ('calibration_sha256', 'a' * 64), ('layers', [{}])])
def test_a_key_of_something_else_does_not_count(segments, own_cache, made, name, value):
    make(segments, RATIO_PAIR)
    path = files(own_cache, '.json')[0]
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    del made[:]
    make(segments, RATIO_PAIR)
    assert made == [0.5]


@pytest.mark.parametrize('changes', [
    {'layers': [7]}, {'layers': {}}, {'layers': [{'ranks': ['x']}]}, {'sha256': 'ab' * 32},
    {'sha256': None}], ids=str)
def test_a_damaged_one_is_said_and_made_anew(segments, own_cache, made, caplog, changes):
    first = make(segments, RATIO_PAIR)
    path = files(own_cache, '.json')[0]
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    del made[:]
    assert make(segments, RATIO_PAIR) == first and made == [0.5]
    (record,) = caplog.records
    assert str(path) in record.message


def test_a_network_whose_hash_is_right_but_that_is_none_is_made_anew(segments, own_cache, made,
                                                                     caplog):
    first = make(segments, RATIO_PAIR)
    path, network = files(own_cache, '.json')[0], files(own_cache, '.onnx')[0]
    for content in (b'\xff' * 9, b''):
        network.write_bytes(content)
        path.write_text(json.dumps({**json.loads(path.read_text()),
                                    'sha256': hashlib.sha256(content).hexdigest()}))
        del made[:]
        assert make(segments, RATIO_PAIR) == first and made == [0.5]
    assert len(caplog.records) == 2


def test_other_weights_and_other_cuts_are_made_anew(segments, make_network, made):
    make(segments, RATIO_PAIR)
    del made[:]
    other = make_network([], shape=(1, 3, 6, 8), output=(1, 4, 6, 8))
    whole = split(other, ())
    found, = make(whole, RATIO_PAIR)
    assert made == [0.5] and found.variants[0].model is whole[0].model


def test_another_calibration_makes_others_and_the_same_one_none(segments, made):
    plain = make(segments, RATIO_PAIR)
    first = make(segments, RATIO_PAIR, calibrated('ab'))
    assert first[1].variants[1].layers != plain[1].variants[1].layers
    del made[:]
    assert make(segments, RATIO_PAIR, calibrated('ab')) == first and not made
    make(segments, RATIO_PAIR, calibrated('cd'))
    assert made == [0.5] * 3


@pytest.mark.parametrize('sha256', ['', 'ab'])
def test_what_is_stored_is_what_was_made(segments, made, sha256):
    first = make(segments, RATIO_PAIR, calibrated(sha256))
    del made[:]
    assert stored(segments, sha256=sha256) == first
    assert not made


@pytest.mark.parametrize('change', [
    lambda segments, file: make(segments, RATIO_PAIR, calibrated('cd')),
    lambda segments, file: make(segments, RATIO_PAIR),
    lambda segments, file: file.unlink(), lambda segments, file: file.write_bytes(b'')])
def test_what_is_not_stored_as_it_was_measured_is_refused(segments, own_cache, made, change):
    make(segments, RATIO_PAIR, calibrated('ab'))
    change(segments, files(own_cache, '.onnx')[0])
    del made[:]
    with pytest.raises(ModelError, match=r'000_0.5.onnx: .*`s3dnn models lowrank net`'):
        stored(segments, sha256='ab')
    assert not made


def test_without_a_folder_nothing_is_stored_and_none_is_made(segments, own_cache):
    with pytest.raises(ModelError, match='run `s3dnn models lowrank net`'):
        stored(segments)
    assert not own_cache.exists()


def test_ratios_are_sorted_and_the_exact_one_is_always_there():
    assert checked_ratios((0.5, 0.7, 0.5)) == (1.0, 0.7, 0.5)
    assert checked_ratios(()) == (1.0,)
    assert checked_ratios(RATIOS) == RATIOS


@pytest.mark.parametrize('ratio', [0.0, -1.0, 1.01, float('nan'), float('inf')])
def test_ratios_out_of_range_are_refused(segments, own_cache, ratio):
    with pytest.raises(ParameterError, match='expected'):
        make(segments, (0.5, ratio))
    assert not own_cache.exists()


def test_a_cache_that_cannot_be_written_is_named(segments, own_cache):
    own_cache.mkdir()
    (own_cache / 'variants').write_text('')
    with pytest.raises(ModelError, match='cannot be written'):
        make(segments)
