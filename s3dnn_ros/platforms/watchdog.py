"""The process that restores a board when its owner dies: `python -m ….watchdog ROOT STATE PID`.

It waits for the end of its input, which its owner alone holds open, and restores what the
state file says; after a clean end there is no such file any more.
"""

from __future__ import annotations

import os
import select
import signal
import sys

from s3dnn_ros.platforms.saved import restore_file
from s3dnn_ros.platforms.sysfs import Sysfs

# A library may have forked without Python, so that the input stays open: then a new parent tells.
_LOOK_S = 1.0


def main(root, path, owner):
    """Wait for the owner's end, and restore."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # whoever ends the owner may end all its processes; this one is wanted afterwards
        signal.signal(number, signal.SIG_IGN)
    while os.getppid() == int(owner):
        if select.select([0], [], [], _LOOK_S)[0]:
            break
    for sentence in restore_file(path, Sysfs(root)):
        print(sentence, file=sys.stderr)


if __name__ == '__main__':
    main(*sys.argv[1:])
