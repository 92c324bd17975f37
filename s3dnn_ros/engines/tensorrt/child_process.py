"""Work in a process of its own, so that a library that crashes or hangs stops nobody else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any, Callable

from s3dnn_ros.errors import BuildError, PassingBuildError, S3dnnError, SlowBuildError

# What ends a process that has done nothing wrong, as where memory is short.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)


class ChildProcess:
    """Runs a function, once for every call; what kills it is an error like any other.

    It starts with the first call, and again after a crash. Use it as a context, from one thread
    at a time.

    Parameters
    ----------
    function : callable
        Of a module, so that the other process finds it.
    limit_s : float
        How long a call may take, the start included; then the process is killed.

    """

    def __init__(self, function: Callable[[Any], Any], limit_s: float):
        self._function = function
        self._limit_s = limit_s
        self._process: Any = None
        self._connection: Any = None

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """End the process."""
        self.close()

    def call(self, name: str, argument: Any) -> Any:
        """Return what the function returns; raises BuildError, naming `name`, if it does not.

        That is a SlowBuildError if it took too long, and a PassingBuildError if it was killed, or
        stumbled over what is no error of its own.
        """
        if self._process is None:
            self._start()
        process = self._process     # another thread may close it
        try:
            self._connection.send(argument)
            if not self._connection.poll(self._limit_s):
                self.close()
                raise SlowBuildError(name, f'took more than {self._limit_s:g} s and was given up; '
                                     'allow more with --limit, or engine_build_limit_s')
            result = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process = None
            end = _end(process)
            kind = PassingBuildError if process.exitcode in _KILLED else BuildError
            raise kind(name, f'its process ended ({end})') from error
        if isinstance(result, Exception):
            raise result if isinstance(result, BuildError) else PassingBuildError(
                name, str(result))
        return result

    def close(self) -> None:
        """End the process, whatever it does; any thread. The next call starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()

    def _start(self):
        # CUDA does not survive a fork
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._function), daemon=True)
        self._process.start()
        theirs.close()


def _end(process) -> str:
    """Return how a process came to its end."""
    process.join()
    code = process.exitcode
    return signal.Signals(-code).name if code < 0 else f'status {code}'


def _end_with(parent):
    """End this process with the one that started it, however that ends, and whatever runs."""
    parent.join()
    os._exit(1)


def _serve(connection, function):
    # the terminal sends ^C to both, and only the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),),
                     daemon=True).start()
    while True:
        try:
            argument = connection.recv()
        except EOFError:
            return
        try:
            result = function(argument)
        except S3dnnError as error:
            result = error
        except Exception as error:
            # whatever a library raises: its type may not exist where it goes
            result = RuntimeError(f'{type(error).__name__}: {error}')
        connection.send(result)
