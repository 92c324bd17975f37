"""What was measured comes back as it was, and what is of something else is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import StrategyError
from s3dnn_ros.strategy.measured_file import load_measured, save_measured
from s3dnn_ros.strategy.strategy import Measurement, Strategy

RATES = st.floats(0.0, 1.0)
TIMES = st.none() | st.floats(0.0, 1e6)


@st.composite
def measurements(draw):
    return {Strategy.in_order(draw(st.tuples(*[st.integers(0, 2)] * 3)),
                              draw(st.permutations(range(3)))):
            Measurement(draw(st.tuples(*[RATES] * 3)), draw(st.tuples(*[TIMES] * 3)))
            for _ in range(draw(st.integers(0, 5)))}


@given(measured=measurements())
def test_it_comes_back_as_it_was(make_workload, tmp_path_factory, measured):
    path = tmp_path_factory.mktemp('m') / 'measured.json'
    save_measured(path, 'key', measured)
    assert list(load_measured(path, 'key', make_workload()).items()) == list(measured.items())


@pytest.mark.parametrize('change, said', [
    ({'key': 'other'}, 'another workload, or with other options'),
    ({'format': 2}, 'another workload, or with other options'),
    ({'strategies': None}, "key 'strategies'"),
    ({'strategies': [{}]}, 'strategies.0.variants'),
    ({'variants': [0, 0, 3]}, 'for every task'),
    ({'variants': [0, 0]}, 'for every task'),
    ({'priorities': [1, 1, 2]}, 'for every task'),
    ({'missed': [0.0]}, 'for every task'),
    ({'missed': [0.0, 0.0, 2.0]}, "key 'strategies.0.missed'"),
    ({'response_ms': [1.0, None, 'x']}, "key 'strategies.0.response_ms'")])
def test_what_is_wrong_is_told_with_the_file_and_what_to_do(make_workload, tmp_path, change, said):
    path = tmp_path / 'measured.json'
    save_measured(path, 'key', {Strategy((0, 1, 2), (1, 2, 3)):
                                Measurement((0.0, 0.1, 1.0), (1.0, 2.0, None))})
    content = json.loads(path.read_text())
    for name, value in change.items():
        place = content if name in content else content['strategies'][0]
        place[name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(StrategyError, match=said) as caught:
        load_measured(path, 'key', make_workload())
    assert str(path) in str(caught.value) and '--measured' in str(caught.value)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(StrategyError, match='--measured'):
        save_measured(tmp_path / 'file' / 'measured.json', 'key', {})
