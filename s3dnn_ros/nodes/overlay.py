"""The image with boxes in it, drawn only while somebody subscribes.

The executor has the network's input, not the camera's image. So while somebody
looks, the camera's own topic is subscribed to, and each result is drawn into
the image with its stamp, in a thread of its own.
"""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import threading

import numpy as np
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMsg

from s3dnn_ros.errors import ImageError
from s3dnn_ros.images.drawing import Drawn, draw
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.nodes.image_opener import open_image
from s3dnn_ros.nodes.image_topics import subscribe_to_images
from s3dnn_ros.nodes.messages import header_of, label_of
from s3dnn_ros.nodes.qos import qos

# Images kept per camera until their result comes.
KEPT = 10
# How often subscribers are looked for.
LOOK_S = 0.5


class _View:
    """One camera's overlay topic and, while it is looked at, the camera's images."""

    def __init__(self, settings, publisher):
        self.settings = settings
        self.publisher = publisher      # None once the camera is gone
        self.subscription = None
        self.images = collections.OrderedDict()
        self.results = collections.OrderedDict()
        self.last_s = 0.0
        self.is_drawing = False


def _source(camera):
    """Return what a subscription is made of."""
    return camera.topic, camera.transport, camera.qos, camera.depth


class Overlay:
    """Overlay topics of all cameras; lives inside the executor node."""

    def __init__(self, node, settings):
        self._node = node
        self._lock = threading.Lock()
        self._views = {}
        self._drawer = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-overlay')
        self.configure(settings)
        self._timer = node.every(LOOK_S, self._look)

    def configure(self, settings):
        """Take over live parameters, and cameras that come, go or change."""
        for camera, view in list(self._views.items()):
            known = settings.cameras.get(camera)
            if known is None or _source(known) != _source(view.settings):
                self._close(self._views.pop(camera))
            else:
                view.settings = known
        for camera in settings.cameras.keys() - self._views.keys():
            self._views[camera] = _View(settings.cameras[camera], self._node.create_publisher(
                ImageMsg, f'overlay/{camera}', qos('reliable', 2)))
        self._settings = settings

    def show(self, result):
        """Draw a result once its image is here; any thread."""
        view = self._views.get(result.frame.camera)
        if view is None or view.subscription is None:
            return
        with self._lock:
            self._keep(view.results, result.frame.stamp_ns, result)
            pair = self._match(view, result.frame.stamp_ns)
        if pair:
            self._drawer.submit(self._draw, view, *pair)

    def close(self):
        """Remove topics and subscriptions."""
        self._node.destroy_timer(self._timer)
        self._drawer.shutdown()
        while self._views:
            self._close(self._views.popitem()[1])

    def _close(self, view):
        if view.subscription is not None:
            self._node.destroy_subscription(view.subscription)
        with self._lock:
            self._node.destroy_publisher(view.publisher)
            view.publisher = None

    def _look(self):
        for camera, view in self._views.items():
            wanted = self._settings.output.overlay and view.publisher.get_subscription_count() > 0
            if wanted and view.subscription is None:
                view.subscription = self._subscribe(camera, view)
            elif not wanted and view.subscription is not None:
                self._node.destroy_subscription(view.subscription)
                view.subscription = None
                with self._lock:
                    view.images.clear()
                    view.results.clear()

    def _subscribe(self, camera, view):
        settings = view.settings
        kind = CompressedImage if settings.transport == 'compressed' else ImageMsg
        return subscribe_to_images(
            self._node, kind, settings.topic_of(camera),
            functools.partial(self._on_image, camera, view),
            qos(settings.qos, settings.depth))

    def _on_image(self, camera, view, msg, stamp_ns):
        if not stamp_ns:
            self._node.complain(f"camera '{camera}' stamps no image, and nobody else knows when "
                                'it was published (in simulated time, or in Humble), so that its '
                                'overlay shows nothing: have it stamped', f'stamps of {camera}')
            return
        with self._lock:
            self._keep(view.images, stamp_ns, msg)
            pair = self._match(view, stamp_ns)
        if pair:
            self._drawer.submit(self._draw, view, *pair)

    def _keep(self, store, key, value):
        store[key] = value
        while len(store) > KEPT:
            store.popitem(last=False)

    def _match(self, view, stamp_ns):
        """Return (image, result) of this stamp when both are here and it is time to draw."""
        is_ready = view.publisher is not None and not view.is_drawing
        if not is_ready or stamp_ns not in view.images or stamp_ns not in view.results:
            return None
        now_s = self._node.clock_s.now_s()
        # simulated time goes back when a bag begins again
        if 0.0 <= now_s - view.last_s < 0.9 / self._settings.output.overlay_max_rate_hz:
            return None
        view.last_s, view.is_drawing = now_s, True
        return view.images[stamp_ns], view.results.pop(stamp_ns)

    def _draw(self, view, msg, result):
        try:
            self._node.guarded(functools.partial(self._publish, view, msg, result))()
        finally:
            view.is_drawing = False

    def _publish(self, view, msg, result):
        try:
            pixels = open_image(msg, view.settings)
        except ImageError:
            return      # the governor has counted and reported it already
        image = np.empty((pixels.height, pixels.width, 3), np.uint8)
        fit(pixels, image)
        draw(image, [
            Drawn(label_of(result, found.class_id) + (f' #{track}' if track else ''), *found[1:])
            for found, track in zip(result.boxes, result.tracks)])
        out = ImageMsg(header=header_of(result.frame), height=pixels.height, width=pixels.width,
                       encoding='bgr8', step=3 * pixels.width)
        out.data.frombytes(image.tobytes())
        with self._lock:
            if view.publisher is not None:
                view.publisher.publish(out)
