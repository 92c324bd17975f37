"""What an executor did lately is written when it is asked for, while it goes on."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from std_srvs.srv import Trigger

from s3dnn_ros.report.spans import IN_TIME, view
from s3dnn_ros.runtime.recording import read_recording

pytestmark = pytest.mark.ros


def write(world):
    return world.call(Trigger, 'executor/write_recording')


def test_results_are_in_the_recording_that_is_asked_for(world, tmp_path):
    world.system(recording_directory=str(tmp_path / 'kept'))
    for _ in range(3):
        world.result('front', world.send('front'))
    answer = write(world)
    assert answer.success and answer.message.startswith(str(tmp_path / 'kept'))
    recording = read_recording(answer.message)
    assert not recording.run.simulated and recording.run.environment['commit']
    assert set(recording.models) == {world.instance}
    outcomes = view(recording).accounts[world.instance].outcomes
    assert sum(outcomes.values()) == 3 and outcomes[IN_TIME] == 3
    # it goes on
    world.result('front', world.send('front'))
    assert len(read_recording(write(world).message).requests) == 4


def test_a_folder_that_cannot_be_written_is_told(world, tmp_path):
    (tmp_path / 'file').write_text('')
    world.system(recording_directory=str(tmp_path / 'file'))
    answer = write(world)
    assert not answer.success and 'cannot be written' in answer.message


def test_who_has_loaded_nothing_has_nothing_to_write(world):
    world.executor(start=False)
    answer = write(world)
    assert not answer.success and 'configure the node' in answer.message
