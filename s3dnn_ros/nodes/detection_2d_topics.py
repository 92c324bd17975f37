"""The topics that carry results as vision_msgs/Detection2DArray.

`detections_2d/CAMERA/INSTANCE` carries the results of one instance. `detections_2d/CAMERA` carries
those of one instance as well, of the first in `instance_names` that watches the camera: standard
nodes that read it, as trackers, take all its boxes for those of one network. An instance that is
added behind it changes nothing for them.
"""

from __future__ import annotations

import threading

from s3dnn_ros.nodes.messages import detection_2d_array


class Detection2DTopics:
    """Publishes results of all instances of an executor; any thread may call it.

    Parameters
    ----------
    create : callable
        Returns the publisher of a topic.
    destroy : callable
        Takes it back.
    instances : iterable of str
        All instances, the one that comes first for `detections_2d/CAMERA` first.

    """

    def __init__(self, create, destroy, instances):
        self._create = create
        self._destroy = destroy
        self._instances = list(instances)
        self._publishers = {}
        self._watching = {}     # the instances of each camera
        self._lock = threading.Lock()

    def open(self, camera):
        """Create the topic of a camera before its first frame."""
        with self._lock:
            self._publisher(camera)

    def watch(self, camera, instance):
        """Take note that an instance gets a camera's frames; one of another node is ignored."""
        if instance not in self._instances:
            return
        with self._lock:
            self._watching.setdefault(camera, set()).add(instance)
            self._publisher(camera)
            self._publisher(f'{camera}/{instance}')

    def publish(self, result):
        """Publish a FrameResult of an instance and a camera that were told to `watch`."""
        camera, instance = result.frame.camera, result.instance
        with self._lock:
            publishers = [self._publisher(f'{camera}/{instance}')]
            if instance == min(self._watching[camera], key=self._instances.index):
                publishers.append(self._publisher(camera))
        publishers = [publisher for publisher in publishers if publisher.get_subscription_count()]
        if publishers:
            array = detection_2d_array(result)
            for publisher in publishers:
                publisher.publish(array)

    def close(self):
        """Take all publishers back."""
        with self._lock:
            for publisher in self._publishers.values():
                self._destroy(publisher)
            self._publishers = {}

    def _publisher(self, name):
        if name not in self._publishers:
            self._publishers[name] = self._create(f'detections_2d/{name}')
        return self._publishers[name]
