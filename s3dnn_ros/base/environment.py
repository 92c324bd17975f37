"""What a figure was measured on and with; goes into every file of results, and recordings."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from s3dnn_ros.base.processor import processor

_LIBRARIES = ('numpy', 'cv2', 'onnx', 'onnxruntime')


def environment():
    """Return machine, versions, commit and date as a dict that JSON can hold."""
    versions = {'python': platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            versions[name] = importlib.import_module(name).__version__
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        versions['rclpy'] = importlib.metadata.version('rclpy')
    return {
        'machine': {'cpu': processor(), 'cores': len(os.sched_getaffinity(0)),
                    'system': platform.platform()},
        'versions': versions,
        'rmw': os.environ.get('RMW_IMPLEMENTATION', "the distribution's default"),
        'commit': _commit(),
        'date': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
    }


def _commit():
    # a copy is told where it comes from: the history that came with it may be older
    told = os.environ.get('S3DNN_COMMIT')
    if told:
        return told
    here = Path(__file__).resolve().parent
    found = subprocess.run(['git', '-C', str(here), 'describe', '--always', '--dirty'],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True, check=False)
    return found.stdout.strip() or 'unknown'
