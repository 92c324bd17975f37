"""Starts the pipeline: cameras in, detections out."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, SetParameter
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    # 1. Arguments
    arguments = [
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution(
                [FindPackageShare('s3dnn_ros'), 'config', 's3dnn.yaml']),
            description='Cameras, networks and all other parameters.'),
        DeclareLaunchArgument(
            'namespace', default_value='s3dnn', description='Namespace of all nodes and results.'),
        DeclareLaunchArgument(
            'engine', default_value='auto', description='Inference engine.'),
        DeclareLaunchArgument(
            'composed', default_value='false',
            description='Governor and executor in one process; frames cross as references.'),
        DeclareLaunchArgument(
            'replay', default_value='false',
            description='Start simulated cameras too (their files are in params_file).'),
        DeclareLaunchArgument(
            'monitor', default_value='false', description='Show the live table.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', description='Use the time of /clock.'),
        DeclareLaunchArgument('log_level', default_value='info', description='Least log level.'),
    ]
    composed = LaunchConfiguration('composed')

    # 2. Nodes
    def node(executable, condition):
        return Node(
            package='s3dnn_ros', executable=executable, condition=condition,
            namespace=LaunchConfiguration('namespace'),
            parameters=[LaunchConfiguration('params_file'),
                        {'engine': LaunchConfiguration('engine')}],
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
            output='screen', emulate_tty=True)

    # 3. What runs
    return LaunchDescription([
        *arguments,
        SetParameter('use_sim_time', LaunchConfiguration('use_sim_time')),
        node('executor', UnlessCondition(composed)),
        node('governor', UnlessCondition(composed)),
        node('pipeline', IfCondition(composed)),
        node('replay', IfCondition(LaunchConfiguration('replay'))),
        node('monitor', IfCondition(LaunchConfiguration('monitor'))),
    ])
