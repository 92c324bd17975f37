"""What a board was like before it was changed, in a file that outlives the process."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import List, Tuple

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.knobs import Saved, find_knob
from s3dnn_ros.platforms.owner import restoring
from s3dnn_ros.platforms.sysfs import Sysfs

Entry = Tuple[str, str, Saved]      # kind and folder of a knob, and what it saved
_BOOT = 'proc/sys/kernel/random/boot_id'
_PATTERN = 'state-*.json'


def state_file(directory, pid) -> Path:
    """Return the file for what a process has changed."""
    return Path(directory) / _PATTERN.replace('*', str(pid))


def write_state(path, files: Sysfs, entries: List[Entry]):
    """Write the file as a whole; when this returns, it is on the disk."""
    text = json.dumps({'root': str(files.root), 'boot': _boot(files), 'knobs': entries})
    draft = Path(f'{path}.new')
    try:
        # others may share the folder, and must not choose by a link what is overwritten
        with open(draft, 'w', opener=_open_no_link) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise PlatformError(path, f'the state of the board cannot be saved ({error.strerror}), so '
                            'nothing was changed; name a folder that can be written as '
                            'state_dir') from error


def restore_entries(files: Sysfs, entries: List[Entry]) -> List[Tuple[Entry, PlatformError]]:
    """Write back what was saved; return what could not be, with the errors.

    Each is tried, whatever becomes of the others. Cores come last: a cluster that is off would
    have to be woken for its frequency.
    """
    failed = []
    for entry in sorted(entries, key=_is_core):
        try:
            kind, folder, saved = entry
            find_knob(files, kind, folder).restore(saved)
        except PlatformError as error:
            failed.append((entry, error))
        except Exception as error:
            # no damage to one entry may keep the board from what the others hold
            failed.append((entry, PlatformError(
                files.root, f'{entry} cannot be restored ({type(error).__name__}: {error}); check '
                            "the board's clocks, or start it anew")))
    return failed


def restore_file(path, files: Sysfs) -> List[str]:
    """Restore what a process has left behind, and remove its file; return what went wrong.

    Nothing happens if there is no such file any more, or if the board has been started anew.
    """
    with restoring(Path(path).parent):
        try:
            state = json.loads(Path(path).read_text())
            entries, boot, root = _entries(state), state['boot'], state['root']
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _remove(path)
            return [f'{path}: cannot be read ({error}); the board stays as it is: check its '
                    'clocks, or start it anew']
        if root != str(files.root):
            return []
        failed = restore_entries(files, entries) if boot == _boot(files) else []
        _remove(path)
        return [str(error) for _, error in failed]


def restore_leftovers(directory, files: Sysfs) -> List[str]:
    """Restore what processes that died have left behind; return what went wrong.

    Only the board's owner may do this.
    """
    return [sentence for path in sorted(Path(directory).glob(_PATTERN))
            for sentence in restore_file(path, files)]


def _entries(state):
    if not isinstance(state['knobs'], list):
        raise TypeError("'knobs' must be a list")
    return state['knobs']


def _is_core(entry):
    return isinstance(entry, (list, tuple)) and tuple(entry[:1]) == ('core',)


def _open_no_link(path, flags):
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def _remove(path):
    with contextlib.suppress(OSError):
        os.unlink(path)


def _boot(files):
    return files.text(_BOOT) if files.exists(_BOOT) else ''
