"""No hostile input ends in a trace, hangs or takes much memory; one that would is told."""

import concurrent.futures
import json
import os
import random
import re
import signal

import pytest

from s3dnn_ros.base.clock import SystemClock, VirtualClock
from s3dnn_ros.cli import main
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.fuzz import watch
from s3dnn_ros.fuzz.run import faults_of, report, run
from s3dnn_ros.fuzz.watch import HANG, KINDS, MEMORY, REFUSED, TAKEN, TRACE, Watch, _outcome

pytest.importorskip('onnx')
# About ten seconds of one core.
INPUTS = 1900
SEED = 19


def test_no_hostile_input_is_a_fault():
    names = list(KINDS)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        # each of the two waits for a process of its own
        halves = list(pool.map(lambda kinds: run(SystemClock(), seed=SEED, inputs=INPUTS // 2,
                                                 kinds=kinds), (names[::2], names[1::2])))
    assert all(faults_of(half) == 0 for half in halves), [half['faults'] for half in halves]
    rows = [row for half in halves for row in half['kinds'].values()]
    assert sum(row['inputs'] for row in rows) == INPUTS
    # mutations that are all refused at the door, or all harmless, would try nothing
    ends = [sum(row[end] for row in rows) for end in (TAKEN, REFUSED)]
    assert min(ends) > INPUTS / 10


@pytest.mark.parametrize('name', KINDS)
def test_inputs_are_the_same_for_the_same_seed(name, tmp_path):
    if name == 'bag':
        pytest.importorskip('rosbags')
    kind = KINDS[name](tmp_path)
    for number in range(5):
        first, second = (kind.make(random.Random(number)) for _ in range(2))
        assert repr(first) == repr(second)


class Using:
    """A kind whose use is a function."""

    def __init__(self, use):
        self.use = use


def fail(_):
    raise KeyError('x')


def refuse(_):
    raise ModelError('net.yaml', 'is broken')


def much(_):
    return len(bytearray(b'x') * 50_000_000)


def more(_):
    # what was freed may have stayed in the process
    return len(bytearray(b'x') * 150_000_000)


def ended(use):
    return _outcome(Using(use), None)


def test_what_is_taken_and_what_is_refused_is_no_fault():
    assert ended(repr).end == TAKEN
    assert (ended(refuse).end, ended(refuse).words) == (REFUSED, 'net.yaml: is broken')


def test_a_trace_is_told_with_its_place():
    outcome = ended(fail)
    assert outcome.end == TRACE and 'KeyError' in outcome.words


@pytest.mark.parametrize('words', ['x' * 3000, 'a\0b', '\x1b[2J'])
def test_a_sentence_that_nobody_reads_is_a_fault(words, monkeypatch):
    monkeypatch.setattr(ModelError, '__str__', lambda error: words)
    assert ended(refuse).end == TRACE


def test_what_takes_long_or_much_memory_is_a_fault(monkeypatch):
    monkeypatch.setattr(watch, 'HANG_S', -1.0)
    assert ended(refuse).end == HANG
    monkeypatch.setattr(watch, 'HANG_S', 100.0)
    assert ended(much).end == TAKEN
    monkeypatch.setattr(watch, 'MOST_MB', 10.0)
    assert ended(more).end == MEMORY


def test_a_process_that_hangs_or_dies_is_replaced(monkeypatch):
    hostile = Watch(['raw image'], SEED)
    try:
        expected = hostile.use('raw image', 0)
        with monkeypatch.context() as patch:
            patch.setattr(watch, 'GIVEN_UP_S', 0.01)
            # it cannot answer, however quick it is
            os.kill(hostile._process.pid, signal.SIGSTOP)
            assert hostile.use('raw image', 0).end == HANG
        hostile._process.kill()
        hostile._process.join()
        died = hostile.use('raw image', 0)
        assert (died.end, died.words) == (TRACE, 'the process ended with SIGKILL')
        assert hostile.use('raw image', 0).words == expected.words
    finally:
        hostile.close()


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match='known are model YAML'):
        run(VirtualClock(), kinds=['smells'])


def test_a_fault_is_kept_and_counted(monkeypatch):
    monkeypatch.setattr(Watch, 'use', lambda *_: watch.Outcome(TRACE, 'KeyError', 0.5, 3.0))
    results = run(VirtualClock(), inputs=30, kinds=['labels'])
    assert faults_of(results) == 30 and len(results['faults']) == 20
    assert results['faults'][1] == {'kind': 'labels', 'number': 1, 'end': TRACE,
                                    'words': 'KeyError'}
    assert '| all | 30 | 0 | 0 | 30 | 0 | 0 | 0.50 | 3 |' in list(report(results))


@pytest.mark.parametrize('fault, code', [(False, 0), (True, 1)])
def test_the_command_prints_a_table_and_tells_of_faults(tmp_path, capsys, monkeypatch, fault,
                                                        code):
    if fault:
        monkeypatch.setattr(Watch, 'use', lambda *_: watch.Outcome(TRACE, 'KeyError'))
    out = tmp_path / 'fuzz.json'
    assert main(['fuzz', '--inputs', '4', '--kinds', 'labels', 'raw image', '--out',
                 str(out)]) == code
    printed = capsys.readouterr().out
    assert re.search(r'^\| labels \| 2 \|', printed, re.M)
    kept = json.loads(out.read_text())
    assert kept['kinds']['labels']['inputs'] == 2 and 'commit' in kept['environment']
