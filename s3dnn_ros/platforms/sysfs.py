"""The small files through which a kernel is asked and told, below a root."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import List, Tuple

from s3dnn_ros.errors import PlatformError

RULES = 'config/99-s3dnn-dvfs.rules'
SERVICE = 'config/s3dnn-dvfs.service'
# the kernel hands a file of sysfs over in one piece, of a page (64 KiB at most)
_MOST_BYTES = 1 << 16
_DEBUGFS = 'sys/kernel/debug/'
_MEND_BY_RULES = (f'join the group s3dnn after "sudo groupadd -f -r s3dnn && sudo cp {RULES} '
                  '/etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger" '
                  "in this package's share folder, or start as root")
_MEND_BY_SERVICE = (f'join the group s3dnn after "sudo cp {SERVICE} /etc/systemd/system/ && '
                    'sudo systemctl enable --now s3dnn-dvfs" in this package\'s share folder, '
                    "or start as root, or leave 'emc' out of the knobs")
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR)


class Sysfs:
    """Reads and writes files by their name below a root, which tests point at a fake tree.

    Names have no leading slash. Every failure is a PlatformError that says what to do.
    """

    def __init__(self, root='/'):
        self.root = Path(os.path.abspath(str(root)))

    def path(self, name) -> Path:
        """Return where this file lies."""
        return self.root / name

    def exists(self, name) -> bool:
        """Tell whether there is such a file or folder."""
        return os.path.exists(self.path(name))

    def may_write(self, name) -> bool:
        """Tell whether there is such a file and this user may write it."""
        return os.access(self.path(name), os.W_OK)

    def find(self, pattern) -> List[str]:
        """Return the names that match a glob pattern, in order."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))

    def read(self, name) -> str:
        """Return the whole text of a file, as it is."""
        try:
            # power is read several times a second, and a Python file object costs as much again
            file = os.open(os.path.join(self.root, name), os.O_RDONLY)
            try:
                return os.read(file, _MOST_BYTES).decode('utf-8', 'replace')
            finally:
                os.close(file)
        except FileNotFoundError:
            raise self._missing(name) from None
        except OSError as error:
            if error.errno in _NOT_ALLOWED:
                raise self._not_allowed(name, 'read') from error
            raise PlatformError(self.path(name), f'cannot be read now ({error.strerror}); what '
                                'it belongs to may be switched off') from error

    def text(self, name) -> str:
        """Return a file's text without the blanks and zero bytes around it."""
        return self.read(name).strip('\0 \t\r\n')

    def integer(self, name) -> int:
        """Return the number that a file holds."""
        return self.whole_number(name, self.text(name))

    def integers(self, name) -> Tuple[int, ...]:
        """Return the numbers that a file holds, blanks between them."""
        return tuple(self.whole_number(name, word) for word in self.text(name).split())

    def whole_number(self, name, text) -> int:
        """Return the number that a text of this file is."""
        try:
            return int(text)
        except ValueError:
            raise PlatformError(self.path(name), f"'{text}' is no whole number; this kernel's "
                                'file has another form, leave its knob out') from None

    def write(self, name, value):
        """Write a value, unless the file holds it already."""
        if self.text(name) != str(value):
            self.put(name, f'{value}\n')

    def write_back(self, name, text):
        """Write a text that was read, unless the file holds it to the letter."""
        if self.read(name) != text:
            self.put(name, text)

    def put(self, name, text):
        """Write a text in one piece, as the kernel wants it."""
        try:
            # no O_CREAT: a name that is not there is an error, not a new file
            file = os.open(self.path(name), os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(file, text.encode())
            finally:
                os.close(file)
        except FileNotFoundError:
            raise self._missing(name) from None
        except OSError as error:
            if error.errno in _NOT_ALLOWED:
                raise self._not_allowed(name, 'written') from error
            raise PlatformError(
                self.path(name), f"the kernel refused '{text.strip()}' ({error.strerror}); it is "
                'beyond what the board allows now: see its nvpmodel mode and its temperature'
            ) from error

    def _missing(self, name):
        return PlatformError(self.path(name), 'there is no such file; leave its knob out, or '
                             'load the driver that it belongs to')

    def _not_allowed(self, name, done):
        return PlatformError(self.path(name), f'cannot be {done} by this user; {mend(name)}')


def mend(name) -> str:
    """Return how a user gets leave to read and write this file."""
    return _MEND_BY_SERVICE if name.startswith(_DEBUGFS) else _MEND_BY_RULES
