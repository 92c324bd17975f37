"""The bench of single steps has a row for each encoding, and its results become tables."""

import pytest

from s3dnn_ros.bench import steps_bench
from s3dnn_ros.bench.results import tables
from s3dnn_ros.bench.steps_bench import Plan
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.images.pixels import ENCODINGS


def test_every_encoding_is_measured_and_saved_after_each():
    pytest.importorskip('similari', reason='the library that follows objects is not here')
    saved = []
    results = steps_bench.run(Plan(64, 48, repeats=2, runs=2), lambda results: saved.append(
        len(results['images']) + len(results['tracks'])))
    assert saved == list(range(1, len(ENCODINGS) + 2 + len(steps_bench.OBJECTS) + 1))
    assert [row['name'] for row in results['images']] == [*ENCODINGS, 'JPEG', 'PNG']
    for row in results['images']:
        assert len(row['ours_ms_per_mp']) == 2 and min(row['ours_ms_per_mp']) > 0.0
        assert len(row['opencv_ms_per_mp']) == (0 if row['name'] == 'nv24' else 2)
    assert all(len(row['ms']) == 2 and min(row['ms']) > 0.0 for row in results['tracks'])
    text = '\n'.join(tables(results))
    assert '| bgr8 |' in text and '| 50 |' in text and 'image of 64x48 to BGR' in text


@pytest.mark.parametrize('wrong, said', [
    ({'repeats': 0}, '--repeats'), ({'runs': 0}, '--runs'), ({'width': 63}, '--size')])
def test_what_cannot_be_measured_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        Plan(**wrong)
