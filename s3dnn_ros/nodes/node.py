"""What all nodes of the package share: lifecycle, parameters, counters."""

from __future__ import annotations

import contextlib
import gc
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.nodes.clock_watch import ClockWatch
from s3dnn_ros.nodes.guarded import GuardedCallbacks, sentence_of
from s3dnn_ros.nodes.messages import diagnostic, s_of
from s3dnn_ros.nodes.ros_parameters import descriptor, given, refusal_of_unknown, typed
from s3dnn_ros.settings import NODES, instances_of_others, unknown_names
from s3dnn_ros.settings.parameters import (
    declarations,
    differences,
    name_lists,
    preset_in,
    read,
    values_of,
)

# A camera that has sent before and now is silent for so long is reported.
SILENCE_S = 3.0
COMPLAINT_S = 5.0
MAX_COMPLAINTS = 1000


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


class S3dnnNode(GuardedCallbacks, LifecycleNode):
    """A lifecycle node whose parameters are one settings object.

    Subclasses implement `start(settings)` (configure: load, create),
    `apply(settings)` (live parameters changed), `activate()`, `deactivate()`,
    `stop()` (cleanup: free) and `counts()` (what to publish and diagnose).
    """

    finished = False     # a node that sets this ends the process
    refusal = None       # the exception of the last transition that failed

    def __init__(self, kind, **options):
        super().__init__(kind, **options)
        self._kind_name, self._kind = kind, NODES[kind]
        self._declarations = {}
        self._configured = False
        self._changing = False      # parameters follow settings that were checked already
        self._gone = set()          # cameras that were removed
        self._timer = None
        self._last_counts = {}
        self._last_change_s = {}
        self._diagnostics = None
        self._complained_s = {}
        self.clock_s = RosClock(self)
        self._clock_watch = ClockWatch(self)
        self._refuse_unknown()
        self.settings = self._read()
        self.add_on_set_parameters_callback(self._on_set)

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
            self.settings = self._read()
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
        self._configured = True
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._last_counts, self._last_change_s = {}, {}
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
        return super().destroy_node()

    def _free(self):
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self._configured:
            self._configured = False
            self.destroy_publisher(self._diagnostics)
            self.deactivate()
            self.stop()
            gc.unfreeze()

    # parameters

    def set_parameters(self, parameter_list):
        """Set parameters one by one; returns a SetParametersResult for each."""
        return [self.set_parameters_atomically([item]) for item in parameter_list]

    def set_parameters_atomically(self, parameter_list):
        """Set parameters as a set; a refusal is our sentence instead of rclpy's.

        rclpy's service calls this. rclpy looks for unknown names and at ranges before it asks
        callbacks, and its answer tells neither the parameter's node nor always its range.
        """
        for item in parameter_list:
            if not self.has_parameter(item.name):
                return SetParametersResult(successful=False, reason=refusal_of_unknown(
                    item.name, self._kind_name, self._values(), self._nodes_of))
        try:
            parameters = [self._checked(item) for item in parameter_list]
        except S3dnnError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return super().set_parameters_atomically(parameters)

    def _checked(self, item):
        """Return a parameter in its declared type; raises ParameterError."""
        declaration = self._declarations.get(item.name)
        if declaration is None:
            return item     # one of rclpy's own
        # an empty list arrives in whatever type its sender guesses
        return typed(declaration, list(item.value) if _is_list(item.value) else item.value)

    def _nodes_of(self, kind):
        """Return the full names of the nodes of a kind in our namespace; as usual if none."""
        own = self.get_namespace()
        found = sorted(name for name, namespace in self.get_node_names_and_namespaces()
                       if namespace == own and name.startswith(kind))
        return [f'{own.rstrip("/")}/{name}' for name in found or [kind]]

    def change(self, values):
        """Change parameters, by flat name, also such as `ros2 param set` cannot change meanwhile.

        A name that a list of names gets or loses brings its own parameters, or takes them along.
        Raises S3dnnError, and changes nothing, for what cannot be used.
        """
        settings = self.changed(values)
        if self._configured:
            self.apply(settings)
        self._note_cameras(self.settings.cameras, settings.cameras)
        self.settings = settings
        with self._checked_already():
            self._follow(values_of(settings))

    def changed(self, values):
        """Return the settings with parameters changed, by flat name; raises ParameterError."""
        return read(self._kind, {**self._values(), **values})

    def _follow(self, values):
        """Make the parameters agree with the settings' flat values."""
        names = {item.name: values[item.name] for item in name_lists(self._kind)}
        known = [*name_lists(self._kind), *declarations(self._kind, names, self._preset())]
        for declaration in known:
            self._declare(declaration, values[declaration.name])
        for name in self._declarations.keys() - values.keys():
            self.undeclare_parameter(name)
            del self._declarations[name]
        for item in known:
            if item.convert(self._value(item.name)) != values[item.name]:
                super().set_parameters_atomically([typed(item, values[item.name])])

    @contextlib.contextmanager
    def _checked_already(self):
        """Take parameters over as they are: they agree with settings that were checked."""
        self._changing = True
        try:
            yield
        finally:
            self._changing = False

    def _note_cameras(self, old, new):
        self._gone |= old.keys() - new.keys()
        self._gone -= new.keys()
        for key in [key for key in self._last_change_s if key[0] not in new]:
            del self._last_change_s[key]

    def _declare(self, declaration, value):
        if self.has_parameter(declaration.name):
            return
        parameter = typed(declaration, value)
        self.declare_parameter(parameter.name, parameter.value, descriptor(declaration),
                               ignore_override=True)
        self._declarations[declaration.name] = declaration
        if parameter.value == []:
            # rclpy took it for a list of bytes
            super().set_parameters_atomically([parameter])

    def _read(self):
        for declaration in name_lists(self._kind):
            self._declare(declaration, self._given(declaration))
        names = {item.name: self._value(item.name) for item in name_lists(self._kind)}
        for declaration in declarations(self._kind, names, self._preset()):
            self._declare(declaration, self._given(declaration))
            self._follow_preset(declaration)
        return read(self._kind, self._values())

    def _preset(self):
        """Return the preset that holds, also before it is declared."""
        override = self._parameter_overrides.get('preset')
        given_values = {} if override is None else {'preset': override.value}
        return preset_in(self._kind, {**given_values, **self._values()})

    def _follow_preset(self, declaration):
        """Give a parameter that still has its default the one of another preset."""
        old = self._declarations[declaration.name]
        self._declarations[declaration.name] = declaration
        if (declaration.default != old.default and declaration.name not in
                self._parameter_overrides
                and old.convert(self._value(old.name)) == old.default):
            with self._checked_already():
                super().set_parameters_atomically([typed(declaration, declaration.default)])

    def _given(self, declaration):
        return given(declaration, self._parameter_overrides.get(declaration.name))

    def _value(self, name):
        value = self.get_parameter(name).value
        return list(value) if _is_list(value) else value

    def _values(self):
        return {name: self._value(name) for name in self._parameters}

    def _refuse_unknown(self):
        overrides = {name: item.value for name, item in self._parameter_overrides.items()}
        for name, nearest in unknown_names(overrides).items():
            self.get_logger().warning(
                f"parameter '{name}' is unknown and has no effect; did you mean '{nearest}'?")
        others = instances_of_others(overrides)
        if others:
            self.get_logger().info(f'instances that have parameters and are not in instance_names '
                                   f'are left to other nodes: {", ".join(others)}')

    def _on_set(self, parameters):
        if self._changing:
            return SetParametersResult(successful=True)
        merged = dict(self._values(), **{item.name: item.value for item in parameters})
        try:
            settings = read(self._kind, merged)
            if self._configured:
                frozen = [name for name, live in differences(self.settings, settings).items()
                          if not live]
                if frozen:
                    return SetParametersResult(
                        successful=False,
                        reason=f"parameter '{frozen[0]}' takes effect at configure; deactivate "
                               'and clean the node up first')
                self.apply(settings)
                self.settings = settings
        except S3dnnError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def complain(self, sentence, subject=None):
        """Log a warning, every few seconds at most about one subject (or with one text)."""
        key = subject or sentence
        now_s = time.monotonic()
        # after Ctrl-C, what still runs can no longer be logged
        if self.context.ok() and now_s - self._complained_s.get(key, -COMPLAINT_S) >= COMPLAINT_S:
            self._complained_s[key] = now_s
            self.get_logger().warning(sentence)
        if len(self._complained_s) > MAX_COMPLAINTS:
            self._complained_s.clear()

    # counters

    def _report(self):
        if not self._configured:
            return      # the events executor may still hold a shot of a destroyed timer
        counts = self.counts()
        now = self.get_clock().now().to_msg()
        self.publish_stats(now, counts)
        status = [self._status(count, s_of(now)) for count in counts
                  if count.camera not in self._gone] + self.statuses()
        array = DiagnosticArray(status=[*status, self.callbacks_status()])
        array.header.stamp = now
        self._diagnostics.publish(array)
        self._last_counts = {(count.camera, count.instance): count for count in counts}

    def _status(self, count, now_s):
        key = (count.camera, count.instance)
        last = self._last_counts.get(key)
        new_frames = count.frames - (last.frames if last else 0)
        new_drops = count.dropped_total - (last.dropped_total if last else 0)
        new_misses = count.missed - (last.missed if last else 0)
        if new_frames:
            self._last_change_s[key] = now_s
        silent_s = now_s - self._last_change_s.get(key, now_s)
        level, message = DiagnosticStatus.OK, 'all frames handed on'
        if silent_s > SILENCE_S:
            level, message = DiagnosticStatus.ERROR, f'no frame for {silent_s:.0f} s'
        elif not count.frames:
            level, message = DiagnosticStatus.WARN, 'no frame yet'
        elif new_drops:
            level = DiagnosticStatus.WARN
            message = count.last_error or f'{new_drops} frames dropped'
        elif new_misses:
            level, message = DiagnosticStatus.WARN, f'{new_misses} deadlines missed'
        remark, values = self.camera_report(count.camera, now_s)
        if remark:
            message = remark if level == DiagnosticStatus.OK else f'{message}; {remark}'
            level = max(level, DiagnosticStatus.WARN)
        name = f'{self.get_fully_qualified_name()}: {count.camera}'
        return diagnostic(
            name + (f' → {count.instance}' if count.instance else ''), count.camera, level,
            message, {
                'frames': count.frames, 'published': count.published, 'missed': count.missed,
                **{f'dropped ({reason})': number for reason, number in count.dropped},
                **values,
                'latency p50 (ms)': f'{count.latency_ms.p50:.1f}',
                'latency p95 (ms)': f'{count.latency_ms.p95:.1f}',
                'latency p99 (ms)': f'{count.latency_ms.p99:.1f}',
                'last error': count.last_error})


def _is_list(value):
    return value is not None and not isinstance(value, (str, bool, int, float))
