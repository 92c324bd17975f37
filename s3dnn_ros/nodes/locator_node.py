"""The locator: how far away detections are.

While somebody subscribes, it subscribes to a camera's results, its depth image or point cloud, and
its CameraInfo. It publishes each result again, with the distance and position of each detection.
"""

from __future__ import annotations

import collections
import functools
import sys

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2
from sensor_msgs.msg import Image as ImageMsg

from s3dnn_ros.base.once import OnceLogger
from s3dnn_ros.distance.camera import camera_of
from s3dnn_ros.distance.compressed_depth import open_compressed_depth
from s3dnn_ros.distance.depth_image import open_depth
from s3dnn_ros.distance.pairs import Pairs
from s3dnn_ros.distance.points import UNKNOWN
from s3dnn_ros.distance.trouble import LastingTrouble
from s3dnn_ros.errors import DepthError, ImageError, ParameterError, shown
from s3dnn_ros.msg import Detections
from s3dnn_ros.nodes.alarm import Alarm
from s3dnn_ros.nodes.camera_follower import CameraFollower
from s3dnn_ros.nodes.cloud_opener import open_cloud
from s3dnn_ros.nodes.messages import (
    boxes_of,
    detection_3d_array,
    diagnostic,
    masks_of,
    ns_of,
    set_positions,
)
from s3dnn_ros.nodes.node import S3dnnNode
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.nodes.result_topics import DEPTH, check_messages
from s3dnn_ros.nodes.running import run
from s3dnn_ros.nodes.topic_watch import TopicWatch
from s3dnn_ros.nodes.transforms import Transforms
from s3dnn_ros.topics import CAMERA_INFO, CLOUD, COMPRESSED, IMAGE, Reading

# How often subscribers are looked for.
LOOK_S = 0.5
# At the start, depths, CameraInfo and transforms come when they come.
PATIENCE_S = 2.0
# How depths are opened, by the type of their message.
_NAMES = {ImageMsg: IMAGE, CompressedImage: COMPRESSED, PointCloud2: CLOUD}
_OPENERS = {ImageMsg: open_depth, CompressedImage: open_compressed_depth, PointCloud2: open_cloud}


def _kind_of(settings):
    """Return the type of the messages on a camera's topic of depths."""
    if settings.is_compressed:
        return CompressedImage
    return ImageMsg if settings.depth_topic else PointCloud2


class _View:
    """One camera: its topics and, while they are looked at, its results and depths."""

    def __init__(self, name, settings, publisher, publishers_3d):
        self.name = name
        self.settings = settings
        self.publisher = publisher
        self.publishers_3d = publishers_3d      # of vision_msgs, by instance
        self.subscriptions = []
        self.forget()

    def forget(self):
        """Begin anew."""
        self.info = None
        self.pairs = None
        self.trouble = LastingTrouble(PATIENCE_S)
        self.located = 0
        self.without = collections.Counter()    # results, by reason

    @property
    def publishers(self):
        return [self.publisher, *self.publishers_3d.values()]


