"""The service by which a model is loaded again, or another one, while the executor runs."""

from __future__ import annotations

from s3dnn_ros.base.content import full_path
from s3dnn_ros.errors import ParameterError, S3dnnError
from s3dnn_ros.nodes.deferred_service import DeferredService
from s3dnn_ros.nodes.guarded import sentence_of
from s3dnn_ros.srv import ReloadModel


class ModelService:
    """`~/reload_model` of an executor; answers when the new network serves, or cannot.

    Parameters
    ----------
    node : ExecutorNode
    change : ModelChange

    """

    def __init__(self, node, change):
        self._node = node
        self._change = change
        self._service = DeferredService(
            node.create_service(ReloadModel, '~/reload_model', self._on_request))

    def _on_request(self, request, response):
        try:
            self._begin(request, response)
        except S3dnnError as error:
            response.message = str(error)
        else:
            self._service.defer(response)
        return response

    def _begin(self, request, response):
        name, settings = request.instance, self._node.settings
        if name not in settings.instances:
            raise ParameterError('instance_names', list(settings.instances),
                                 f"'{name}' is not among them")
        changes = {f'instances.{name}.model': (_absolute(request.model)
                                               or settings.instances[name].model)}
        names = self._change.begin([name], self._node.changed(changes), changes,
                                   lambda error: self._answer(response, name, names, error))

    def _answer(self, response, name, names, error):
        if error is None:
            response.success, response.message = True, (
                f"model '{self._node.settings.instances[name].model}' is loaded and runs for "
                + ', '.join(names))
        else:
            response.message = f"instance '{name}' keeps its model: {sentence_of(error)}"
        log = self._node.get_logger()
        (log.info if response.success else log.warning)(response.message)
        self._service.answer(response)


def _absolute(model):
    """Return a model's name, or its path from the root: nodes may have other folders."""
    if not model.endswith(('.yaml', '.yml')):
        return model
    return str(full_path(model).absolute())
