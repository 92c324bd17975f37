"""Starts several executors on one board, and a governor that feeds all of them."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, SetParameter
from launch_ros.descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

from s3dnn_ros.cohort import MODES
from s3dnn_ros.middleware import image_environment
from s3dnn_ros.nodes.launching import Respawn


def generate_launch_description():
    # 1. Arguments
    arguments = [
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution(
                [FindPackageShare('s3dnn_ros'), 'config', 'cohort.yaml']),
            description='Parameters of all nodes, and of each executor under its own name.'),
        DeclareLaunchArgument(
            'executors', default_value='executor_1,executor_2',
            description='Names of the executors, with commas between them.'),
        DeclareLaunchArgument(
            'namespace', default_value='s3dnn',
            description='Namespace of the nodes, their results and relative camera topics.'),
        DeclareLaunchArgument(
            'mode', default_value='', choices=['', *MODES],
            description='What the cohort gives up to be in time, whatever params_file says. '
                        'Empty: what it says.'),
        DeclareLaunchArgument(
            'respawn', default_value='true',
            description='Start nodes again when they end, except with parameters that cannot '
                        'work.'),
        DeclareLaunchArgument(
            'replay', default_value='false',
            description='Start simulated cameras too; their files are in params_file.'),
        DeclareLaunchArgument(
            'locator', default_value='false',
            description='Publish how far away detections are, on located/CAMERA; the depth '
                        'topics are in params_file.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', description='Use the time of /clock.'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='Least level to log: debug, info, warn, error or fatal.'),
    ]

    images = image_environment()

    # 2. What the nodes have in common
    def node(executable, **options):
        overrides = options.pop('overrides', ())
        return Node(
            package='s3dnn_ros', executable=executable,
            namespace=LaunchConfiguration('namespace'),
            parameters=[ParameterFile(LaunchConfiguration('params_file'), allow_substs=True),
                        *overrides],
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
            output='screen', emulate_tty=True, additional_env=images, **options)

    # 3. What runs
    def nodes(context):
        mode = LaunchConfiguration('mode').perform(context)
        names = [name.strip() for name in LaunchConfiguration('executors').perform(context)
                 .split(',') if name.strip()]
        respawn = IfCondition(LaunchConfiguration('respawn')).evaluate(context)
        overrides = [{'cohort': True, **({'cohort_mode': mode} if mode else {})}]

        def started(executable, **options):
            return node(executable, on_exit=Respawn() if respawn else None, **options)

        others = ['governor']
        if IfCondition(LaunchConfiguration('locator')).evaluate(context):
            others.append('locator')
        return [*(started('executor', name=name, overrides=overrides) for name in names),
                *map(started, others)]

    return LaunchDescription([
        *arguments,
        SetParameter('use_sim_time', LaunchConfiguration('use_sim_time')),
        OpaqueFunction(function=nodes),
        node('replay', condition=IfCondition(LaunchConfiguration('replay'))),
    ])
