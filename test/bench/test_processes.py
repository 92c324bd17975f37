"""Processes that start, end, die early, or will not end."""

import os
import signal
import stat
import time

import pytest

from s3dnn_ros.bench import processes as module
from s3dnn_ros.bench.processes import ProcessError, Processes, executable

TIMEOUT_S = 20.0


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a shell script as a node."""
    def write(name, script):
        directory = tmp_path / 'lib' / 's3dnn_ros'
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / name
        path.write_text(f'#!/bin/sh\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(['', '/nowhere', str(tmp_path)]))
    return write


@pytest.fixture
def nodes(tmp_path):
    with Processes(tmp_path / 'parameters.yaml', tmp_path, '/here') as made:
        yield made


def wait_for(predicate):
    end_s = time.monotonic() + TIMEOUT_S
    while not predicate():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_command_line_and_the_environment(install, nodes, tmp_path):
    install('talker', 'echo "$@"; echo $ROS_AUTOMATIC_DISCOVERY_RANGE')
    nodes.start('talker')
    assert nodes.wait('talker') == 0
    said = nodes.log_of('talker').read_text()
    assert f'--ros-args --params-file {tmp_path}/parameters.yaml -r __ns:=/here' in said
    assert said.splitlines()[1] in ('LOCALHOST', os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE'))


def test_a_status_is_handed_on(install, nodes):
    install('talker', 'exit 7')
    nodes.start('talker')
    assert nodes.wait('talker') == 7


def test_a_node_that_is_not_installed(install, nodes):
    with pytest.raises(ProcessError, match="'nobody' is not installed; build the package"):
        nodes.start('nobody')


def test_a_node_that_dies_is_named_with_its_last_words(install, nodes):
    install('steady', 'exec sleep 60')
    install('fragile', 'echo "parameter x is wrong" >&2; exit 3')
    nodes.start('steady')
    nodes.start('fragile')
    with pytest.raises(ProcessError) as caught:
        nodes.wait('steady')
    assert 'the fragile ended with status 3' in str(caught.value)
    assert 'parameter x is wrong' in str(caught.value)


def test_a_node_that_does_not_end_in_time_is_named(install, nodes):
    install('steady', 'exec sleep 60')
    nodes.start('steady')
    with pytest.raises(ProcessError, match='the steady has not ended after 0 s'):
        nodes.wait('steady', 0.2)


def test_all_end_with_the_context(install, tmp_path):
    install('steady', 'exec sleep 60')
    with Processes(tmp_path / 'p.yaml', tmp_path) as nodes:
        nodes.start('steady')
        process = nodes._running['steady']
        assert nodes.pid_of('steady') == process.pid
    assert process.poll() == -signal.SIGINT


def test_one_that_will_not_end_is_killed(install, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'PATIENCE_S', 0.1)
    install('stubborn', "trap '' INT TERM; echo ready; while :; do sleep 0.1; done")
    with Processes(tmp_path / 'p.yaml', tmp_path) as nodes:
        nodes.start('stubborn')
        process = nodes._running['stubborn']
        wait_for(lambda: 'ready' in nodes.log_of('stubborn').read_text())
    assert process.poll() == -signal.SIGKILL


def test_where_an_executable_is(install):
    path = install('talker', 'true')
    assert executable('talker') == path
