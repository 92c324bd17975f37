"""Starts the package's nodes as processes of their own, and ends them again."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.middleware import image_environment

# How long a node may take to end after SIGINT before it is killed.
PATIENCE_S = 8.0


class ProcessError(S3dnnError):
    """A node that could not be started or ended by itself."""


class Processes:
    """Nodes under one namespace; a context manager that leaves none behind."""

    def __init__(self, parameters: Path, log_directory: Path, namespace='/s3dnn'):
        self._parameters = parameters
        self._log_directory = log_directory
        self._namespace = namespace
        self._running: Dict[str, subprocess.Popen] = {}
        self._environment = dict(os.environ, **image_environment())
        # only this machine needs to know of these nodes; the older name is Humble's
        self._environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        if self._environment.get('ROS_DISTRO') == 'humble':
            self._environment.setdefault('ROS_LOCALHOST_ONLY', '1')

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """End every node."""
        self.stop(list(self._running))

    def start(self, name, *, module=None, show=False, cpus=None):
        """Start a node, on some CPUs alone if named.

        `module` is run instead of the node's own executable. The output goes to
        NAME.log, or with `show` to the terminal.
        """
        program = [sys.executable, '-m', module] if module else [str(executable(name))]
        command = [*program, '--ros-args', '--params-file', str(self._parameters),
                   '-r', f'__ns:={self._namespace}']
        if cpus is not None:
            command = ['taskset', '-c', ','.join(map(str, cpus)), *command]
        with contextlib.ExitStack() as files:
            output = {} if show else {
                'stdout': files.enter_context(open(self.log_of(name), 'wb')),
                'stderr': subprocess.STDOUT}
            # away from a checkout, whose package without messages `-m` would find first
            self._running[name] = subprocess.Popen(
                command, cwd=str(self._log_directory), env=self._environment,
                stdin=subprocess.DEVNULL, **output)

    def log_of(self, name) -> Path:
        """Return where a node's output is."""
        return self._log_directory / f'{name}.log'

    def pid_of(self, name) -> int:
        """Return a node's process id."""
        return self._running[name].pid

    def wait(self, name, limit_s=math.inf) -> int:
        """Wait until this node ends; ProcessError when another ends before, or it takes longer."""
        end_s = time.monotonic() + limit_s
        while self._running[name].poll() is None:
            self.check(but=name)
            if time.monotonic() > end_s:
                raise ProcessError(f'the {name} has not ended after {limit_s:.0f} s')
            time.sleep(0.1)
        return self._running[name].returncode

    def check(self, but=None):
        """Raise ProcessError if a node has ended."""
        for name, process in self._running.items():
            if name != but and process.poll() is not None:
                tail = self.log_of(name).read_text(errors='replace').splitlines()[-12:]
                raise ProcessError('\n'.join([f'the {name} ended with status '
                                              f'{process.returncode}; its last words:', *tail]))

    def stop(self, names: List[str]):
        """Ask nodes to end, and kill those that do not."""
        ending = [self._running.pop(name) for name in names]
        for process in ending:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline_s = time.monotonic() + PATIENCE_S
        for process in ending:
            try:
                process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def executable(name) -> Path:
    """Return the path of a node's executable."""
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        path = Path(prefix) / 'lib' / 's3dnn_ros' / name
        if path.is_file():
            return path
    raise ProcessError(f"the node '{name}' is not installed; build the package and source its "
                       'setup file, or use ./scripts/demo')
