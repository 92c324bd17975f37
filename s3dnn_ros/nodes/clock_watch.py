"""Says when a node goes by the time of /clock and gets none."""

from __future__ import annotations

import time

from rclpy.clock import Clock, ClockType

LOOK_S = 1.0
SILENCE_S = 3.0
AGAIN_S = 30.0


class ClockWatch:
    """Warns while a node's simulated time stands still.

    Nothing else would: timers of the node and its deadlines stand still, too.
    """

    def __init__(self, node):
        self._node = node
        self._last_ns = None
        self._since_s = self._told_s = float('-inf')
        # the node's own clock is what may not run
        self._timer = node.create_timer(LOOK_S, self._look, clock=Clock(
            clock_type=ClockType.STEADY_TIME))

    def _look(self):
        clock, now_s = self._node.get_clock(), time.monotonic()
        now_ns = clock.now().nanoseconds
        if not clock.ros_time_is_active or now_ns != self._last_ns:
            self._last_ns, self._since_s, self._told_s = now_ns, now_s, float('-inf')
        elif now_s - self._since_s >= SILENCE_S and now_s - self._told_s >= AGAIN_S:
            self._told_s = now_s
            self._node.get_logger().warning(self._sentence())

    def _sentence(self):
        if self._node.count_publishers('/clock'):
            why, what = 'stands still', 'let the simulator or the bag go on'
        else:
            why = 'has no publisher'
            what = 'start the simulator, or play the bag with `ros2 bag play --clock 100`'
        return (f'use_sim_time is true and /clock {why}, so that no time passes here: {what}, or '
                'set use_sim_time to false')
