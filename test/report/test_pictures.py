"""The figures of a page as PNG files."""

import pytest
from runs import lab_results, many, recording, request

from s3dnn_ros.bench.s3dnn_plots import PlotError
from s3dnn_ros.report.page import Results, sections
from s3dnn_ros.report.pictures import pictures


def figures(*runs):
    return {name: figure for section in sections([('run', run) for run in runs])
            for name, figure in section.figures.items()}


def test_each_figure_is_a_png(tmp_path):
    pytest.importorskip('matplotlib', minversion='3.7')
    found = figures(recording(*many(12, ('front', '$x^{<b>'))), recording(),
                    Results(lab_results(), []))
    paths = pictures(found, tmp_path / 'new')
    assert [path.stem for path in paths] == list(found)
    for path in paths:
        assert path.read_bytes().startswith(b'\x89PNG') and path.stat().st_size > 5000


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    pytest.importorskip('matplotlib', minversion='3.7')
    (tmp_path / 'file').write_text('')
    with pytest.raises(PlotError, match='cannot be written'):
        pictures(figures(recording(request(1))), tmp_path / 'file' / 'folder')
