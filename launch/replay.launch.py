"""Starts simulated cameras alone: recorded images, published as cameras would."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    # 1. Arguments
    arguments = [
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution(
                [FindPackageShare('s3dnn_ros'), 'config', 'demo.yaml']),
            description='Cameras and their files.'),
        DeclareLaunchArgument(
            'namespace', default_value='s3dnn', description='Namespace of the cameras.'),
        DeclareLaunchArgument(
            'fps', default_value='5.0', description='Frames per second of every camera.'),
    ]

    # 2. What runs
    return LaunchDescription([
        *arguments,
        Node(package='s3dnn_ros', executable='replay',
             namespace=LaunchConfiguration('namespace'),
             parameters=[LaunchConfiguration('params_file'), {'fps': LaunchConfiguration('fps')}],
             output='screen'),
    ])
