"""The service by which a model is loaded again, or another one, while the executor runs."""

from __future__ import annotations

import gc
import queue

from rclpy.clock import Clock, ClockType

from s3dnn_ros.base.content import full_path
from s3dnn_ros.errors import EngineError, ParameterError, S3dnnError
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.nodes.deferred_service import DeferredService
from s3dnn_ros.nodes.guarded import sentence_of
from s3dnn_ros.srv import ReloadModel

# How often the end of a reload is looked for.
LOOK_S = 0.02


class ModelService:
    """`~/reload_model` of an executor; answers when the new network serves, or cannot.

    Parameters
    ----------
    node : ExecutorNode
    runtime : callable
        Returns the Executor that runs; None if nothing is loaded.

    """

    def __init__(self, node, runtime):
        self._node = node
        self._runtime = runtime
        self._service = DeferredService(
            node.create_service(ReloadModel, '~/reload_model', self._on_request))
        self._ended = queue.SimpleQueue()       # the error of the reload under way, or None
        self._timer = None                      # while one is under way

    def _on_request(self, request, response):
        try:
            self._begin(request, response)
        except S3dnnError as error:
            response.message = str(error)
        else:
            self._service.defer(response)
        return response

    def _begin(self, request, response):
        name, settings, runtime = request.instance, self._node.settings, self._runtime()
        if self._timer is not None:
            raise EngineError(name, 'another reload is under way; ask again when it has ended')
        if runtime is None:
            raise EngineError(name, 'nothing is loaded yet: configure the node')
        if name not in settings.instances:
            raise ParameterError('instance_names', list(settings.instances),
                                 f"'{name}' is not among them")
        if settings.cohort.enabled:
            raise ParameterError('cohort', True, 'a cohort decides by what it read of all models '
                                 'at configure: deactivate and clean the node up, set '
                                 f'instances.{name}.model, and configure it again')
        model = _absolute(request.model) or settings.instances[name].model
        spec = load_spec(model, settings.model_directories)
        changes = {f'instances.{name}.model': model}
        # instances of one model share its network
        names = [name, *(other for other, item in settings.instances.items()
                         if other != name and item.model == model)]
        runtime.reload(dict.fromkeys(names, spec), self._node.changed(changes), self._ended.put)
        # in steady time, as simulated time may stand still
        self._timer = self._node.create_timer(
            LOOK_S, lambda: self._look(response, names, changes, runtime),
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _look(self, response, names, changes, runtime):
        if self._timer is None or self._ended.empty():
            return
        self._node.destroy_timer(self._timer)
        self._timer = None
        error = self._ended.get()
        if error is None and self._runtime() is not runtime:
            error = EngineError(names[0], 'the executor was cleaned up meanwhile')
        if error is None:
            self._node.change(changes)
            # as at configure, but that a collection would hold up what runs
            gc.freeze()
            model = self._node.settings.instances[names[0]].model
            response.success, response.message = True, \
                f"model '{model}' is loaded and runs for " + ', '.join(names)
            for note in runtime.notes:
                self._node.get_logger().info(note)
        else:
            response.message = f"instance '{names[0]}' keeps its model: {sentence_of(error)}"
        log = self._node.get_logger()
        (log.info if response.success else log.warning)(response.message)
        self._service.answer(response)


def _absolute(model):
    """Return a model's name, or its path from the root: nodes may have other folders."""
    if not model.endswith(('.yaml', '.yml')):
        return model
    return str(full_path(model).absolute())
