"""Other models for instances while the executor runs, one change at a time."""

from __future__ import annotations

import gc
import queue
from typing import Any, Callable, Collection, Mapping, Optional, Sequence

from rclpy.clock import Clock, ClockType

from s3dnn_ros.errors import EngineError, ParameterError
from s3dnn_ros.models.spec import load_spec

# How often the end of a change is looked for.
LOOK_S = 0.02


class ModelChange:
    """Has networks loaded beside those that serve; parameters follow once they take over.

    Parameters
    ----------
    node : ExecutorNode
    runtime : callable
        Returns the Executor that runs; None if nothing is loaded.

    """

    def __init__(self, node, runtime):
        self._node = node
        self._runtime = runtime
        self._errors = queue.SimpleQueue()      # of the change under way: None, or why not
        self._timer = None                      # while one is under way

    def begin(self, names: Collection[str], settings, changes: Mapping[str, Any],
              ended: Callable[[Optional[Exception]], None]) -> Sequence[str]:
        """Load the models of instances, all or none; return who gets a network.

        Other instances with one of these models get the same network, too.

        Parameters
        ----------
        names : collection of str
            If there are none, the parameters change soon.
        settings : ExecutorSettings
            They hold from the change on.
        changes : mapping of str to object
            What differs in them from now, by flat name.
        ended : callable
            Called in the node's thread, with None, or with an error if everything stays as it is.

        Raises
        ------
        S3dnnError
            It cannot begin.

        """
        runtime = self._runtime()
        if self._timer is not None:
            raise EngineError('models', 'another reload is under way; ask again when it has ended')
        if runtime is None:
            raise EngineError('models', 'nothing is loaded yet: configure the node')
        if names and settings.cohort.enabled:
            raise ParameterError('cohort', True, 'a cohort decides by what it read of all models '
                                 'at configure: deactivate and clean the node up, change the '
                                 'model, and configure it again')
        models = {settings.instances[name].model for name in names}
        specs = {name: load_spec(item.model, settings.model_directories)
                 for name, item in settings.instances.items() if item.model in models}
        if specs:
            runtime.reload(specs, settings, self._errors.put)
        else:
            self._errors.put(None)
        # in steady time, as simulated time may stand still
        self._timer = self._node.create_timer(
            LOOK_S, lambda: self._look(runtime, changes, ended),
            clock=Clock(clock_type=ClockType.STEADY_TIME))
        return list(specs)

    def _look(self, runtime, changes, ended):
        if self._timer is None or self._errors.empty():
            return
        self._node.destroy_timer(self._timer)
        self._timer = None
        error = self._errors.get()
        if error is None and self._runtime() is not runtime:
            error = EngineError('models', 'the executor was cleaned up meanwhile')
        if error is None:
            self._node.change(changes)
            # as at configure, but that a collection would hold up what runs
            gc.freeze()
            for note in runtime.notes:
                self._node.get_logger().info(note)
        ended(error)
