"""Starts simulated cameras alone: recorded images, published as cameras would."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, SetParameter
from launch_ros.descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

from s3dnn_ros.middleware import image_environment


def generate_launch_description():
    # 1. Arguments
    arguments = [
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution(
                [FindPackageShare('s3dnn_ros'), 'config', 'demo.yaml']),
            description='Cameras, their files and their rate (fps).'),
        DeclareLaunchArgument(
            'namespace', default_value='s3dnn',
            description='Namespace of the node and relative camera topics.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', description='Use the time of /clock.'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='Least level to log: debug, info, warn, error or fatal.'),
    ]

    # 2. What runs
    return LaunchDescription([
        *arguments,
        SetParameter('use_sim_time', LaunchConfiguration('use_sim_time')),
        Node(package='s3dnn_ros', executable='replay',
             namespace=LaunchConfiguration('namespace'),
             parameters=[ParameterFile(LaunchConfiguration('params_file'), allow_substs=True)],
             arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
             additional_env=image_environment(), output='screen', emulate_tty=True),
    ])
