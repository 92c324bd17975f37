"""Callbacks that cannot end a node: what they raise is counted, said once and dropped."""

from __future__ import annotations

import contextlib
import functools
import traceback

from diagnostic_msgs.msg import DiagnosticStatus

from s3dnn_ros.base.limits import cut
from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.nodes.messages import diagnostic


def sentence_of(error):
    """Return an error as one sentence, with its type unless it is one of ours."""
    return str(error) if isinstance(error, S3dnnError) else f'{type(error).__name__}: {error}'


class GuardedCallbacks:
    """Mixin for a node: guards its subscriptions, its services, and timers made by `every`.

    rclpy ends the process when a callback raises. The node has to have `complain()`.
    """

    _dropped_calls = 0
    _dropped_calls_told = 0
    _last_dropped = ''

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        for service in self.services:
            # rclpy makes it without create_service; Humble raises for an impossible transition
            if service.srv_name.endswith('/change_state'):
                service.callback = self._guarded_request(service.srv_name, service.callback)

    def create_subscription(self, msg_type, topic, callback, *args, **options):
        """Return a subscription; a message whose callback raises is dropped."""
        # rclpy looks whether the callback takes what the middleware tells of a message, too
        @functools.wraps(callback)
        def call(*message):
            if isinstance(message[0], tuple):
                message, = message      # Kilted's events executor gives both at once
            with self._guard(f'a message on {topic} is dropped'):
                callback(*message)
        return super().create_subscription(msg_type, topic, call, *args, **options)

    def create_service(self, srv_type, srv_name, callback, *args, **options):
        """Return a service; a request whose callback raises gets the response as it is by then."""
        return super().create_service(srv_type, srv_name, self._guarded_request(
            srv_name, callback), *args, **options)

    def every(self, period_s, callback):
        """Return a timer; a shot whose callback raises is dropped."""
        return self.create_timer(period_s, self.guarded(callback))

    def guarded(self, callback):
        """Return a callback of a timer or an alarm; a shot in which it raises is dropped."""
        def call():
            with self._guard('a shot of a timer is dropped'):
                callback()
        return call

    def callbacks_status(self):
        """Return the DiagnosticStatus of the callbacks: WARN if one has raised since the last."""
        new = self._dropped_calls - self._dropped_calls_told
        self._dropped_calls_told = self._dropped_calls
        return diagnostic(
            f'{self.get_fully_qualified_name()}: callbacks', self.get_name(),
            DiagnosticStatus.WARN if new else DiagnosticStatus.OK,
            self._last_dropped if new else 'all messages, requests and timers are handled',
            {'dropped': self._dropped_calls, 'last error': self._last_dropped})

    def _guarded_request(self, srv_name, callback):
        def call(request, response):
            with self._guard(f'a request to {srv_name} is dropped'):
                return callback(request, response)
            return response
        return call

    @contextlib.contextmanager
    def _guard(self, what):
        try:
            yield
        except Exception as error:
            if not self.context.ok():
                return      # Ctrl-C takes the context from under whatever runs
            self._dropped_calls += 1
            self._last_dropped = cut(f'{what}: {sentence_of(error)}')
            self.complain(self._last_dropped, what)
            self.get_logger().debug(traceback.format_exc())