class LocatorNode(S3dnnNode):
    """Publishes results again, with distances."""

    def __init__(self, **options):
        super().__init__('locator', **options)
        self._views = {}
        self._front_ends = CameraFollower(self)
        self._look_timer = None
        self._alarm = None
        self._transforms = Transforms(self)
        self._once = OnceLogger(self.get_logger())
        self._topic_watch = TopicWatch(self, self._readings)

    def start(self, settings):
        """Create the topics."""
        if settings.cameras and not settings.located:
            raise ParameterError('camera_names', list(settings.cameras), 'none of these cameras '
                                 'has depths; name the cameras.NAME.depth_topic or cloud_topic of '
                                 'one, or leave the locator out')
        check_messages(settings.output)
        self._follow_views(settings)
        self._front_ends.open()

    def apply(self, settings):
        """Take over live parameters, and cameras that come, go or get depths."""
        self._follow_views(settings)
        for view in self._views.values():
            if view.pairs is not None:
                view.pairs.max_skew_s = settings.depth_max_skew_ms / 1e3
                view.pairs.max_wait_s = settings.depth_max_wait_ms / 1e3

    def activate(self):
        """Look for subscribers."""
        self._alarm = Alarm(self, self._serve_all)
        self._look_timer = self.every(LOOK_S, self._look)

    def deactivate(self):
        """Hear no more."""
        if self._look_timer is not None:
            self.destroy_timer(self._look_timer)
            self._alarm.close()
            self._look_timer = self._alarm = None
        for view in self._views.values():
            self._leave_camera(view)
        self._transforms.close()

    def stop(self):
        """Remove the topics."""
        self._front_ends.close()
        for name in list(self._views):
            self._close(self._views.pop(name))

    def statuses(self):
        """Return for every camera whether its results are located."""
        return [diagnostic(
            f'{self.get_fully_qualified_name()}: {view.name}', view.name,
            DiagnosticStatus.WARN if view.trouble.sentence else DiagnosticStatus.OK,
            view.trouble.sentence or ('results are located' if view.subscriptions
                                      else 'nobody subscribes'),
            {'located': view.located, **{f'without distances ({reason})': count
                                         for reason, count in view.without.items()}})
            for view in self._views.values()]

    def _readings(self):
        """Return what is read of the cameras that somebody looks at."""
        readings = {}
        for name, view in self._views.items():
            if not view.subscriptions:
                continue
            info, depths, _ = (item.topic_name for item in view.subscriptions)
            readings[f'{name} info'] = Reading(
                f"camera '{name}'", info, CAMERA_INFO,
                {CAMERA_INFO: f'cameras.{name}.info_topic to {{topic}}'})
            readings[f'{name} depth'] = Reading(
                f"camera '{name}'", depths, _NAMES[_kind_of(view.settings)],
                {kind: f'cameras.{name}.{parameter} to {{topic}} and no {other}'
                 for kind, parameter, other in ((IMAGE, 'depth_topic', 'cloud_topic'),
                                                (COMPRESSED, 'depth_topic', 'cloud_topic'),
                                                (CLOUD, 'cloud_topic', 'depth_topic'))},
                compressed='compressedDepth')
        return readings

    def _follow_views(self, settings):
        """Have a view of each camera that has depths, and of no other."""
        for name in self._views.keys() - settings.located.keys():
            self._close(self._views.pop(name))
        for name, camera in settings.located.items():
            if name not in self._views:
                self._views[name] = self._view(name, settings)
            view = self._views[name]
            if view.settings.sources != camera.sources:
                self._leave_camera(view)    # until it is looked for the next time
            view.settings = camera

    def _view(self, name, settings):
        publishers_3d = {}
        if settings.output == 'both':
            from vision_msgs.msg import Detection3DArray

            publishers_3d = {
                instance: self.create_publisher(
                    Detection3DArray, f'detections_3d/{name}/{instance}', qos('reliable', DEPTH))
                for instance in settings.instance_names}
        return _View(name, settings.cameras[name], self.create_publisher(
            Detections, f'located/{name}', qos('reliable', DEPTH)), publishers_3d)

    def _close(self, view):
        self._leave_camera(view)
        for publisher in view.publishers:
            self.destroy_publisher(publisher)

    def _look(self):
        for view in self._views.values():
            wanted = any(item.get_subscription_count() for item in view.publishers)
            if wanted and not view.subscriptions:
                self._hear(view)
            elif not wanted:
                self._leave_camera(view)

    def _hear(self, view):
        settings = view.settings
        view.pairs = Pairs(self.settings.depth_max_skew_ms / 1e3,
                           self.settings.depth_max_wait_ms / 1e3)
        view.subscriptions = [
            self.create_subscription(kind, topic, functools.partial(callback, view), profile)
            for kind, topic, callback, profile in (
                (CameraInfo, settings.camera_info_topic, self._on_info,
                 qos(settings.depth_qos, 1)),
                (_kind_of(settings), settings.topic, self._on_depth, qos(settings.depth_qos, 5)),
                (Detections, f'detections/{view.name}', self._on_detections,
                 qos('reliable', DEPTH)))]

    def _leave_camera(self, view):
        while view.subscriptions:
            self.destroy_subscription(view.subscriptions.pop())
        view.forget()

    def _on_info(self, view, msg):
        view.info = msg

    def _on_depth(self, view, msg):
        if view.subscriptions:
            view.pairs.add_depth(ns_of(msg.header.stamp), msg)
            self._serve(view)

    def _on_detections(self, view, msg):
        if view.subscriptions:
            view.pairs.add_result(ns_of(msg.header.stamp), msg, self.clock_s.now_s())
            self._serve(view)

    def _serve_all(self):
        for view in self._views.values():
            if view.subscriptions:
                self._serve(view)

    def _serve(self, view):
        """Publish the results that need not wait any longer."""
        for pair in view.pairs.take(self.clock_s.now_s()):
            positions, camera = [UNKNOWN] * len(pair.result.detections), None
            try:
                positions, camera = self._locate(view, pair)
                view.located += 1
                view.trouble.over()
            except (DepthError, ImageError) as error:
                view.without[error.reason] += 1
                if view.trouble.is_new(error.reason, str(error), self.clock_s.now_s()):
                    self.get_logger().warning(
                        f"camera '{view.name}': its results have no distances: {error}")
            set_positions(pair.result, positions)
            self._publish(view, pair.result, camera)
        self._alarm.set(min((item.pairs.due_s for item in self._views.values()
                             if item.pairs is not None and item.pairs.due_s is not None),
                            default=None))

    def _locate(self, view, pair):
        """Return the positions of a pair's detections, and the camera that sees them.

        Raises DepthError or ImageError.
        """
        result, depth, unit_m = pair.result, pair.depth, view.settings.depth_unit_m
        if depth is None:
            raise self._absence(view, pair)
        if view.info is None:
            raise DepthError('info', 'no CameraInfo has come on '
                             f'{view.settings.camera_info_topic}; is cameras.{view.name}.'
                             'info_topic right?')
        size = (result.width, result.height)
        camera = camera_of(view.info)
        frame, image_frame = depth.header.frame_id, result.header.frame_id
        is_there = frame == image_frame or not (frame and image_frame)
        points = _OPENERS[type(depth)](depth, unit_m=unit_m)
        if not is_there:
            if isinstance(depth, PointCloud2):
                points = points.moved(*self._transforms.lookup(image_frame, frame))
            else:
                self._once.warning((view.name, 'frame'), (
                    f"camera '{view.name}': the depth image is in the frame '{frame}', and the "
                    f"image in '{image_frame}'; positions are wrong unless the depth image is "
                    'aligned with the image'))
        positions = points.locate(boxes_of(result), size, camera, self._masks(view, result))
        return positions.tolist(), camera.of_size(*size)

    def _masks(self, view, result):
        masks = masks_of(result)
        for item, mask in zip(result.detections, masks):
            if mask is None and (item.mask or item.mask_width or item.mask_height):
                self._once.warning((view.name, 'mask'), (
                    f"camera '{view.name}': a mask of {shown(result.instance)} is of "
                    f'{item.mask_width}x{item.mask_height} pixels and has {len(item.mask)} bytes, '
                    f'and the image is of {result.width}x{result.height} pixels; the whole box '
                    'counts instead, see who publishes such results'))
        return masks

    def _absence(self, view, pair):
        """Return why a result has no depth, as an error."""
        topic = view.settings.topic
        if pair.skew_s is None:
            kind = 'depth' if view.settings.depth_topic else 'cloud'
            return DepthError('absent', f'nothing has come on {topic}; is cameras.{view.name}.'
                              f'{kind}_topic right, and does its depth_qos fit?')
        return DepthError('skew', f'the depth nearest in time is {abs(pair.skew_s):.3g} s '
                          f'{"older" if pair.skew_s < 0.0 else "newer"} than the image, and '
                          f'depth_max_skew_ms is {1e3 * view.pairs.max_skew_s:g}: let one clock '
                          'stamp both, trigger them together, or raise depth_max_skew_ms')

    def _publish(self, view, result, camera):
        view.publisher.publish(result)
        publisher = view.publishers_3d.get(result.instance)
        if camera is not None and publisher is not None and publisher.get_subscription_count():
            publisher.publish(detection_3d_array(result, camera))


def main():
    """Run the locator."""
    return sys.exit(run(lambda *_: LocatorNode()))
