"""The governor: camera topics in, batches out."""

from __future__ import annotations

import concurrent.futures
import functools
import secrets
import sys

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMsg

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.counters import Counters
from s3dnn_ros.errors import ImageError, MessageError, S3dnnError
from s3dnn_ros.governor.batch import Image
from s3dnn_ros.governor.governor import Governor, slot_size
from s3dnn_ros.governor.opening import Opening
from s3dnn_ros.governor.outlook import Outlook
from s3dnn_ros.governor.rates import Rates, loss_sentence
from s3dnn_ros.middleware import image_export
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.msg import Cameras, Capacity, StageStats
from s3dnn_ros.nodes.alarm import Alarm
from s3dnn_ros.nodes.camera_services import CameraServices
from s3dnn_ros.nodes.image_opener import open_image
from s3dnn_ros.nodes.image_topics import subscribe_to_images
from s3dnn_ros.nodes.messages import cameras_msg, capacity_of, diagnostic, stage_stats
from s3dnn_ros.nodes.node import S3dnnNode
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.nodes.routes import make_route
from s3dnn_ros.nodes.running import run
from s3dnn_ros.nodes.topic_watch import TopicWatch
from s3dnn_ros.profiling.find import find_table
from s3dnn_ros.topics import COMPRESSED, IMAGE, Reading

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:
    # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError


