"""Two pictures of every result file, whatever was asked for."""

import pytest
from overloads import overload_results

from s3dnn_ros.bench.results import plot


@pytest.mark.parametrize(('loads', 'disturb'), [
    ((None,), ('none',)), ((0.5, 1.0, 3.0), ('none', 'stop'))])
def test_pictures_over_time_and_over_load(tmp_path, loads, disturb):
    pytest.importorskip('matplotlib', minversion='3.7')
    paths = plot(overload_results(loads, disturb), tmp_path / 'plots')
    assert [path.name for path in paths] == ['overload_time.png', 'overload_load.png']
    for path in paths:
        assert path.read_bytes().startswith(b'\x89PNG')
