"""A recording says the same after it was a file; a bad file is refused with its key."""

import copy
import json
import math
import types

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.errors import DocumentError, RecordingError
from s3dnn_ros.runtime.recorder import Recorder, RequestTimes, Stage, Stamp
from s3dnn_ros.runtime.recording import (
    KEY,
    STAGES,
    Change,
    Name,
    Recording,
    Run,
    is_recording,
    read_recording,
    recording_of,
    write_recording,
)
from s3dnn_ros.runtime.variant_chooser import Boundary

TIMES = st.integers(0, 10**13).map(lambda microseconds: microseconds / 1e6)
INSTANCES = st.sampled_from(['front', 'rear <b>'])
NUMBERS = st.integers(0, 2**40)


def recordings():
    return st.builds(
        Recording,
        st.builds(Run, st.text('ab<', max_size=3), st.booleans(), st.just('EDF'),
                  st.just({'commit': 'abc'}), st.text('ab', max_size=3),
                  st.none() | st.integers(0, 9), st.none() | st.floats(0, 1e6),
                  st.dictionaries(INSTANCES, st.floats(0, 1e6))),
        st.just({'front': 'net', 'rear <b>': 'net'}),
        st.lists(st.builds(RequestTimes, NUMBERS, INSTANCES, TIMES, TIMES | st.just(math.inf))),
        st.lists(st.builds(Stamp, st.sampled_from(STAGES), NUMBERS, INSTANCES, NUMBERS, TIMES,
                           NUMBERS)),
        st.lists(st.builds(Boundary, TIMES, NUMBERS, INSTANCES, NUMBERS, TIMES,
                           st.sampled_from([3, 70]), NUMBERS)),
        st.lists(st.builds(Change, TIMES, st.sampled_from([3, 70]))),
        st.just([Name(3, 'slow'), Name(70, 'fast')]))


@given(recordings())
def test_a_recording_is_the_same_from_its_document(recording):
    document = recording.document()
    assert is_recording(document)
    assert recording_of(json.loads(json.dumps(document))) == recording


@pytest.fixture
def document():
    recorder = Recorder()
    request = types.SimpleNamespace(number=5, instance=types.SimpleNamespace(name='front'),
                                    arrived_s=1.0, deadline_s=1.04)
    recorder.stamp(Stage.STAGED, request, 1.0)
    recorder.stamp(Stage.SUBMITTED, request, 1.001, 0, 2)
    run = Run('TX2', True, 'balanced', {'commit': 'abc'})
    return Recording.of(run, {'front': 'net'}, recorder,
                        [Boundary(1.0, 5, 'front', 0, 0.0, 1, 0)], ['slow', 'fast', 'other'],
                        [(0.0, 0)]).document()


def test_what_recorder_and_chooser_kept_is_in_the_document(document):
    content = document[KEY]
    assert content['instances'] == {'front': {'model': 'net', 'deadline_ms': 40.0}}
    assert content['stamps'] == {
        'stage': ['staged', 'submitted'], 'request': [5, 5], 'instance': ['front'] * 2,
        'segment': [0, 0], 'now_s': [1.0, 1.001], 'images': [0, 2]}
    # those that the board was in, alone
    assert content['configurations'] == {'configuration': [0, 1], 'name': ['slow', 'fast']}
    assert content['simulated'] is True


def test_a_file_is_read_as_it_was_written(document, tmp_path):
    path = tmp_path / 'new' / 'run.json'
    write_recording(document, path)
    assert read_recording(path).document() == document


def test_a_folder_that_cannot_be_written_is_told(document, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(RecordingError, match=r'file.run\.json: cannot be written.*another'):
        write_recording(document, tmp_path / 'file' / 'run.json')


@pytest.mark.parametrize(('keys', 'value', 'sentence'), [
    (('format',), 2, "key 'format' is 2; expected a whole number from 1 to 1"),
    ((KEY,), [], "key 'recording' is [];"),
    ((KEY, 'device'), 5, "key 'recording.device' is 5; expected text"),
    ((KEY, 'simulated'), 'no', "key 'recording.simulated'"),
    ((KEY, 'energy_j'), -1, "key 'recording.energy_j' is -1"),
    ((KEY, 'instances', 'front', 'model'), None, "key 'recording.instances.front.model'"),
    ((KEY, 'instances'), {}, "key 'recording.requests.instance'"),
    ((KEY, 'stamps', 'stage'), ['staged', 'eaten'], "key 'recording.stamps.stage'"),
    ((KEY, 'stamps', 'now_s'), [1.0], "key 'recording.stamps.now_s' is [1.0]; expected as many"),
    ((KEY, 'stamps', 'now_s'), [1.0, None], "key 'recording.stamps.now_s'"),
    ((KEY, 'stamps', 'segment'), [0, -1], "key 'recording.stamps.segment'"),
    ((KEY, 'requests', 'deadline_s'), ['soon'], "key 'recording.requests.deadline_s'"),
    ((KEY, 'boundaries', 'configuration'), [2], "key 'recording.boundaries.configuration'"),
    ((KEY, 'changes', 'configuration'), [7], "key 'recording.changes.configuration'"),
])
def test_a_bad_value_is_told_with_file_and_key(document, tmp_path, keys, value, sentence):
    changed = copy.deepcopy(document)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = tmp_path / 'run.json'
    path.write_text(json.dumps(changed))
    with pytest.raises(RecordingError) as raised:
        read_recording(path)
    assert str(raised.value).startswith(f'{path}: {sentence}')
    assert '\n' not in str(raised.value)


ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text('ab'),
                        lambda inner: st.lists(inner, max_size=3)
                        | st.dictionaries(st.text('ab'), inner, max_size=3))


@given(st.data(), ANYTHING)
def test_whatever_stands_in_place_of_a_value_is_read_or_refused(data, value):
    run = Run('TX2', True, 'balanced', {})
    changed = Recording(run, {'a': 'net'}, [RequestTimes(1, 'a', 0.0, 1.0)],
                        [Stamp('staged', 1, 'a', 0, 0.0)]).document()
    key = data.draw(st.sampled_from(sorted(changed[KEY])))
    inner = changed[KEY][key]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        inner[data.draw(st.sampled_from(sorted(inner)))] = value
    else:
        changed[KEY][key] = value
    try:
        recording_of(changed).document()
    except DocumentError as error:
        assert 'recording' in str(error)


def test_other_files_are_no_recordings(tmp_path):
    assert not is_recording({'format': 1, 'cohorts': []}) and not is_recording([])
    with pytest.raises(RecordingError, match='cannot be read'):
        read_recording(tmp_path / 'none.json')
