"""Recorded images, published as cameras would publish them."""

from __future__ import annotations

import sys

from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMsg

from s3dnn_ros.counters import Counters
from s3dnn_ros.images.media import SimulatedCamera, open_media
from s3dnn_ros.models.assets import asset_path
from s3dnn_ros.msg import StageStats
from s3dnn_ros.nodes.alarm import Alarm
from s3dnn_ros.nodes.messages import stage_stats
from s3dnn_ros.nodes.node import S3dnnNode
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.nodes.running import run

LOOK_S = 0.1
ASSET = 'asset:'


class ReplayNode(S3dnnNode):
    """Simulated cameras: one topic each, each with its rate and its phase."""

    def __init__(self, **options):
        super().__init__('replay', **options)
        self._publishers_of = {}
        self._media = {}
        self._alarm = None
        self._due_s = {}
        self._started_s = None
        self._finished = False
        self._stats = None

    def start(self, settings):
        """Open the files and create the publishers."""
        self._media = {
            name: SimulatedCamera(
                open_media(_path_of(source.file), motion=source.motion,
                           start_s=source.time_shift_s),
                source.encoding, source.width, source.height)
            for name, source in settings.sources.items()}
        self._publishers_of = {
            name: self.create_publisher(
                CompressedImage if camera.transport == 'compressed' else ImageMsg,
                camera.topic_of(name), qos(camera.qos, camera.depth))
            for name, camera in settings.cameras.items()}
        self._stats = self.create_publisher(StageStats, '~/stats', 10)
        self._counters = Counters((name, '') for name in settings.sources)

    def activate(self):
        """Wait for subscribers, then start the cameras."""
        self._waiting_since_s = self.clock_s.now_s()
        self._finished = False
        self._alarm = Alarm(self, self._tick)
        self._alarm.set(self._waiting_since_s)

    def deactivate(self):
        """Stop the cameras."""
        if self._alarm is not None:
            self._alarm.close()
        self._alarm = self._started_s = None

    def stop(self):
        """Close files and topics."""
        for publisher in self._publishers_of.values():
            self.destroy_publisher(publisher)
        if self._stats is not None:
            self.destroy_publisher(self._stats)
            self._stats = None
        self._publishers_of, self._media = {}, {}

    def counts(self):
        """Return the cameras' counters."""
        return self._counters.snapshot()

    def publish_stats(self, stamp, counts):
        """Publish them."""
        self._stats.publish(stage_stats(self.get_name(), stamp, counts, self._finished))

    def _tick(self):
        if self._started_s is None and not self._start_cameras():
            self._alarm.set(self.clock_s.now_s() + LOOK_S)
            return
        for name, due_s in self._due_s.items():
            now_s = self.clock_s.now_s()
            if now_s >= due_s:
                # a camera that fell behind leaves shots out; it never hurries after them
                fps = self.settings.fps_of(name)
                periods = 1 + int((now_s - due_s) * fps)
                self._due_s[name] = due_s + periods / fps
                self._shoot(name)
        if not self._finished:
            self._alarm.set(min(self._due_s.values()))

    def _start_cameras(self):
        """Start if every topic has a subscriber or has waited long enough."""
        now_s = self.clock_s.now_s()
        heard = all(publisher.get_subscription_count()
                    for publisher in self._publishers_of.values())
        if not heard and now_s - self._waiting_since_s < self.settings.wait_for_subscribers_s:
            return False
        self.get_logger().info('the cameras start' if heard else
                               'the cameras start, although not every topic has a subscriber')
        self._started_s = now_s + self.settings.delay_s
        self._due_s = {name: self._started_s + source.phase_ms / 1e3
                       for name, source in self.settings.sources.items()}
        return True

    def _shoot(self, name):
        time_s = self.clock_s.now_s() - self._started_s
        if self.settings.duration_s and time_s >= self.settings.duration_s:
            self._finished = True
            return
        shot = self._media[name].shoot(time_s)
        msg = CompressedImage(format=shot.encoding) if shot.step == 0 else ImageMsg(
            height=shot.height, width=shot.width, encoding=shot.encoding, step=shot.step)
        msg.header.frame_id = f'{name}_optical_frame'
        msg.data.frombytes(shot.data)
        stamp = self.get_clock().now()
        msg.header.stamp = stamp.to_msg()
        self._counters.arrived(name)
        self._publishers_of[name].publish(msg)
        self._counters.published(name, latency_s=self.clock_s.now_s() - stamp.nanoseconds * 1e-9)


def _path_of(file):
    return asset_path(file[len(ASSET):]) if file.startswith(ASSET) else file


def main():
    """Run the replay node."""
    return sys.exit(run(lambda *_: ReplayNode()))
