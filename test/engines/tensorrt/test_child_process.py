"""Work in another process: its results, its errors, and its end."""

import os
import signal
import subprocess
import sys
import time

import pytest
from children import behave

from s3dnn_ros.engines.tensorrt.child_process import ChildProcess
from s3dnn_ros.errors import BuildError, PassingBuildError, SlowBuildError

# A machine may be slow, and one test waits for its end.
LIMIT_S = 3.0
WAIT_S = 30.0


@pytest.fixture(scope='module')
def child():
    with ChildProcess(behave, LIMIT_S) as process:
        yield process


def test_it_returns_what_the_function_returns_from_one_process_that_is_not_ours(child):
    first, second = child.call('one', 'who'), child.call('two', 'who')
    assert first == second != os.getpid()


@pytest.mark.parametrize('how, end, kind', [
    ('crash', signal.SIGSEGV.name, BuildError), ('exit', 'status 3', BuildError),
    ('killed', signal.SIGKILL.name, PassingBuildError)])
def test_its_end_is_an_error_with_a_name_and_the_next_call_starts_another(child, how, end, kind):
    before = child.call('one', 'who')
    with pytest.raises(BuildError, match=rf'^net, segment 4: its process ended .{end}.') as raised:
        child.call('net, segment 4', how)
    assert raised.type is kind
    assert child.call('one', 'who') != before


def test_what_takes_too_long_is_killed_and_the_next_call_starts_another(child):
    before = child.call('one', 'who')
    with pytest.raises(SlowBuildError, match=r'^net, segment 4: took more than 3 s .*--limit'):
        child.call('net, segment 4', 'hang')
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert child.call('one', 'who') != before


def test_errors_come_back(child):
    with pytest.raises(BuildError, match=r'^elsewhere: no such layer$') as raised:
        child.call('one', 'refuse')
    assert raised.type is BuildError
    with pytest.raises(PassingBuildError, match=r'^elsewhere: memory is full$'):
        child.call('one', 'pass')
    with pytest.raises(PassingBuildError, match=r'^one: ZeroDivisionError: division by zero$'):
        child.call('one', 'fail')


def test_it_ends_when_it_is_closed(child):
    number = child.call('one', 'who')
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    child.close()


def test_it_ends_with_whoever_started_it_though_it_hangs():
    code = ('from children import behave\n'
            'from s3dnn_ros.engines.tensorrt.child_process import ChildProcess\n'
            "child = ChildProcess(behave, 60.0)\nprint(child.call('one', 'who'), flush=True)\n"
            "child.call('two', 'hang')\n")
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, '-c', code], env=environment,
                          stdout=subprocess.PIPE) as starter:
        number = int(starter.stdout.readline())
        starter.kill()
    end_s = time.monotonic() + WAIT_S
    while _lives(number):
        assert time.monotonic() < end_s
        time.sleep(0.01)


def _lives(number):
    try:
        with open(f'/proc/{number}/stat', encoding='utf-8') as file:
            # where nobody waits for orphans, it stays as a zombie
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False
