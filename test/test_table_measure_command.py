"""The commands `s3dnn table measure` and `measure-io`: rows in a file, or a sentence."""

import pytest
import yaml

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.cli import main
from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeNetwork
from s3dnn_ros.models.cut_network import CutNetwork
from s3dnn_ros.partition import PerformanceTable, Row
from s3dnn_ros.units import measure

pytest.importorskip('onnxruntime')
ONE, TWO = 'onnxruntime:cpu,threads=1', 'onnxruntime:cpu,threads=2'
QUICK = ['--repeats', '2', '--unit', ONE]


@pytest.fixture(autouse=True)
def models(tiny_onnx, tmp_path, monkeypatch):
    """Write two descriptions of the tiny network."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    values = {'onnx': str(tiny_onnx), 'width': 4, 'height': 4, 'colour': 'bgr',
              'mean': [0, 0, 0], 'std': [255, 255, 255], 'resize': 'stretch',
              'decoder': 'classification', 'labels': ['blue', 'green', 'red']}
    for name in ('tiny', 'other'):
        (tmp_path / f'{name}.yaml').write_text(yaml.safe_dump(values), encoding='utf-8')


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'tiny.csv'


@pytest.fixture
def wanted(monkeypatch):
    """Return the list of units and batches that were measured."""
    rows, original = [], measure.measured_rows

    def spied(network, shape, each, *options):
        rows.extend(each)
        return original(network, shape, each, *options)
    monkeypatch.setattr(measure, 'measured_rows', spied)
    return rows


def rows_of(path):
    return [(row.unit, row.batch) for row in PerformanceTable.from_csv(path).rows]


def test_powers_of_two_and_neighbours_are_measured_and_the_file_says_of_what(
        out, tiny_onnx, capsys):
    assert main(['table', 'measure', 'tiny', *QUICK, '--device', TWO, '--max-batch', '6',
                 '--out', str(out)]) == 0
    assert rows_of(out) == [(unit, batch) for unit in (ONE, TWO) for batch in (1, 2, 3, 4, 5, 6)]
    about = PerformanceTable.from_csv(out).about
    assert (about['model'], about['model_sha256']) == ('tiny', sha256_of(tiny_onnx))
    assert about['processor'] and about[f'unit {TWO}'].startswith('CPU, 2 threads, onnxruntime')
    shown = capsys.readouterr().out
    assert f'tiny on {TWO}: batch 6 of 6, about' in shown
    assert '12 rows measured, 0 were there' in shown


def test_a_second_run_measures_what_is_missing(out, wanted, capsys):
    for options in (['--batch', '2'], ['--batch', '2', '--increment', '2', '--max-batch', '7'],
                    ['--unit', TWO, '--batch', '4'], ['--unit', TWO, '--batch', '4']):
        assert main(['table', 'measure', 'tiny', *QUICK, *options, '--out', str(out)]) == 0
    assert wanted == [(ONE, 2), (ONE, 4), (ONE, 6), (TWO, 4)]
    assert rows_of(out) == wanted
    assert '0 rows measured, 2 were there' in capsys.readouterr().out


def test_networks_are_loaded_for_the_largest_batch_of_the_table(out, monkeypatch):
    loaded, original = [], CutNetwork.load

    def spied(cut, engine, *, max_batch):
        loaded.append(max_batch)
        return original(cut, engine, max_batch=max_batch)
    monkeypatch.setattr(CutNetwork, 'load', spied)
    for options in (['--max-batch', '4'], ['--batch', '3', '--unit', TWO]):
        assert main(['table', 'measure', 'tiny', *QUICK, *options, '--out', str(out)]) == 0
    assert loaded == [4, 4]


def test_rows_that_were_measured_before_a_failure_are_kept(out, monkeypatch, capsys):
    def failing(network, shape, each, *options):
        yield Row(*each[0], 1.0, 0.0)
        raise measure.EngineError(ONE, 'is out of memory')
    monkeypatch.setattr(measure, 'measured_rows', failing)
    assert main(['table', 'measure', 'tiny', *QUICK, '--out', str(out)]) == 1
    assert 'is out of memory' in capsys.readouterr().err
    assert rows_of(out) == [(ONE, 1)]
    assert PerformanceTable.from_csv(out).about['model'] == 'tiny'


@pytest.mark.parametrize('model, options, sentence', [
    ('nothing', [], "model 'nothing'"),
    ('tiny', ['--unit', 'tvm:cpu'], "'tvm:cpu'; expected ENGINE:DEVICE such as"),
    ('tiny', ['--batch', '9', '--increment', '2', '--max-batch', '8'], "'--batch' is 9; is above"),
    ('tiny', ['--unit', 'torch:cuda:99'], 'torch:cuda:99'),
    ('other', [], "was measured with model 'tiny', here it is 'other'; measure it again")])
def test_what_cannot_be_measured_is_told_and_changes_nothing(model, options, sentence, out,
                                                             capsys):
    assert main(['table', 'measure', 'tiny', *QUICK, '--batch', '1', '--out', str(out)]) == 0
    before = out.read_bytes()
    assert main(['table', 'measure', model, *QUICK, *options, '--out', str(out)]) == 1
    assert sentence in capsys.readouterr().err
    assert out.read_bytes() == before


def test_a_table_that_does_not_say_of_what_it_is_gets_no_rows(out, capsys):
    PerformanceTable([Row(ONE, 1, 1.0, 0.0)]).to_csv(out)
    assert main(['table', 'measure', 'tiny', *QUICK, '--out', str(out)]) == 1
    assert 'does not say of which network and machine it is' in capsys.readouterr().err


def test_what_a_unit_says_of_the_network_is_told(out, monkeypatch, capsys):
    monkeypatch.setattr(OnnxRuntimeNetwork, 'note', 'it runs 2 at most')
    assert main(['table', 'measure', 'tiny', *QUICK, '--batch', '1', '--out', str(out)]) == 0
    assert f'{ONE}: it runs 2 at most' in capsys.readouterr().out


def test_io_is_shown_and_written_into_rows_that_are_there(out, monkeypatch, capsys):
    assert main(['table', 'measure', 'tiny', *QUICK, '--batch', '2', '--out', str(out)]) == 0
    before, = PerformanceTable.from_csv(out).rows
    monkeypatch.setattr(measure, 'measured_rows', lambda network, shape, each, *options: (
        Row(unit, batch, 9.0, 3.0) for unit, batch in each))
    capsys.readouterr()
    assert main(['table', 'measure-io', 'tiny', *QUICK, '--max-batch', '3', '--into',
                 str(out)]) == 0
    shown = capsys.readouterr().out
    assert '3.0000' in shown and '25.0%' in shown and f'1 rows of {out}' in shown
    after, = PerformanceTable.from_csv(out).rows
    assert after == Row(ONE, 2, before.execution_ms_per_image, 3.0)


def test_io_of_another_model_is_not_written(out, capsys):
    assert main(['table', 'measure', 'tiny', *QUICK, '--batch', '1', '--out', str(out)]) == 0
    assert main(['table', 'measure-io', 'other', *QUICK, '--batch', '1', '--into', str(out)]) == 1
    assert "was measured with model 'tiny'" in capsys.readouterr().err
