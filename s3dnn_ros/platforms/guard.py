"""A changed board is never left behind: what was changed is saved first, and restored last."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.forks import close_in_children
from s3dnn_ros.platforms.knobs import Knob
from s3dnn_ros.platforms.owner import restoring
from s3dnn_ros.platforms.saved import (
    restore_entries,
    restore_leftovers,
    state_file,
    write_state,
)
from s3dnn_ros.platforms.sysfs import Sysfs

_LOG = logging.getLogger(__name__)
_PACKAGES = Path(__file__).resolve().parents[2]
_END_S = 5.0


class Guard:
    """Remembers knobs before they are turned, and turns them back, even if this process dies.

    A process of its own, in a session of its own, restores after a crash or a SIGKILL. Should
    it die as well, the next guard on this folder restores. Only the board's owner has a guard.

    Parameters
    ----------
    files : Sysfs
    directory : Path
        Where the saved state lies.

    """

    def __init__(self, files: Sysfs, directory):
        self._files = files
        self._pid = os.getpid()
        self._path = state_file(Path(directory).resolve(), self._pid)
        self._entries = {}
        self._watchdog = None
        for sentence in restore_leftovers(directory, files):
            _LOG.warning(sentence)

    def remember(self, knob: Knob):
        """Save a knob's state before it is turned for the first time.

        Raises PlatformError if it cannot be saved, or nobody could restore it after a crash.
        """
        place = (knob.kind, knob.folder)
        if place in self._entries:
            return
        entries = {**self._entries, place: knob.save()}
        if self._watchdog is None:
            self._start_watchdog()
        write_state(self._path, self._files, _listed(entries))
        self._entries = entries

    def restore(self):
        """Turn back what was turned; in a forked child nothing happens.

        Raises
        ------
        PlatformError
            Some of it cannot be written; all else is restored, and the next call tries again.

        """
        if os.getpid() != self._pid:
            return
        if self._entries:
            self._restore_entries()
        self._dismiss_watchdog()

    def _restore_entries(self):
        with restoring(self._path.parent):
            failed = restore_entries(self._files, _listed(self._entries))
            self._entries = {(kind, folder): saved for (kind, folder, saved), _ in failed}
            if failed:
                write_state(self._path, self._files, _listed(self._entries))
                raise PlatformError(self._files.root, 'some knobs could not be restored: '
                                    + '; '.join(str(error) for _, error in failed))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def _start_watchdog(self):
        path = [str(_PACKAGES), *filter(None, [os.environ.get('PYTHONPATH')])]
        try:
            self._watchdog = subprocess.Popen(
                [sys.executable, '-S', '-m', 's3dnn_ros.platforms.watchdog', str(self._files.root),
                 str(self._path), str(self._pid)],
                bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd='/',
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(path)}, start_new_session=True)
        except OSError as error:
            raise PlatformError(sys.executable, 'the process that restores the board after a '
                                f'crash cannot be started ({error.strerror}), so nothing was '
                                'changed; see whether this user may run it, and the limits on '
                                'processes and memory') from error
        close_in_children(self._watchdog.stdin)

    def _dismiss_watchdog(self):
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is None:
            return
        watchdog.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            watchdog.wait(_END_S)


@contextlib.contextmanager
def restored_at_end(platform):
    """Close the platform when the block ends: as it should, by an exception or by a signal.

    SIGINT, SIGTERM and SIGHUP end the block with SystemExit where they would have ended the
    process at once. Handlers that the program has set stay. Only the main thread may use this.
    """
    before = {number: signal.getsignal(number)
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    changed = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _leave)
    try:
        yield platform
    finally:
        try:
            platform.close()
        finally:
            for number in changed:
                signal.signal(number, before[number])


def _leave(number, _):
    raise SystemExit(128 + number)


def _listed(entries):
    return [(kind, folder, saved) for (kind, folder), saved in entries.items()]
