"""What `ros2 launch ... --show-args` tells, and what a wrong argument gets."""

import pytest

pytest.importorskip('launch_ros', reason='launch_ros is not here')

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription, LaunchService
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launched import include

pytestmark = pytest.mark.ros


FILES = ['s3dnn.launch.py', 'replay.launch.py', 'cohort.launch.py']


@pytest.mark.parametrize('file', FILES)
def test_every_argument_is_described_and_has_a_default(file):
    share = get_package_share_directory('s3dnn_ros')
    description = get_launch_description_from_python_launch_file(f'{share}/launch/{file}')
    arguments = description.get_launch_arguments()
    assert arguments[0].name == 'params_file'
    assert 'use_sim_time' in [argument.name for argument in arguments]
    for argument in arguments:
        assert argument.default_value is not None, argument.name
        # launch appends the choices, where there are some
        assert argument.description.split(' Valid choices')[0].endswith('.'), argument.name


@pytest.mark.parametrize('file', FILES)
def test_every_file_takes_simulated_time(file):
    share = get_package_share_directory('s3dnn_ros')
    description = get_launch_description_from_python_launch_file(f'{share}/launch/{file}')
    assert 'use_sim_time' in [argument.name for argument in description.get_launch_arguments()]


@pytest.mark.parametrize('wrong', [{'engine': 'tpu'}, {'preset': 'fast'}], ids=str)
def test_an_unknown_engine_or_preset_starts_nothing(wrong):
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription([include('s3dnn.launch.py', **wrong)]))
    assert service.run() == 1


@pytest.mark.parametrize('content', [None, 'cameras: [front'], ids=['missing', 'not YAML'])
def test_a_parameter_file_that_cannot_be_read_starts_nothing(tmp_path, content):
    path = tmp_path / 'robot.yaml'
    if content is not None:
        path.write_text(content)
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription([include('s3dnn.launch.py', params_file=path)]))
    assert service.run() == 1
