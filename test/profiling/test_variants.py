"""The variants' table: measured on an engine, kept in a file, and only for what it was made of."""

import dataclasses
import json
import types

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import ProfileError
from s3dnn_ros.models.calibration import Calibration
from s3dnn_ros.models.cut_network import cut_there
from s3dnn_ros.models.fidelity import random_images
from s3dnn_ros.models.graph import with_image_input
from s3dnn_ros.models.variants import make_variants, variants_dir
from s3dnn_ros.platforms.base import Configuration
from s3dnn_ros.profiling.variant_profiler import measure_variants
from s3dnn_ros.profiling.variant_table import (
    VariantRow,
    VariantTable,
    load_variant_table,
    variant_table_path,
)

CUTS = (('a',),)


def row(segment, ratio, speedup=1.0, fidelity=1.0, layers=0):
    return VariantRow(segment, ratio, layers, 10, 0.5, 2.0, speedup, fidelity, fidelity)


def table(*rows, **changes):
    values = {
        'model': 'net', 'model_sha256': 'ab12', 'engine': 'onnxruntime', 'device': 'CPU',
        'images': '8 images of noise', 'calibration': '3 images', 'calibration_sha256': 'cd',
        'batch': 1, 'versions': {'onnxruntime': '1'}, 'configurations': ('slow', 'fast'),
        'cuts': CUTS, 'rows': rows or (
            row(0, 1.0), row(0, 0.7, 0.9, 0.8, 1), row(0, 0.5, 1.5, 0.6, 2), row(1, 1.0),
            row(None, 1.0), row(None, 0.7, 0.9, 0.8, 1), row(None, 0.5, 1.2, 0.6, 2))}
    values.update(changes)
    return VariantTable(**values)


def test_what_is_slower_is_shown_and_not_offered():
    measured = table()
    assert [item.ratio for item in measured.of(0)] == [1.0, 0.7, 0.5]
    assert [item.ratio for item in measured.offered(0)] == [1.0, 0.5]
    assert [item.ratio for item in measured.offered(1)] == [1.0]


def test_the_cohorts_table_has_the_rows_that_are_offered():
    measured = table()
    found = measured.accuracy_table(0)
    assert (list(found.speedup), list(found.score)) == ([1.0, 1.5], [1.0, 0.6])
    assert measured.offered(0)[found.lookup(1.2)].ratio == 0.5
    assert measured.offered(0)[found.exact].ratio == 1.0
    assert list(measured.accuracy_table(0, 'points').score) == pytest.approx([1.0, 0.98])
    with pytest.raises(ValueError, match=r'beauty.*fidelity, points'):
        measured.accuracy_table(0, 'beauty')


@pytest.mark.parametrize('rows, words', [
    ((), 'segment None has the ratios'),
    ((row(0, 0.5), row(1, 1.0), row(None, 1.0)), 'segment 0 has the ratios'),
    ((row(0, 1.0), row(0, 1.0), row(1, 1.0), row(None, 1.0)), 'segment 0'),
    ((row(0, 1.0), row(None, 1.0)), 'segment 1 has the ratios'),
    ((row(0, 1.0), row(1, 1.0), row(None, 1.0, -1.0)), 'speedup is -1.0'),
    ((row(0, 1.0), row(1, 1.0), row(None, 1.0, 0.0)), 'speedup is 0.0'),
    ((row(0, 1.0), row(1, 1.0), row(None, 1.0, 1e-320)), 'speedup is 1e-320'),
    ((row(0, 1.0), row(1, 1.0), row(None, 1.0, 10**400)), 'speedup is 1000'),
    ((row(0, 1.0), row(1, 1.0), row(None, 1.0, fidelity=5.0)), 'fidelity is 5.0'),
    ((row(0, 1.0), row(1, 1.0), row(None, 1.0, fidelity=float('nan'))), 'fidelity is nan')])
def test_impossible_rows_are_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(table(), rows=rows)


def test_a_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / 'deep' / 'net.onnxruntime.json'
    table().save(path)
    assert load_variant_table(path) == table()


