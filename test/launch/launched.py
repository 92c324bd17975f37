"""What the launch tests share: a parameter file with all it names, and a listener."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import cv2
import rclpy
import yaml
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from tiny import mark_of, write_models

# Processes start slowly while others use the machine.
PATIENCE_S = 60.0
CAMERAS = ('front', 'rear')
# what each camera shows
MARKS = {name: mark_of(index) for index, name in enumerate(CAMERAS)}
# removed when the tests end
_directories = []


def make_parameters(instance, **changes):
    """Return the path of a parameter file: two simulated cameras and a tiny network."""
    _directories.append(tempfile.TemporaryDirectory(prefix='s3dnn_launch_'))
    directory = Path(_directories[-1].name)
    write_models(directory)
    for name, mark in MARKS.items():
        cv2.imwrite(str(directory / f'{name}.png'), mark.image())
    values = {
        'camera_names': list(CAMERAS),
        'cameras': {'front': {'transport': 'raw'}, 'rear': {'transport': 'compressed'}},
        'sources': {'front': {'file': str(directory / 'front.png'), 'encoding': 'bgr8'},
                    'rear': {'file': str(directory / 'rear.png'), 'encoding': 'png'}},
        'instance_names': [instance],
        'instances': {instance: {'model': 'cells'}},
        'model_directories': [str(directory)],
        'engine_threads': 1,
        'fps': 5.0,
    }
    values.update(changes)
    path = directory / 'parameters.yaml'
    path.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
    return path


def include(file, **arguments):
    """Return the action that starts one of the package's launch files."""
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution(
            [FindPackageShare('s3dnn_ros'), 'launch', file])),
        launch_arguments=[(name, str(value)) for name, value in arguments.items()])


@contextlib.contextmanager
def listener(namespace):
    """Give a function that waits for a message on each topic: hear(kind, topics, profile)."""
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('listener', context=context, namespace=namespace)
    spinner = SingleThreadedExecutor(context=context)
    spinner.add_node(node)

    def hear(kind, topics, profile):
        heard = {}
        subscriptions = [
            node.create_subscription(
                kind, topic, lambda msg, topic=topic: heard.setdefault(topic, msg), profile)
            for topic in topics]
        end_s = time.monotonic() + PATIENCE_S
        while len(heard) < len(topics):
            assert time.monotonic() < end_s, \
                f'nothing in {PATIENCE_S} s from {sorted(set(topics) - set(heard))}'
            spinner.spin_once(timeout_sec=0.1)
        for subscription in subscriptions:
            node.destroy_subscription(subscription)
        return [heard[topic] for topic in topics]

    try:
        yield hear
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