class GovernorNode(S3dnnNode):
    """Subscribes to cameras and hands batches to an executor.

    With an `executor` node in the same process, batches are handed over as
    references; otherwise they are published.
    """

    def __init__(self, executor=None, **options):
        super().__init__('governor', **options)
        self._executor = executor
        self._governor = None
        self._active = False
        self._cameras = {}      # subscriptions by name
        self._cameras_told = None
        self._rates = {}
        self._lossy = set()     # cameras whose losses were told
        self._routes = {}       # by instance
        self._models = {}       # by instance: what executors told last, parameter and description
        self._stats = None
        self._alarm = None
        self._opener = None             # of compressed images, in a thread of its own
        self._capacities = None         # the subscription to those of other processes
        self._heeded = None             # what the executor in this process told last
        self._camera_services = CameraServices(self)
        self._topic_watch = TopicWatch(self, self._readings)

    def start(self, settings):
        """Load the models' descriptions, make the memory, create the publishers."""
        specs = {name: load_spec(instance.model, settings.model_directories)
                 for name, instance in settings.instances.items()}
        self._models = {name: (settings.instances[name].model, spec.fingerprint)
                        for name, spec in specs.items()}
        times_s = self._times_s(settings, specs)
        for name, spec in specs.items():
            self._routes[name] = make_route(self, self._executor, name, settings,
                                            slot_size(settings, name, spec))
        self._counters = Counters()
        self._epoch = secrets.randbits(63)
        pools = {name: route.pool for name, route in self._routes.items()}
        self._alarm = Alarm(self, self._pump)
        self._opener = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-opener')
        self._governor = Governor(settings, specs, pools, self._counters, times_s,
                                  Outlook(self._epoch),
                                  Opening(self._opener, self._alarm.ring))
        for note in self._governor.notes:
            self.get_logger().warning(note)
        if not settings.cameras:
            self.get_logger().warning(
                'there are no cameras: name them in the parameter camera_names, or add them by '
                f'the service {self.get_fully_qualified_name()}/add_camera')
        self._stats = self.create_publisher(StageStats, '~/stats', 10)
        if self._executor is None:
            self._capacities = self.create_subscription(
                Capacity, 'capacity', self._on_capacity, qos('latched', 10))
        else:
            self._heeded = None
            self._executor.on_capacity = self._alarm.ring
        self._cameras_told = self.create_publisher(Cameras, 'cameras', qos('latched', 1))
        self._tell_cameras(settings)

    def apply(self, settings):
        """Take over live parameters, and cameras that come or go."""
        self._governor.configure(settings)
        self._hear(settings)
        if settings.cameras != self.settings.cameras:
            self._tell_cameras(settings)
        # what waits may be due now
        self._pump()

    def activate(self):
        """Subscribe to the cameras."""
        self._active = True
        self._hear(self.settings)

    def deactivate(self):
        """Hear no more of the cameras."""
        self._active = False
        while self._cameras:
            self.destroy_subscription(self._cameras.popitem()[1])

    def stop(self):
        """Free memory and publishers."""
        if self._opener is not None:
            self._opener.shutdown()
            self._opener = None
        if self._governor is not None:
            self._governor.close()
            self._governor = None
        while self._routes:
            self._routes.popitem()[1].close()
        if self._capacities is not None:
            self.destroy_subscription(self._capacities)
            self._capacities = None
        if self._alarm is not None:
            if self._executor is not None:
                self._executor.on_capacity = ignore
            self._alarm.close()
            self._alarm = None
        if self._stats is not None:
            self.destroy_publisher(self._stats)
            self._stats = None
        if self._cameras_told is not None:
            self.destroy_publisher(self._cameras_told)
            self._cameras_told = None

    def camera_report(self, camera, now_s):
        """Return what is wrong with a camera's clock or its way here, and its rates."""
        if camera not in self._rates:
            return '', {}
        rate = self._rates[camera].reading(now_s)
        remarks = [self._topic_watch.remark(camera), self._governor.clock_remark(camera)]
        if rate.is_lossy:
            compressed = self.settings.cameras[camera].transport == 'compressed'
            remarks.append(loss_sentence(camera, rate, '' if compressed else image_export()))
            if camera not in self._lossy:
                self._lossy.add(camera)
                self.get_logger().warning(remarks[-1])
        known = rate.lost is not None
        return '; '.join(filter(None, remarks)), {
            'rate (Hz)': f'{rate.arrived_hz:.1f}',
            'published rate (Hz)': f'{rate.published_hz:.1f}' if known else 'unknown',
            'lost on the way': rate.lost if known else 'unknown'}

    def statuses(self):
        """Return a status for each group and each instance."""
        now_s = self.clock_s.now_s()
        groups, instances = (self._governor.group_remarks(now_s),
                             self._governor.instance_remarks(now_s))
        return [
            *(self._remarked(f'group {name}', name, remark,
                             'moments are complete, or none has come')
              for name, remark in groups.items()),
            *(self._remarked(f'instance {name}', name, remark, 'an executor takes its frames')
              for name, remark in instances.items())]

    def _remarked(self, what, hardware_id, remark, fine):
        return diagnostic(f'{self.get_fully_qualified_name()}: {what}', hardware_id,
                          DiagnosticStatus.WARN if remark else DiagnosticStatus.OK,
                          remark or fine, {})

    def counts(self):
        """Return the cameras' counters."""
        return self._counters.snapshot()

    def publish_stats(self, stamp, counts):
        """Publish them."""
        self._stats.publish(stage_stats(self.get_name(), stamp, counts))

    def _times_s(self, settings, specs):
        times_s = {}
        for name, spec in specs.items():
            # what device it runs on, only the executor knows
            table, reason = find_table(settings.instances[name].profile, spec, settings.engine)
            if table is None:
                sentence = f'learns its times while it runs, as no profile fits ({reason})'
            else:
                times_s[name] = table.time_s
                sentence = f'goes by the profile of {table.engine} on {table.device} ({reason})'
            self.get_logger().info(f"instance '{name}' {sentence}")
        return times_s

    def _tell_cameras(self, settings):
        self._cameras_told.publish(cameras_msg(self.get_fully_qualified_name(), settings.cameras))

    def _hear(self, settings):
        """Subscribe to the cameras in the settings, and to no others."""
        for name in self._cameras.keys() - settings.cameras.keys():
            self.destroy_subscription(self._cameras.pop(name))
        if self._active:
            for name in settings.cameras.keys() - self._cameras.keys():
                self._cameras[name] = self._subscribe(name, settings.cameras[name])

    def _subscribe(self, name, camera):
        compressed = camera.transport == 'compressed'
        on_image = self._on_compressed if compressed else self._on_raw
        subscribe = functools.partial(
            subscribe_to_images, self, CompressedImage if compressed else ImageMsg,
            camera.topic_of(name), functools.partial(self._on_image, name, on_image),
            qos(camera.qos, camera.depth))
        rates = self._rates[name] = Rates(knows_losses=True)
        try:
            return subscribe(event_callbacks=SubscriptionEventCallbacks(
                message_lost=lambda event: rates.lost(event.total_count_change)))
        except UnsupportedEventTypeError:
            self._rates[name] = Rates(knows_losses=False)
            return subscribe()

    def _readings(self):
        """Return what is read from the cameras."""
        return {name: Reading(
            f"camera '{name}'", subscription.topic_name,
            COMPRESSED if self.settings.cameras[name].transport == 'compressed' else IMAGE,
            {kind: f'cameras.{name}.topic to {{topic}} and cameras.{name}.transport to {transport}'
             for kind, transport in ((IMAGE, 'raw'), (COMPRESSED, 'compressed'))})
            for name, subscription in self._cameras.items()}

    def _on_image(self, camera, take, msg, stamp_ns):
        # the events executor may still hold a message of a destroyed subscription
        if camera in self._cameras:
            take(camera, msg, stamp_ns)

    def _on_raw(self, camera, msg, stamp_ns):
        self._rates[camera].arrived()
        now_s = self.clock_s.now_s()
        try:
            pixels = self._opening(camera, msg)()
        except ImageError as error:
            self._refuse(camera, error)
        else:
            self._take(camera, msg, stamp_ns, now_s, lambda: pixels)

    def _on_compressed(self, camera, msg, stamp_ns):
        self._rates[camera].arrived()
        # several instances may want it
        decode = functools.lru_cache(1)(self._opening(camera, msg))
        self._take(camera, msg, stamp_ns, self.clock_s.now_s(), decode, is_slow=True)

    def _opening(self, camera, msg):
        """Return what opens a message, as the camera's settings are now."""
        return functools.partial(open_image, msg, self.settings.cameras[camera],
                                 max_side=self.settings.max_image_side)

    def _refuse(self, camera, error):
        self.complain(f"camera '{camera}': {error}", camera)
        self._governor.refuse(camera, error)

    def _take(self, camera, msg, stamp_ns, now_s, open_pixels, *, is_slow=False):
        stamp_ns = stamp_ns or round(now_s * 1e9)
        self._governor.offer(
            Image(camera, msg.header.frame_id, stamp_ns, now_s, open_pixels, is_slow), now_s)
        self._pump()

    def _on_capacity(self, msg):
        if self._governor is None:
            return
        capacity = capacity_of(msg)
        objection = capacity.objection()
        if objection:
            raise MessageError(objection)
        self._heed(capacity, self.clock_s.now_s())
        self._pump()

    def _heed(self, capacity, told_s):
        for item in capacity.instances:
            self._follow_model(item)
        self._governor.tell(capacity, told_s)

    def _follow_model(self, item):
        """Prepare frames for the model that an executor runs, whatever ours was."""
        name, told = item.instance, (item.model, item.description)
        if not item.model or self._models.get(name, told) == told:
            return
        self._models[name] = told       # where it cannot be followed, this is said once
        try:
            spec = load_spec(item.model, self.settings.model_directories)
        except S3dnnError as error:
            self.complain(f"instance '{name}' runs another model now, which is not known here, so "
                          f'that its frames will be refused: {error}', f'model of {name}')
            return
        self._governor.change_model(name, spec)
        self.change({f'instances.{name}.model': item.model})
        self.get_logger().info(f"instance '{name}': frames are prepared for model '{spec.name}'")

    def _pump(self):
        if self._executor is not None and self._executor.told is not self._heeded:
            # as a message it would wait behind the images that came before it
            self._heeded = self._executor.told
            self._heed(*self._heeded)
        now_s = self.clock_s.now_s()
        for batch in self._governor.poll(now_s, self._listening):
            self._send(batch)
        for sentence in self._governor.news():
            self.get_logger().warning(sentence)
        self._alarm.set(self._governor.next_wake_s(now_s, self._listening))

    def _listening(self, instance):
        return self._routes[instance].is_open

    def _send(self, batch):
        sent_s = self.clock_s.now_s()
        self._routes[batch.instance].send(batch, self._epoch, sent_s)
        self._governor.sent(batch, sent_s)


def main():
    """Run the governor alone."""
    return sys.exit(run(lambda *_: GovernorNode()))
