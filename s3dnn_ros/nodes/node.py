"""What all nodes of the package share: lifecycle, parameters, counters."""

from __future__ import annotations

import gc
import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from s3dnn_ros.base.complaints import Complaints
from s3dnn_ros.nodes.camera_diagnostics import CameraDiagnostics
from s3dnn_ros.nodes.clock_watch import ClockWatch
from s3dnn_ros.nodes.guarded import GuardedCallbacks, sentence_of
from s3dnn_ros.nodes.messages import s_of
from s3dnn_ros.nodes.settings_node import SettingsNode


class RosClock:
    """A node's clock (wall or simulated) behind the package's Clock protocol."""

    def __init__(self, node):
        self._clock = node.get_clock()

    def now_s(self):
        """Return the ROS time in seconds."""
        if self._clock.ros_time_is_active:
            return self._clock.now().nanoseconds * 1e-9
        # the same clock; rclpy takes several times as long to read it
        return time.time()


class S3dnnNode(GuardedCallbacks, SettingsNode, LifecycleNode):
    """A lifecycle node whose parameters are one settings object.

    Subclasses implement `start(settings)` (configure: load, create),
    `apply(settings)` (live parameters changed), `activate()`, `deactivate()`,
    `stop()` (cleanup: free) and `counts()` (what to publish and diagnose).
    """

    finished = False     # a node that sets this ends the process
    refusal = None       # the exception of the last transition that failed

    def __init__(self, kind, **options):
        super().__init__(kind, **options)
        self._timer = None
        self._diagnostics = None    # its publisher
        self._cameras_seen = self._new_cameras()
        self._complaints = Complaints()
        self.clock_s = RosClock(self)
        self._clock_watch = ClockWatch(self)
        try:
            self.declare_settings(kind)
        except BaseException:
            self._leave()
            raise

    # what subclasses give

    def start(self, settings):
        """Load and create everything; raises S3dnnError."""

    def apply(self, settings):
        """Take over changed live settings; raises S3dnnError to refuse all of them."""

    def activate(self):
        """Begin."""

    def deactivate(self):
        """Pause."""

    def stop(self):
        """Free everything that start() made."""

    def counts(self):
        """Return the cameras' counters, a tuple of CameraCount."""
        return ()

    def publish_stats(self, stamp, counts):
        """Publish the node's own statistics message."""

    def camera_report(self, camera, now_s):
        """Return a warning about a camera, empty if there is none, and more values to show."""
        return '', {}

    def statuses(self):
        """Return what else to diagnose, a list of DiagnosticStatus."""
        return []

    # lifecycle

    def on_configure(self, state):
        """Load; a refusal is logged as one sentence and leaves the node unconfigured."""
        try:
            self.settings = self.read_settings()
            self.start(self.settings)
        except Exception as error:
            # rclpy swallows what a transition raises without a word
            self.get_logger().error(sentence_of(error))
            self.refusal = error
            self.stop()
            return TransitionCallbackReturn.FAILURE
        except BaseException:
            # Ctrl-C while it loads
            self.stop()
            raise
        self.is_configured = True
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._cameras_seen = self._new_cameras()
        period_s = getattr(self.settings, 'stats_period_s', None)
        if period_s:
            self._timer = self.every(period_s, self._report)
        # a garbage collection would walk all that was loaded, and hold frames up for 50 to 100 ms
        gc.collect()
        gc.freeze()
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        """Begin; a refusal is logged as one sentence and leaves the node inactive."""
        try:
            self.activate()
        except Exception as error:
            self.get_logger().error(sentence_of(error))
            self.refusal = error
            self.deactivate()
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state):
        """Pause."""
        self.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        """Free everything; the node can be configured again."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state):
        """Free everything."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state):
        """Free everything after an exception in a transition."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def autostart(self):
        """Configure and activate; returns whether both succeeded."""
        return (self.trigger_configure() == TransitionCallbackReturn.SUCCESS
                and self.trigger_activate() == TransitionCallbackReturn.SUCCESS)

    def destroy_node(self):
        """Free everything, whatever state the node is in."""
        self._free()
        self._leave()

    def _leave(self):
        # rclpy leaves the state machine, and with it the node, to the garbage collection: until
        # then the node stays in the graph, and the middleware is torn down at any later moment
        self._state_machine.destroy_when_not_in_use()
        super().destroy_node()

    def _free(self):
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self.is_configured:
            self.is_configured = False
            self.destroy_publisher(self._diagnostics)
            self.deactivate()
            self.stop()
            gc.unfreeze()

    def complain(self, sentence, subject=None):
        """Log a warning, every few seconds at most about one subject (or with one text).

        Any thread. Of a flood of warnings, only the first are logged.
        """
        chosen = self._complaints.chosen(sentence, subject or sentence, time.monotonic())
        # after Ctrl-C, what still runs can no longer be logged
        if chosen and self.context.ok():
            self.get_logger().warning(chosen)

    def follow_cameras(self, old, new):
        """Tell of the new cameras in /diagnostics, and no more of those that went."""
        self._cameras_seen.follow(old, new)

    def _new_cameras(self):
        return CameraDiagnostics(self.get_fully_qualified_name(), self.camera_report)

    def _report(self):
        if not self.is_configured:
            return      # the events executor may still hold a shot of a destroyed timer
        counts = self.counts()
        now = self.get_clock().now().to_msg()
        self.publish_stats(now, counts)
        array = DiagnosticArray(status=[*self._cameras_seen.statuses(counts, s_of(now)),
                                        *self.statuses(), self.callbacks_status()])
        array.header.stamp = now
        self._diagnostics.publish(array)
