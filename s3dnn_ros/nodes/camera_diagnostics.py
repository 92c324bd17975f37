"""What /diagnostics tells of each camera: its counters beside those of the last report."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from s3dnn_ros.nodes.messages import diagnostic

# A camera that has sent before and now is silent for so long is reported.
SILENCE_S = 3.0


class CameraDiagnostics:
    """The cameras of one node.

    Parameters
    ----------
    node_name : str
        With its namespace.
    report : callable
        Returns for a camera and the time in seconds a warning, empty if there is none, and more
        values to show.

    """

    def __init__(self, node_name, report):
        self._node_name = node_name
        self._report = report
        self._last = {}             # counts by camera and instance
        self._last_change_s = {}
        self._gone = set()          # cameras that were removed

    def follow(self, old, new):
        """Tell of the cameras in `new`, and no more of those in `old` that are not."""
        self._gone |= set(old) - set(new)
        self._gone -= set(new)
        for key in [key for key in self._last_change_s if key[0] not in new]:
            del self._last_change_s[key]

    def statuses(self, counts, now_s):
        """Return a DiagnosticStatus for each CameraCount; those of the last call are compared."""
        statuses = [self._status(count, now_s) for count in counts
                    if count.camera not in self._gone]
        self._last = {(count.camera, count.instance): count for count in counts}
        return statuses

    def _status(self, count, now_s):
        key = (count.camera, count.instance)
        last = self._last.get(key)
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
        remark, values = self._report(count.camera, now_s)
        if remark:
            message = remark if level == DiagnosticStatus.OK else f'{message}; {remark}'
            level = max(level, DiagnosticStatus.WARN)
        name = f'{self._node_name}: {count.camera}'
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
