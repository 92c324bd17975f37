"""Services by which cameras come and go while a governor runs."""

from __future__ import annotations

from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.governor.cameras import addition, removal
from s3dnn_ros.settings import CameraSettings
from s3dnn_ros.srv import AddCamera, RemoveCamera


class CameraServices:
    """`~/add_camera` and `~/remove_camera` of a governor, which lives as long as they do."""

    def __init__(self, node):
        self._node = node
        node.create_service(AddCamera, '~/add_camera', self._add)
        node.create_service(RemoveCamera, '~/remove_camera', self._remove)

    def _add(self, request, response):
        camera = CameraSettings(request.topic, request.transport, request.qos, request.depth,
                                request.max_rate_hz, request.weight,
                                tuple(request.value_range))
        return self._answer(
            response, lambda settings: addition(settings, request.camera, camera, request.group,
                                                request.instances),
            lambda: self._sentence(request.camera))

    def _remove(self, request, response):
        return self._answer(response, lambda settings: removal(settings, request.camera),
                            lambda: f"camera '{request.camera}' is not read any more")

    def _answer(self, response, changes, sentence):
        try:
            self._node.change(changes(self._node.settings))
        except S3dnnError as error:
            response.message = str(error)
        else:
            response.success, response.message = True, sentence()
            self._node.get_logger().info(response.message)
        return response

    def _sentence(self, camera):
        settings = self._node.settings
        watching = [name for name in settings.instances if camera in settings.cameras_of(name)]
        return (f"camera '{camera}' is read from {settings.cameras[camera].topic_of(camera)} and "
                f'watched by {", ".join(watching)}')
