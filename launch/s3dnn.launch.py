"""Starts the pipeline: cameras in, detections out."""

import shutil

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, SetParameter
from launch_ros.descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

from s3dnn_ros.engines.base import ENGINES, UNITS
from s3dnn_ros.middleware import image_environment
from s3dnn_ros.nodes.launching import Respawn
from s3dnn_ros.settings import GovernorSettings

# what launch writes before each line: "[monitor-4] "
PREFIX = 12


def generate_launch_description():
    # 1. Arguments
    arguments = [
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution(
                [FindPackageShare('s3dnn_ros'), 'config', 's3dnn.yaml']),
            description='Cameras, networks and all other parameters, of all nodes.'),
        DeclareLaunchArgument(
            'namespace', default_value='s3dnn',
            description='Namespace of the nodes, their results and relative camera topics.'),
        DeclareLaunchArgument(
            'engine', default_value='', choices=['', 'auto', *ENGINES, UNITS],
            description='Inference engine, whatever params_file says. Empty: what it says.'),
        DeclareLaunchArgument(
            'preset', default_value='', choices=['', 'none', *GovernorSettings.PRESETS],
            description='Defaults of several parameters at once; what params_file sets stays. '
                        'Empty: the preset of params_file.'),
        DeclareLaunchArgument(
            'composed', default_value='false',
            description='Governor and executor in one process; frames cross as references.'),
        DeclareLaunchArgument(
            'respawn', default_value='true',
            description='Start governor, executor and locator again when they end, except with '
                        'parameters that cannot work.'),
        DeclareLaunchArgument(
            'replay', default_value='false',
            description='Start simulated cameras too; their files are in params_file.'),
        DeclareLaunchArgument(
            'locator', default_value='false',
            description='Publish how far away detections are, on located/CAMERA; the depth '
                        'topics are in params_file.'),
        DeclareLaunchArgument(
            'monitor', default_value='false',
            description='Show a table of what every camera gets.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', description='Use the time of /clock.'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='Least level to log: debug, info, warn, error or fatal.'),
    ]
    composed = LaunchConfiguration('composed')
    respawn = IfCondition(LaunchConfiguration('respawn'))
    images = image_environment()
    width = str(shutil.get_terminal_size((120, 24)).columns - PREFIX)

    # 2. What the nodes have in common
    def node(executable, condition=None, overrides=(), **options):
        return Node(
            package='s3dnn_ros', executable=executable, condition=condition,
            namespace=LaunchConfiguration('namespace'),
            parameters=[ParameterFile(LaunchConfiguration('params_file'), allow_substs=True),
                        *overrides],
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
            output='screen', **options)

    # 3. What runs
    def pipeline(context):
        chosen = {name: LaunchConfiguration(name).perform(context)
                  for name in ('engine', 'preset')}
        options = {'overrides': [{name: value} for name, value in chosen.items() if value],
                   'additional_env': images, 'emulate_tty': True}
        names = ['pipeline'] if IfCondition(composed).evaluate(context) else [
            'executor', 'governor']
        if IfCondition(LaunchConfiguration('locator')).evaluate(context):
            names.append('locator')
        return [node(name, on_exit=Respawn() if respawn.evaluate(context) else None, **options)
                for name in names]

    return LaunchDescription([
        *arguments,
        SetParameter('use_sim_time', LaunchConfiguration('use_sim_time')),
        OpaqueFunction(function=pipeline),
        node('replay', IfCondition(LaunchConfiguration('replay')),
             additional_env=images, emulate_tty=True),
        # launch prefixes every line, so no live table: one now and then
        node('monitor', IfCondition(LaunchConfiguration('monitor')),
             additional_env=dict(images, COLUMNS=width)),
    ])
