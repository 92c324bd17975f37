"""What the launch files share; needs launch, and no rclpy."""

from __future__ import annotations

import time

from launch.actions import ExecuteProcess, TimerAction
from launch.logging import get_logger

from s3dnn_ros.respawn import RespawnPolicy


class Respawn:
    """Starts a node again when its process ends: `Node(..., on_exit=Respawn())`.

    Each node needs one of its own. launch's own `respawn=True` has one delay for every end, and
    starts for ever what can never work.
    """

    def __init__(self):
        self._policy = RespawnPolicy()
        self._started_s = time.monotonic()
        self._node = None

    def __call__(self, event, context):
        """Return the actions that start the process again; launch calls this at its end."""
        if context.is_shutdown:
            return None
        # the first action owns the temporary files that hold the parameters
        self._node = self._node or event.action
        now_s = time.monotonic()
        delay_s = self._policy.delay_s(event.returncode, now_s - self._started_s)
        if delay_s is None:
            get_logger(event.process_name).error(
                'it is not started again, because it cannot work as it is set up: mend what its '
                'last error names, then launch it again')
            return None
        self._started_s = now_s + delay_s
        return [TimerAction(period=delay_s, actions=[ExecuteProcess(
            # all of it is resolved: launch arguments may have changed their meaning by now
            cmd=event.cmd, cwd=event.cwd, env=event.env, prefix='',
            # launch adds a number to it
            name=event.process_name.rpartition('-')[0],
            output='screen', emulate_tty=True, on_exit=self)])]
