"""What results say about where they were measured."""

import json
import types

import pytest

from s3dnn_ros.engines import BuildOptions
from s3dnn_ros.lab.environment import environment, told_of


def test_a_copy_that_is_told_where_it_comes_from_says_so(monkeypatch):
    monkeypatch.setenv('S3DNN_COMMIT', 'abc1234')
    assert environment()['commit'] == 'abc1234'


def test_otherwise_the_history_tells(monkeypatch):
    monkeypatch.delenv('S3DNN_COMMIT', raising=False)
    assert environment()['commit']


@pytest.mark.parametrize('options, told', [(None, None), (BuildOptions('int8'), 'int8')])
def test_results_say_how_the_engine_built(options, told):
    engine = types.SimpleNamespace(device='a fake GPU', versions={'x': '1'}, options=options)
    values = json.loads(json.dumps(told_of(engine)))
    assert (values['device'], values['engine']) == ('a fake GPU', {'x': '1'})
    assert (values['build'] and values['build']['precision']) == told
