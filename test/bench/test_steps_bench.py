"""The bench of single steps has a row for each encoding, and its results become tables."""

import pytest

from s3dnn_ros.bench import steps_bench
from s3dnn_ros.bench.results import tables
from s3dnn_ros.bench.steps_bench import Plan
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.images.pixels import ENCODINGS


def test_every_encoding_is_measured_and_saved_after_each():
    pytest.importorskip('trackforge', reason='the library that follows objects is not here')
    saved = []
    results = steps_bench.run(
        Plan(64, 48, repeats=2, runs=2, frames=9), lambda results: saved.append(
            len(results['images']) + len(results['tracks'])))
    assert saved == list(range(1, len(ENCODINGS) + 2 + len(steps_bench.OBJECTS) + 1))
    assert [row['name'] for row in results['images']] == [*ENCODINGS, 'JPEG', 'PNG']
    for row in results['images']:
        assert len(row['ours_ms_per_mp']) == 2 and min(row['ours_ms_per_mp']) > 0.0
        assert len(row['opencv_ms_per_mp']) == (0 if row['name'] == 'nv24' else 2)
    for row in results['tracks']:
        for name in ('', 'cpu_'):
            pairs = list(zip(row[f'{name}p50_ms'], row[f'{name}p99_ms']))
            assert len(pairs) == 2 and all(0.0 < p50_ms <= p99_ms for p50_ms, p99_ms in pairs)
    text = '\n'.join(tables(results))
    assert '| bgr8 |' in text and '| 50 |' in text and 'image of 64x48 to BGR' in text


def test_a_part_that_is_not_asked_for_is_not_measured():
    results = steps_bench.run(Plan(64, 48, repeats=1, runs=1, parts=('images',)))
    assert results['images'] and not results['tracks']
    assert 'objects' not in '\n'.join(tables(results))


@pytest.mark.parametrize('wrong, said', [
    ({'repeats': 0}, '--repeats'), ({'runs': 0}, '--runs'), ({'frames': 0}, '--frames'),
    ({'width': 63}, '--size'), ({'parts': ('images', 'x')}, '--parts')])
def test_what_cannot_be_measured_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        Plan(**wrong)
