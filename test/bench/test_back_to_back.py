"""A network in a process of its own is measured, or what is wrong is told."""

import os

import pytest

from s3dnn_ros.bench import back_to_back
from s3dnn_ros.bench.back_to_back import measure_limit, measure_profile
from s3dnn_ros.bench.processes import ProcessError
from s3dnn_ros.profiling.table import load_table


def test_the_best_batch_is_the_limit(tiny_model):
    pytest.importorskip('onnxruntime')
    found = measure_limit(tiny_model, 'auto', (1, 2), 0.05)
    assert found['engine'] == 'onnxruntime' and 'onnxruntime' in found['versions']
    assert set(found['by_batch']) == {'1', '2'}
    assert found['frames_hz'] == max(found['by_batch'].values()) > 0.0


def test_a_profile_is_written(tiny_model, tmp_path):
    pytest.importorskip('onnxruntime')
    path = tmp_path / 'profile.json'
    measure_profile(tiny_model, 'onnxruntime', str(path), 2, 5)
    table = load_table(path)
    assert (table.model, table.engine, table.batches) == (tiny_model, 'onnxruntime', (1, 2))


def test_a_refusal_is_told_as_it_is(tiny_model):
    with pytest.raises(ProcessError, match="'engine' is 'none'; expected auto or one of"):
        measure_limit(tiny_model, 'none', (1,), 0.05)


def test_a_process_that_dies_is_told():
    with pytest.raises(ProcessError, match='has died'):
        back_to_back._in_a_process(os._exit, 3)