@pytest.mark.parametrize('change, words', [
    ({'format': 2}, 'format 2, this version reads 3'), ({'rows': 5}, "key 'rows' is 5"),
    ({'rows': [{}]}, "lacks the key 'rows.0.segment'"), ({'versions': []}, "'versions'"),
    ({'cuts': ['a']}, "'cuts'"), ({'engine': 7}, "key 'engine' is 7"),
    ({'configurations': 5}, "key 'configurations' is 5"),
    ({'images': None}, "key 'images' is None"),
    ({'calibration': None}, "key 'calibration' is None")])
def test_a_damaged_file_is_refused_with_the_way_out(tmp_path, change, words):
    path = tmp_path / 'net.onnxruntime.json'
    table().save(path)
    whole = path.read_text()
    path.write_text(json.dumps({**json.loads(whole), **change}))
    with pytest.raises(ProfileError) as caught:
        load_variant_table(path)
    for word in (str(path), words, 'run `s3dnn models lowrank net`'):
        assert word in str(caught.value)
    for size in range(0, len(whole) - 2, 97):
        path.write_text(whole[:size])
        with pytest.raises(ProfileError, match='s3dnn models lowrank net'):
            load_variant_table(path)


@pytest.mark.parametrize('content', [b'[]', b'7', b'\xff\xfe', None])
def test_no_table_is_refused(tmp_path, content):
    path = tmp_path / 'net.onnxruntime.json'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProfileError, match='s3dnn models lowrank net'):
        load_variant_table(path)


@pytest.mark.parametrize('changes, words', [
    ({'model_sha256': 'cd34'}, 'SHA-256 ab12; this is cd34'),
    ({'cuts': ()}, 'segments cut at'), ({'engine': 'torch'}, 'onnxruntime; this is torch'),
    ({'device': 'Orin'}, 'CPU; this is Orin: run `s3dnn models lowrank net`')])
def test_a_table_does_not_speak_for_anything_else(changes, words):
    here = {'model_sha256': 'ab12', 'cuts': CUTS, 'engine': 'onnxruntime', 'device': 'CPU'}
    table().check(**here)
    table().check('ab12')
    with pytest.raises(ProfileError) as caught:
        table().check(**{**here, **changes})
    assert words in str(caught.value) and "variants of 'net'" in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ProfileError, match='cannot be written'):
        table().save(tmp_path / 'file' / 'net.json')


# measured

@pytest.fixture(name='network')
def _network(make_spec, tmp_path, monkeypatch):
    """Return description, whole model and variants of two convolutions and a mean."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        [helper.make_node('Conv', ['x', 'v'], ['a'], 'one', pads=[1] * 4),
         helper.make_node('Conv', ['a', 'w'], ['b'], 'two', pads=[1] * 4),
         helper.make_node('GlobalAveragePool', ['b'], ['scores'])], 'net',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 4, 4])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 8, 1, 1])],
        [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
         for name, shape in (('v', (8, 3, 3, 3)), ('w', (8, 8, 3, 3)))])
    path = tmp_path / 'net.onnx'
    onnx.save(helper.make_model(graph, ir_version=8,
                                opset_imports=[helper.make_opsetid('', 13)]), str(path))
    spec = make_spec(name='net', onnx=path, labels=(), decoder_options={'softmax': True})
    model = with_image_input(onnx.load(str(path)), spec)
    variants = make_variants(variants_dir('net', 'onnxruntime'),
                             cut_there(spec, CUTS, path, '').segments, (0.7, 0.4))
    return spec, model, variants


def measure(engine, network, **changes):
    spec, _, variants = network
    options = {'repeats': 7, 'images': random_images(spec, 3),
               'calibration': Calibration('2 photos', 'ab', {}), **changes}
    return measure_variants(engine, cut_there(spec, CUTS, '', ''), variants,
                            source='3 images of noise', **options)


def test_variants_are_measured_on_an_engine(network, tmp_path, said):
    pytest.importorskip('onnxruntime')
    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    try:
        measured = measure(engine, network)
    finally:
        engine.close()
    for segment, each in enumerate(network[2]):
        rows = measured.of(segment)
        assert [item.ratio for item in rows] == [item.ratio for item in each.variants]
        assert [item.layers for item in rows] == [len(item.layers) for item in each.variants]
        assert (rows[0].fidelity, rows[0].answers, rows[0].speedup) == (1.0, 1.0, 1.0)
        assert all(item.fidelity < 1.0 and item.time_ms > 0 for item in rows[1:])
        for item in rows:
            assert item.speedup == pytest.approx(rows[0].time_ms / item.time_ms)
    whole = measured.of(None)
    assert [item.ratio for item in whole] == [1.0, 0.7, 0.4]
    assert whole[0].macs == sum(measured.of(segment)[0].macs for segment in (0, 1))
    assert len(said) == 4
    assert (measured.calibration, measured.calibration_sha256) == ('2 photos', 'ab')
    path = variant_table_path('net', 'onnxruntime')
    measured.save(path)
    assert load_variant_table(path) == measured


class FakeEngine:
    """Each segment takes 1 ms for each of its nodes; an image's outputs are ones."""

    name, device, versions = 'fake', 'none', {'fake': '1'}

    def __init__(self):
        self.measured = []

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1):
        models = [[exact, *others] for exact, others in zip(segments, coarser)]

        def take(batch, repeats, variant):
            self.measured.append((variant, repeats))
            return [[1e-3 * len(variants[min(variant, len(variants) - 1)].graph.node)
                     for variants in models]] * repeats

        def run(pixels, variants):
            return {name: np.ones((1, 8, 1, 1), np.float32) for name in outputs}

        return types.SimpleNamespace(measure=take, run=run, padded=lambda frames: frames,
                                     variants=[len(variants) for variants in models])


