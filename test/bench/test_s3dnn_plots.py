"""A picture of every part, or a sentence that says what is missing."""

import builtins

import pytest

from s3dnn_ros.bench.s3dnn_plots import PlotError, plot


def test_every_part_becomes_a_picture(synthetic_results, tmp_path):
    pytest.importorskip('matplotlib', minversion='3.7')
    paths = plot(synthetic_results, tmp_path / 'plots')
    assert [path.name for path in paths] == ['missed.png', 'throughput.png',
                                             'timeline_streams.png']
    for path in paths:
        assert path.read_bytes().startswith(b'\x89PNG')


def test_parts_that_were_left_out_have_none(synthetic_results, tmp_path):
    pytest.importorskip('matplotlib', minversion='3.7')
    del synthetic_results['deadlines'], synthetic_results['timeline']
    assert [path.name for path in plot(synthetic_results, tmp_path)] == ['throughput.png']


def test_a_folder_that_cannot_be_made(synthetic_results, tmp_path):
    pytest.importorskip('matplotlib', minversion='3.7')
    (tmp_path / 'file').write_text('')
    with pytest.raises(PlotError, match='--out'):
        plot(synthetic_results, tmp_path / 'file' / 'plots')


def test_without_matplotlib_a_sentence_tells_how_to_get_it(
        synthetic_results, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.split('.')[0] == 'matplotlib':
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(PlotError, match='pip install "matplotlib'):
        plot(synthetic_results, tmp_path)


def test_a_matplotlib_that_is_too_old_is_told(synthetic_results, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip('matplotlib')
    monkeypatch.setattr(matplotlib, '__version__', '3.5.1')
    with pytest.raises(PlotError, match=r'3\.5\.1.*pip install "matplotlib'):
        plot(synthetic_results, tmp_path)
