"""Measured times come back as they were, and those of something else are not taken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import StrategyError
from s3dnn_ros.strategy.times_file import load_times, save_times
from s3dnn_ros.strategy.workload import ModelTimes

SECONDS = st.floats(0.0, 1e3)
TIMES = st.builds(ModelTimes, st.just('a board'), st.floats(1e-6, 1e3), st.floats(1e-6, 1.0),
                  SECONDS, SECONDS)
KNOWN = {'net': ('abc', ModelTimes('a board', 0.02, 0.5, 0.002, 0.001))}


@given(known=st.dictionaries(st.sampled_from(['net', 'a/net.yaml', 'net_1']),
                             st.tuples(st.sampled_from(['abc', 'def']), TIMES)))
def test_they_come_back_as_they_were(tmp_path_factory, known):
    path = tmp_path_factory.mktemp('t') / 'plan.times.json'
    save_times(path, 'key', known)
    assert load_times(path, 'key') == known


def test_times_of_something_else_are_not_known(tmp_path):
    path = tmp_path / 'plan.times.json'
    assert load_times(path, 'key') == {}
    save_times(path, 'key', KNOWN)
    assert load_times(path, 'another') == {}


@pytest.mark.parametrize('change, said', [
    ({'device_s': -1.0}, "key 'models.net.device_s'"), ({'before_s': None}, 'before_s'),
    ({'sha256': 3}, 'sha256')])
def test_what_is_wrong_is_told_with_the_file_and_what_to_do(tmp_path, change, said):
    path = tmp_path / 'plan.times.json'
    save_times(path, 'key', KNOWN)
    content = json.loads(path.read_text())
    content['models']['net'].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(StrategyError, match=said) as caught:
        load_times(path, 'key')
    assert str(path) in str(caught.value) and 'remove it' in str(caught.value)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(StrategyError, match='--out'):
        save_times(tmp_path / 'file' / 'plan.times.json', 'key', {})