def test_variants_take_turns_and_slower_ones_are_marked(network):
    engine = FakeEngine()
    measured = measure(engine, network)
    assert engine.measured == [(variant, runs) for runs in (3, 5, 2) for variant in range(3)]
    # chains have more nodes, so that this engine is slower with all of them
    for segment in (0, 1):
        assert len(measured.of(segment)) > 1 == len(measured.offered(segment))
        assert all(item.fidelity == 1.0 for item in measured.of(segment))


class FakePlatform:
    """Three configurations; `current` is None where it was not set, or restored."""

    configurations = tuple(map(Configuration, range(3), ('slow', 'medium', 'fast')))
    current = None

    def __init__(self):
        self.applied = []

    def apply(self, index):
        self.current = index
        self.applied.append(index)

    def restore(self):
        self.current = None


class ConfiguredEngine(FakeEngine):
    """In the slow configuration each coarser variant takes half of the last one, else as long."""

    def __init__(self, platform):
        super().__init__()
        self.platform = platform

    def load(self, *arguments, **options):
        network = super().load(*arguments, **options)

        def take(batch, repeats, variant):
            return [[8e-3 / 2**variant if self.platform.current == 0 else 1e-3] * 2] * repeats
        network.measure = take
        return network


def test_what_gains_in_one_configuration_alone_gains_nothing(network):
    platform = FakePlatform()
    engine = ConfiguredEngine(platform)
    platform.current = 0
    as_it_was = measure(engine, network)
    assert len(as_it_was.offered(0)) == len(network[2][0].variants)
    assert as_it_was.configurations == ()
    measured = measure(engine, network, platform=platform)
    assert measured.configurations == ('slow', 'fast')
    assert platform.applied == [0, 2] and platform.current is None
    for segment in (None, 0, 1):
        assert {item.speedup for item in measured.of(segment)} == {1.0}
        assert len(measured.offered(segment)) == 1
    assert measured.of(0)[0].time_ms == 1.0


def test_a_board_that_has_one_configuration_is_timed_once(network):
    platform = FakePlatform()
    platform.configurations = platform.configurations[:1]
    measured = measure(ConfiguredEngine(platform), network, platform=platform)
    assert platform.applied == [0] and measured.configurations == ('slow',)


def test_a_board_is_restored_if_measuring_fails(network, monkeypatch):
    platform = FakePlatform()
    engine = ConfiguredEngine(platform)
    monkeypatch.setattr(np, 'median', lambda *arguments, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure(engine, network, platform=platform)
    assert platform.applied == [0] and platform.current is None
