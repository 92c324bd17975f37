"""A network takes the place of one that serves, once it is loaded and warm."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
from typing import Callable, ContextManager, Dict, Mapping, Optional

from s3dnn_ros.errors import RestartError
from s3dnn_ros.runtime.job import Instance

# Front ends hear of another model within milliseconds. For so long, what they send for the one
# before it still runs on that one; then its memory is free.
FORMER_S = 2.0


class Reloader:
    """Replaces instances by new ones, in a thread of its own.

    Requests keep the Instance that they came for: what waits or runs during the change ends on
    the network, with the decoder and under the labels that it was meant for. Nothing else refers
    to a former Instance, so that its memory is free when the last of them has ended.

    Parameters
    ----------
    instances : dict of str to Instance
        Those that serve. Entries are replaced, by the thread.
    load : callable
        Returns new instances by name, proven by a run, from (specs, settings); may raise anything.
    changed : callable
        Called after a change, by the thread.
    quiet : callable
        Returns the context in which memory of the device is taken and given back.

    """

    def __init__(self, instances: Dict[str, Instance],
                 load: Callable[[Mapping, object], Dict[str, Instance]],
                 changed: Callable[[], None],
                 quiet: Callable[[], ContextManager] = contextlib.nullcontext):
        self._instances = instances
        self._load = load
        self._changed = changed
        self._quiet = quiet
        self._former: Dict[str, Instance] = {}
        self._closing = threading.Event()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, 's3dnn-reload')

    def former(self, name) -> Optional[Instance]:
        """Return the instance that was replaced a moment ago; any thread."""
        return self._former.get(name)

    def begin(self, specs, settings, done: Callable[[Optional[Exception]], None]):
        """Replace the instances that `specs` name; any thread.

        `done` is called by the thread, with None when the new ones serve, and with an error when
        the old ones stay.
        """
        self._thread.submit(self._replace, specs, settings, done)

    def close(self):
        """Wait for what is being loaded; what was only asked for is refused."""
        self._closing.set()
        self._thread.shutdown()

    def _replace(self, specs, settings, done):
        try:
            if self._closing.is_set():
                raise RestartError('the executor is being cleaned up')
            with self._quiet():
                new = self._load(specs, settings)
        except Exception as error:
            # whatever file or driver raise, the old ones serve
            done(error)
            return
        for name, instance in new.items():
            # live settings may be others by now
            instance.settings = dataclasses.replace(self._instances[name].settings,
                                                    model=settings.instances[name].model)
        self._former = {name: self._instances[name] for name in new}
        self._instances.update(new)
        self._changed()
        done(None)
        self._closing.wait(FORMER_S)
        with self._quiet():
            self._former = {}
