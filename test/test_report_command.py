"""The command `s3dnn report`: files in, a page out, and a sentence for what is no run."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / 'report'))

from runs import many, recording, request

from s3dnn_ros.cli import main
from s3dnn_ros.runtime.recording import KEY, write_recording


@pytest.fixture
def run_path(tmp_path):
    path = tmp_path / 'run.json'
    write_recording(recording(*many(30)).document(), path)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'pages' / 'page.html'


def test_runs_become_one_page(run_path, out, capsys):
    pytest.importorskip('plotly', minversion='5.18')
    results = Path(__file__).parents[1] / 'docs' / 'results' / 'neuos_cpu.json'
    assert main(['report', str(run_path), str(results), '-o', str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    text = out.read_text()
    assert '<h2>run</h2>' in text and '<h2>neuos_cpu</h2>' in text
    assert '"timeline_0"' in text and '"points_1_0"' in text
    assert len(text) < 10_000_000


def test_a_part_of_a_recording_is_drawn(run_path, out):
    pytest.importorskip('plotly', minversion='5.18')
    assert main(['report', str(run_path), '-o', str(out), '--from', '1', '--to', '1.5']) == 0
    assert 'from 1.000 s to 1.500 s of' in out.read_text()


def test_pictures_are_written_too(run_path, out, tmp_path):
    pytest.importorskip('plotly', minversion='5.18')
    pytest.importorskip('matplotlib', minversion='3.7')
    assert main(['report', str(run_path), '-o', str(out), '--png', str(tmp_path / 'png')]) == 0
    assert [path.name for path in (tmp_path / 'png').iterdir()] == ['timeline_0.png']


@pytest.mark.parametrize(('content', 'sentence'), [
    ('{', 'is not a whole JSON file'),
    ('{"format": 1}', 'expected a file that'),
    (json.dumps({'format': 1, KEY: 5}), "key 'recording' is 5"),
    (json.dumps({'format': 9, KEY: {}}), "key 'format' is 9")])
def test_what_is_no_run_is_told_with_its_file(tmp_path, out, capsys, content, sentence):
    pytest.importorskip('plotly', minversion='5.18')
    path = tmp_path / 'other.json'
    path.write_text(content)
    assert main(['report', str(path), '-o', str(out)]) == 1
    said = capsys.readouterr().err
    assert str(path) in said and sentence in said and said.count('\n') == 1
    assert not out.exists()


def test_results_that_lack_something_are_told(tmp_path, out, capsys):
    pytest.importorskip('plotly', minversion='5.18')
    results = json.loads((Path(__file__).parents[1] / 'docs' / 'results' / 'neuos_cpu.json'
                          ).read_text())
    del results['cohorts'][0]['instances']
    path = tmp_path / 'lacking.json'
    path.write_text(json.dumps(results))
    assert main(['report', str(path), '-o', str(out)]) == 1
    assert 'lacking.json' in capsys.readouterr().err


def test_a_part_that_is_not_there_is_told(tmp_path, out, capsys):
    pytest.importorskip('plotly', minversion='5.18')
    path = tmp_path / 'short.json'
    write_recording(recording(request(1)).document(), path)
    assert main(['report', str(path), '-o', str(out), '--from', '7']) == 1
    assert 'which lasts 0.020 s' in capsys.readouterr().err


def test_without_plotly_nothing_is_read(run_path, out, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'plotly', None)
    assert main(['report', str(run_path), '-o', str(out)]) == 1
    assert 'pip install "plotly' in capsys.readouterr().err
