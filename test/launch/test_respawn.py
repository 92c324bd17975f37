"""A node that is killed starts again by itself; one that cannot work stays ended."""

import os
import signal

import pytest

pytest.importorskip('launch_ros', reason='launch_ros is not here')

from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events import Shutdown
from launched import include, make_parameters

from s3dnn_ros.respawn import UNUSABLE

pytestmark = pytest.mark.ros

NAMESPACE = f'respawned_{os.getpid()}'
INSTANCE = f'detector_{os.getpid()}'
KILLS = 2


class Watch:
    """Launches a file, kills a node each time that it is ready, and keeps what ended how."""

    def __init__(self, file, kills=0, **arguments):
        self.exits = []
        self.commands = []
        self._kills = kills
        service = LaunchService(noninteractive=True)
        service.include_launch_description(LaunchDescription([
            RegisterEventHandler(OnProcessIO(on_stdout=self._read, on_stderr=self._read)),
            RegisterEventHandler(OnProcessExit(on_exit=self._ended)),
            include(file, namespace=NAMESPACE, **arguments),
        ]))
        # it returns once all have ended and none is to be started again
        self.status = service.run()

    def _read(self, event):
        if b'ready: ' not in event.text:
            return None
        self.commands.append(event.cmd)
        if len(self.commands) > self._kills:
            return EmitEvent(event=Shutdown())
        os.kill(event.pid, signal.SIGKILL)
        return None

    def _ended(self, event, _):
        self.exits.append((event.process_name.rpartition('-')[0], event.returncode))


def test_a_killed_node_starts_again_as_it_was():
    watch = Watch('s3dnn.launch.py', KILLS, composed=True, params_file=make_parameters(INSTANCE))
    assert watch.exits == [('pipeline', -signal.SIGKILL)] * KILLS + [('pipeline', 0)]
    assert len(watch.commands) == KILLS + 1
    assert all(command == watch.commands[0] for command in watch.commands)


def test_what_cannot_work_is_started_once():
    parameters = make_parameters(INSTANCE, instances={INSTANCE: {'model': 'resnet_9000'}})
    watch = Watch('s3dnn.launch.py', params_file=parameters)
    assert sorted(watch.exits) == [('executor', UNUSABLE), ('governor', UNUSABLE)]


def test_each_executor_of_a_cohort_ends_or_returns_on_its_own():
    parameters = make_parameters(INSTANCE, instances={INSTANCE: {'model': 'resnet_9000'}})
    watch = Watch('cohort.launch.py', params_file=parameters, executors='one,two')
    assert sorted(watch.exits) == [('executor', UNUSABLE)] * 2 + [('governor', UNUSABLE)]


def test_without_respawn_a_killed_node_stays_ended():
    watch = Watch('s3dnn.launch.py', 1, composed=True, respawn=False,
                  params_file=make_parameters(INSTANCE))
    assert watch.exits == [('pipeline', -signal.SIGKILL)]
