"""Publishes what changes often in a thread of its own: only the newest counts."""

from __future__ import annotations

import threading
from typing import Any, Callable


class NewestPublisher:
    """Publishes the newest of what is said; what was said before and still waits is left out.

    Parameters
    ----------
    publish : callable
        Called in the thread.
    report : callable
        Called with a sentence when something cannot be published.

    """

    def __init__(self, publish: Callable[[Any], None], report: Callable[[str], None]):
        self._publish = publish
        self._report = report
        self._newest: Any = None
        self._said = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='s3dnn-newest', daemon=True)
        self._thread.start()

    def say(self, value):
        """Have a value published; any thread, returns at once."""
        self._newest = value
        self._said.set()

    def close(self):
        """Publish what waits, and end the thread."""
        self._closed = True
        self._said.set()
        self._thread.join()

    def _run(self):
        closed = False
        while not closed:
            self._said.wait()
            self._said.clear()
            closed = self._closed
            value, self._newest = self._newest, None
            if value is not None:
                self._try(value)

    def _try(self, value):
        try:
            self._publish(value)
        except Exception as error:
            # whatever the middleware refuses, the next value may go through
            self._report(f'what this node can take cannot be published: {error}')
