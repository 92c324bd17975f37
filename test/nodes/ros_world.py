"""Nodes of the package in this process, cameras to feed them, and everything they say."""

from __future__ import annotations

import collections
import time
from pathlib import Path

import rclpy
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from s3dnn_ros.msg import CameraStats, Detections, ExecutorStats, StageStats
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMsg
from tiny import encode, mark_of

from s3dnn_ros.nodes.executor_node import ExecutorNode
from s3dnn_ros.nodes.governor_node import GovernorNode

TIMEOUT_S = 20.0
NS_PER_S = 1_000_000_000
# Frames of one camera are this far apart unless a test says otherwise.
PERIOD_NS = 100_000_000


class World:
    """One namespace: nodes under test, cameras, and an observer that keeps all it hears."""

    def __init__(self, models, tmp_path, number):
        self.models = models
        self.tmp_path = tmp_path
        self.namespace = f'/world_{number}'
        # the instance's name is in the segment's: other tests may run on this machine
        self.instance = f'detector_{number}'
        self.context = rclpy.Context()
        self.results = collections.defaultdict(list)
        self.logs = []
        self.statuses = []
        self.stats = {}
        self.nodes = []
        self._marks = {}
        self._publishers = {}
        self._last_stamp_ns = collections.defaultdict(int)
        self._clients = {}

    def __enter__(self):
        rclpy.init(context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.spinner = _executor(self.context)
        self.observer = rclpy.create_node('observer', context=self.context,
                                          namespace=self.namespace, enable_rosout=False)
        self.spinner.add_node(self.observer)
        rosout = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL,
                            reliability=ReliabilityPolicy.RELIABLE)
        self.listen(Log, '/rosout', self._on_log, rosout)
        self.listen(DiagnosticArray, '/diagnostics',
                    lambda msg: self.statuses.extend(msg.status))
        for name, kind in (('governor', StageStats), ('replay', StageStats),
                           ('executor', ExecutorStats)):
            self.listen(kind, f'{name}/stats',
                        lambda msg, name=name: self.stats.__setitem__(name, msg))
        return self

    def __exit__(self, *_):
        for node in reversed(self.nodes):
            node.destroy_node()
        self.observer.destroy_node()
        self.spinner.shutdown()
        rclpy.shutdown(context=self.context)

    # the nodes

    def parameters(self, names=('front', 'rear'), **changes):
        """Return the nested parameters that all nodes of this world are given."""
        values = {
            'camera_names': list(names),
            'instance_names': [self.instance],
            'instances': {self.instance: {'model': 'cells'}},
            'model_directories': [str(self.models)],
            'stats_period_s': 0.1,
            'engine_threads': 1,
            'warmup_runs': 1,
        }
        _merge(values, changes)
        for name in filter(str.isidentifier, values['camera_names']):
            self.watch(name)
        return values

    def governor(self, values=None, executor=None, start=True, **changes):
        """Return a governor, configured and active unless told otherwise."""
        values = values or self.parameters(**changes)
        return self.add(GovernorNode(executor, **self.options(values)), start)

    def executor(self, values=None, start=True, **changes):
        """Return an executor, configured and active unless told otherwise."""
        return self.add(ExecutorNode(**self.options(values or self.parameters(**changes))), start)

    def system(self, *, composed=False, **changes):
        """Return (governor, executor), both active, with the same parameters."""
        values = self.parameters(**changes)
        executor = self.executor(values)
        return self.governor(values, executor if composed else None), executor

    def options(self, values):
        """Return the keyword arguments of a node with these nested parameters."""
        return {'context': self.context, 'namespace': self.namespace,
                'parameter_overrides': [Parameter(name, value=value)
                                        for name, value in flatten(values).items()]}

    def add(self, node, start=True):
        """Take a node over: it is spun, and destroyed at the end."""
        self.nodes.append(node)
        self.spinner.add_node(node)
        if start:
            assert node.autostart(), self._state()
        return node

    def remove(self, node):
        """Destroy a node now."""
        self.nodes.remove(node)
        self.spinner.remove_node(node)
        node.destroy_node()

    def parameter_file(self, values):
        """Return the path of a parameter file for nodes in processes of their own."""
        path = self.tmp_path / 'parameters.yaml'
        path.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
        return path

    # what they say

    def listen(self, kind, topic, callback, profile=None):
        """Subscribe the observer."""
        return self.observer.create_subscription(
            kind, topic if topic.startswith('/') else f'{self.namespace}/{topic}', callback,
            profile or QoSProfile(depth=200))

    def watch(self, camera):
        """Keep the camera's results from now on."""
        if camera not in self._marks:
            self._marks[camera] = mark_of(len(self._marks))
            self.listen(Detections, f'detections/{camera}', self.results[camera].append)

    def wait_for(self, predicate, what='', timeout_s=TIMEOUT_S):
        """Spin until the predicate holds and return its value; fail with all that was heard."""
        end_s = time.monotonic() + timeout_s
        value = predicate()
        while not value:
            if time.monotonic() > end_s:
                raise AssertionError(f'waited {timeout_s} s in vain for {what or predicate}; '
                                     + self._state())
            self.spinner.spin_once(timeout_sec=0.02)
            value = predicate()
        return value

    def spin_for(self, seconds):
        """Spin for a while: only where the point is that nothing happens."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.spinner.spin_once(timeout_sec=0.02)

    def said(self, *words):
        """Return the first log sentence that has all the words, or None."""
        return next((text for text in self.logs if all(word in text for word in words)), None)

    def diagnosed(self, *words):
        """Return the first diagnostic status that has all the words in its message, or None."""
        return next((status for status in self.statuses
                     if all(word in status.message for word in words)), None)

    def count(self, node, camera, instance=None):
        """Return the newest CameraStats that a node published, zeros if there are none."""
        instance = self.instance if instance is None else instance
        return next((stats for stats in getattr(self.stats.get(node), 'cameras', ())
                     if (stats.camera, stats.instance) == (camera, instance)), CameraStats())

    def dropped(self, node, camera, reason, instance=None):
        """Return how many of a camera's frames a node dropped for this reason, as it says."""
        stats = self.count(node, camera, instance)
        return dict(zip(stats.dropped_reasons, stats.dropped_counts)).get(reason, 0)

    def segments(self, instance=None):
        """Return the names of the shared-memory segments of this world."""
        return sorted(path.name for path in
                      Path('/dev/shm').glob(f's3dnn.governor_{instance or self.instance}.*'))

    def ask(self, kind, service, **fields):
        """Send a request to a service; returns the future of its response."""
        if service not in self._clients:
            self._clients[service] = self.observer.create_client(
                kind, f'{self.namespace}/{service}')
        client = self._clients[service]
        self.wait_for(client.service_is_ready, service)
        return client.call_async(kind.Request(**fields))

    def call(self, kind, service, **fields):
        """Return a service's response."""
        future = self.ask(kind, service, **fields)
        self.wait_for(future.done, f'{service} to answer')
        return future.result()

    def set(self, node, name, value):
        """Set a parameter of a node through its service; returns the SetParametersResult."""
        return self.call(SetParameters, f'{node}/set_parameters', parameters=[
            Parameter(name, value=value).to_parameter_msg()]).results[0]

    def accept(self, node, name, value):
        """Set a parameter; it must be taken."""
        result = self.set(node, name, value)
        assert result.successful, result.reason

    # the cameras

    def mark(self, camera):
        """Return what this camera shows."""
        return self._marks[camera]

    def publisher(self, camera, kind=ImageMsg, *, reliable=True, topic=None):
        """Return the camera's publisher, once the governor hears it."""
        topic = topic or (f'{camera}/image_raw/compressed' if kind is CompressedImage
                          else f'{camera}/image_raw')
        if topic not in self._publishers:
            self._publishers[topic] = self.observer.create_publisher(
                kind, f'{self.namespace}/{topic}',
                QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE if reliable
                           else ReliabilityPolicy.BEST_EFFORT))
        publisher = self._publishers[topic]
        self.wait_for(publisher.get_subscription_count, f'a subscriber of {topic}')
        return publisher

    def next_stamp_ns(self, camera):
        """Return a stamp that is new for this camera: now, or just after its last."""
        return max(time.time_ns(), self._last_stamp_ns[camera] + 1)

    def send(self, camera, image=None, *, stamp_ns=None, encoding='bgr8', **changes):
        """Publish an image; returns its stamp."""
        image = self.mark(camera).image() if image is None else image
        data, step = encode(image, encoding)
        msg = ImageMsg(height=image.shape[0], width=image.shape[1], encoding=encoding, step=step)
        return self._publish(camera, msg, data, stamp_ns, changes)

    def send_compressed(self, camera, data, *, stamp_ns=None, **changes):
        """Publish a compressed image; returns its stamp."""
        return self._publish(camera, CompressedImage(format='jpeg'), data, stamp_ns, changes)

    def _publish(self, camera, msg, data, stamp_ns, changes):
        publisher = self.publisher(camera, type(msg))
        stamp_ns = self.next_stamp_ns(camera) if stamp_ns is None else stamp_ns
        self._last_stamp_ns[camera] = stamp_ns
        msg.header.stamp = time_msg(stamp_ns)
        msg.header.frame_id = f'{camera}_optical'
        msg.data.frombytes(data)
        for name, value in changes.items():
            setattr(msg, name, value)
        publisher.publish(msg)
        return stamp_ns

    def result(self, camera, stamp_ns, instance=None):
        """Wait for and return the Detections of this stamp."""
        return self.wait_for(
            lambda: next((msg for msg in self.results[camera] if ns_of(msg) == stamp_ns
                          and instance in (None, msg.instance)), None),
            f'the result of {camera} at {stamp_ns}')

    def round_trip(self, camera, **options):
        """Send what the camera shows; its result must come and tell just that."""
        msg = self.result(camera, self.send(camera, **options))
        self.check(msg)
        return msg

    def check(self, msg, *, width=64, height=64, tolerance=0.01):
        """Assert that a result of `cells` tells what the camera shows."""
        mark = self.mark(msg.camera)
        assert [item.label for item in msg.detections] == [mark.label], msg
        found = msg.detections[0]
        left, top, right, bottom = mark.box(width, height)
        assert (found.x, found.y, found.width, found.height) == (
            left, top, right - left, bottom - top)
        assert abs(found.score - mark.score) <= tolerance

    def _on_log(self, msg):
        if msg.name.startswith(self.namespace.strip('/')):
            self.logs.append(msg.msg)

    def _state(self):
        counts = {name: [(stats.camera, stats.frames, stats.published,
                          dict(zip(stats.dropped_reasons, stats.dropped_counts)),
                          stats.last_error) for stats in msg.cameras]
                  for name, msg in self.stats.items()}
        return f'counters {counts}; results ' + str(
            {name: len(items) for name, items in self.results.items()}) + f'; logs {self.logs}'


def _executor(context):
    """Return the executor that nodes run on here: Kilted's events executor, or the classic."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


def flatten(values, prefix=''):
    """Return nested parameters with dots in their names."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f'{prefix}{name}.'))
        else:
            flat[prefix + name] = value
    return flat


def _merge(values, changes):
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(name), dict):
            _merge(values[name], value)
        else:
            values[name] = value


def time_msg(stamp_ns):
    """Return a Time message."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def ns_of(msg):
    """Return the stamp of a message with a header, in nanoseconds."""
    return msg.header.stamp.sec * NS_PER_S + msg.header.stamp.nanosec
