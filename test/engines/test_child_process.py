"""Work in another process: its results, its errors, and its end."""

import os
import signal

import pytest
from children import behave

from s3dnn_ros.engines.child_process import ChildProcess
from s3dnn_ros.errors import BuildError


@pytest.fixture(scope='module')
def child():
    with ChildProcess(behave) as process:
        yield process


def test_it_returns_what_the_function_returns_from_one_process_that_is_not_ours(child):
    first, second = child.call('one', 'who'), child.call('two', 'who')
    assert first == second != os.getpid()


@pytest.mark.parametrize('how, end', [('crash', signal.SIGSEGV.name), ('exit', 'status 3')])
def test_its_end_is_an_error_with_a_name_and_the_next_call_starts_another(child, how, end):
    before = child.call('one', 'who')
    with pytest.raises(BuildError, match=rf'^net, segment 4: its process ended .{end}.'):
        child.call('net, segment 4', how)
    assert child.call('one', 'who') != before


def test_errors_come_back(child):
    with pytest.raises(BuildError, match=r'^elsewhere: no such layer$'):
        child.call('one', 'refuse')
    with pytest.raises(BuildError, match=r'^one: ZeroDivisionError: division by zero$'):
        child.call('one', 'fail')


def test_it_ends_when_it_is_closed(child):
    number = child.call('one', 'who')
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    child.close()
