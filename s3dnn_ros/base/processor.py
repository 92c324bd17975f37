"""What this machine's processor is called."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """Return its name; that of the architecture where Linux tells no other."""
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.lower().startswith(('model name', 'hardware')):
            return line.split(':', 1)[1].strip()
    return platform.machine()
