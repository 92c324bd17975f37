"""A service that answers a request after its callback has returned."""

from __future__ import annotations


class DeferredService:
    """Lets a callback return at once, and its answer follow.

    A callback that is a coroutine could wait as well, but in Kilted's events executor a coroutine
    that waits takes all the time of a core.

    Parameters
    ----------
    service : rclpy Service

    """

    def __init__(self, service):
        self._send = service.send_response
        service.send_response = self._on_return
        self._headers = {}      # by id of the deferred response

    def defer(self, response):
        """Do not send this response when the callback returns it."""
        self._headers[id(response)] = None

    def answer(self, response):
        """Send a response that was deferred."""
        self._send(response, self._headers.pop(id(response)))

    def _on_return(self, response, header):
        if id(response) in self._headers:
            self._headers[id(response)] = header
        else:
            self._send(response, header)
