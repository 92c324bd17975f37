"""Runs nodes in a process: signals, exit status, what makes a process quick."""

from __future__ import annotations

import inspect
import signal
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from s3dnn_ros.base.clock import SWITCH_INTERVAL_S
from s3dnn_ros.errors import LASTING, S3dnnError
from s3dnn_ros.respawn import UNUSABLE
from s3dnn_ros.runtime.memory import keep_freed_memory
from s3dnn_ros.settings.parameter_files import files_in, misplaced

# With no time limit, Kilted's events executor turns idly and runs nothing; a signal is looked at
# between two turns.
SPIN_S = 0.2


def make_executor():
    """Return the executor that spins our nodes.

    The events executor (Kilted and later) takes a quarter of the CPU time and
    half the latency of the classic one, which rebuilds its wait set every time.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


class _Signals:
    """SIGINT and SIGTERM: an exception while nodes start, a flag while they spin.

    rclpy's own handlers take the context from under the nodes, which then cannot log any more,
    and an exception inside a callback would be reported as the callback's.
    """

    def __init__(self):
        self.stop = self.spinning = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number, _):
        # who sends SIGTERM after another signal does not want to wait for a long callback
        interrupts = not self.spinning or (self.stop and number == signal.SIGTERM)
        self.stop = True
        if interrupts:
            raise KeyboardInterrupt


def run(*factories, args=None):
    """Run nodes in one process until it is stopped; returns the exit status.

    It is UNUSABLE if they cannot work until the user changes something, and 1 after any other
    failure.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    keep_freed_memory()
    _index_modules()
    files = files_in(sys.argv if args is None else args)
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:
        # rclpy has no type of its own for arguments or parameter files it cannot read
        reasons = [*filter(None, map(misplaced, files)), error]
        print(f'error: ROS does not start: {reasons[0]}', file=sys.stderr)
        return UNUSABLE
    nodes = []
    executor = make_executor()
    try:
        signals = _Signals()
        for factory in factories:
            nodes.append(factory(*nodes))
            nodes[-1].warn_of_files(files)
        for node in reversed(nodes):
            executor.add_node(node)
            if node.settings.autostart and not node.autostart():
                return _status(node.refusal)
        signals.spinning = True
        while rclpy.ok() and not signals.stop and not any(node.finished for node in nodes):
            executor.spin_once(SPIN_S)
    except (S3dnnError, ParameterException) as error:
        print(f'error: {error}', file=sys.stderr)
        return _status(error)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        # pressing Ctrl-C again would leave shared memory behind; SIGTERM still ends this
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _index_modules():
    """Tell `inspect` which file each module is from.

    rclpy asks it for the caller of every message. At the first one, it would resolve the paths of
    all modules that are loaded, which takes 0.1 s.
    """
    for name, module in list(sys.modules.items()):
        path = inspect.ismodule(module) and getattr(module, '__file__', None)
        if path:
            inspect.modulesbyfile.setdefault(path, name)


def _status(error):
    return UNUSABLE if isinstance(error, (*LASTING, ParameterException)) else 1
