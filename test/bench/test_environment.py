"""What results say about where they were measured."""

import json
import types

import pytest

from s3dnn_ros.bench.environment import engine_record, environment
from s3dnn_ros.engines.base import BuildOptions


def test_a_copy_that_is_told_where_it_comes_from_says_so(monkeypatch):
    monkeypatch.setenv('S3DNN_COMMIT', 'abc1234')
    assert environment()['commit'] == 'abc1234'


def test_otherwise_the_history_tells(monkeypatch):
    monkeypatch.delenv('S3DNN_COMMIT', raising=False)
    assert environment()['commit']


@pytest.mark.parametrize('heeds', [(), ('precision',), ('dla', 'precision')])
def test_results_say_what_the_engine_heeds_of_how_to_build(heeds):
    engine = types.SimpleNamespace(device='a fake GPU', versions={'x': '1'}, heeds=heeds,
                                   options=BuildOptions('int8', dla=1))
    told = json.loads(json.dumps(engine_record(engine)))
    assert (told['device'], told['engine']) == ('a fake GPU', {'x': '1'})
    assert told['build'] == {name: {'precision': 'int8', 'dla': 1}[name] for name in heeds}
