"""The engine that is made of units: what it loads and what it tells."""

import numpy as np
import pytest
from timed_units import FakeTimedEngine

from s3dnn_ros.base.clock import SystemClock, VirtualClock
from s3dnn_ros.errors import EngineError, TableError
from s3dnn_ros.models.cut_network import whole
from s3dnn_ros.models.segmentation import cut_points, split
from s3dnn_ros.partition import PerformanceTable, Row
from s3dnn_ros.units.about import about_model
from s3dnn_ros.units.engine import UnitsEngine
from s3dnn_ros.units.open import open_units
from s3dnn_ros.units.unit import Unit

ONE, TWO = 'onnxruntime:cpu,threads=1', 'onnxruntime:cpu,threads=1,copy=2'


@pytest.fixture
def build():
    """Return a builder of an engine of fake units: milliseconds for an image, and GPUs."""
    engines = []

    def of(*each_ms, gpus=(None, None), tables=None):
        clock = VirtualClock()
        engine = UnitsEngine([
            Unit(str(place), lambda ms=ms, gpu=gpu: FakeTimedEngine(clock, ms / 1e3, gpu))
            for place, (ms, gpu) in enumerate(zip(each_ms, gpus))], clock, tables)
        engines.append(engine)
        return engine

    yield of
    for engine in engines:
        engine.close()


def test_a_network_is_measured_on_every_unit_while_it_is_loaded(build, make_spec):
    network = build(1.0, 3.0).load('net', [], [], make_spec(), max_batch=8)
    table = network.learned.table
    assert [(row.unit, row.batch) for row in table.rows] == [
        (unit, batch) for unit in '01' for batch in (1, 2, 4, 8)]
    assert all(row.total_ms == pytest.approx((1.0, 3.0)[int(row.unit)] * row.batch)
               for row in table.rows)
    assert network.largest == 8 and network.times.time_s(8) == pytest.approx(0.006)


def written(path, units, about):
    """Write a table in which every image takes 7 ms; return its path."""
    table = PerformanceTable([Row(unit, 1, 7.0, 0.0) for unit in units])
    table.with_about(about).to_csv(path)
    return str(path)


def test_a_table_in_a_file_is_taken_and_the_network_is_warm_all_the_same(
        build, make_spec, tiny_onnx, tmp_path):
    spec = make_spec(onnx=tiny_onnx)
    engine = build(1.0, 3.0, tables={'net': written(tmp_path / 'a.csv', '201', about_model(spec))})
    network = engine.load('net', [], [], spec, max_batch=8)
    assert network.learned.table.units == ('0', '1')
    assert network.times.time_s(8) == pytest.approx(0.028)
    assert engine.clock.now_s() > 0.0
    other = engine.load('other', [], [], spec, max_batch=8)
    assert other.times.time_s(8) == pytest.approx(0.006)


@pytest.mark.parametrize('units, changed, sentence', [
    ('0', {}, 'has no unit'), ('01', {'model_sha256': 'ab'}, 'was measured with model_sha256')])
def test_a_table_of_other_units_or_models_is_refused(
        build, make_spec, tiny_onnx, tmp_path, units, changed, sentence):
    spec = make_spec(onnx=tiny_onnx)
    path = written(tmp_path / 'a.csv', units, {**about_model(spec), **changed})
    with pytest.raises(TableError, match=sentence):
        build(1.0, 3.0, tables={'net': path}).load('net', [], [], spec, max_batch=8)


def test_a_network_that_does_not_run_on_a_unit_is_refused(build, make_spec, monkeypatch):
    engine = build(1.0, 3.0)
    monkeypatch.setattr('timed_units.FakeTimedNetwork.run', lambda *_: [][0])
    with pytest.raises(EngineError, match=r"instance 'net'.*take out of engine_units"):
        engine.load('net', [], [], make_spec(), max_batch=8)


def test_an_engine_is_what_its_units_are(build):
    engine = build(1.0, 3.0, gpus=(None, 7))
    assert (engine.device, engine.precision) == ('1 ms each + 3 ms each', 'fp32')
    assert (engine.versions, engine.built, engine.loads_bytes) == ({'fake': '1'}, 2, True)
    assert engine.gpu == 7 and engine.frame_memory(3).tolist() == [7] * 3
    assert engine.reads(np.zeros(1, np.uint8))
    assert build(1.0, 3.0, gpus=(7, 8)).gpu is None and build(1.0, 3.0).gpu is None


def test_an_engine_is_lost_only_with_all_its_units(build):
    engine = build(1.0, 3.0)
    first, second = (unit.engine for unit in engine.units)
    assert engine.lost() == ''
    first.loss = 'no device'
    assert engine.lost() == ''
    second.loss = 'none either'
    assert engine.lost() == 'no device; none either'


def test_segments_on_real_units_give_the_results_of_one_engine(tiny_onnx, make_spec):
    pytest.importorskip('onnxruntime')
    onnx = pytest.importorskip('onnx')
    cut = whole(make_spec(onnx=tiny_onnx))
    model = onnx.load_from_string(cut.models[0].SerializeToString())
    segments = [segment.model for segment in split(model, cut_points(model))]
    assert len(segments) > 2
    engine = UnitsEngine(open_units([ONE, TWO], SystemClock()), SystemClock())
    network = engine.load('net', segments, cut.outputs, cut.spec, max_batch=4)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3), np.uint8)
    unit, = open_units([ONE], SystemClock())
    wanted = cut.load(unit).run(pixels)['scores']
    unit.close()
    for deadline_s in (0.0, np.inf):
        answer, _ = network.answer(pixels, deadline_s)
        assert answer.outputs['scores'] == pytest.approx(wanted, abs=1e-5)
    engine.close()
