"""Another program on the same device, which a bench switches on and off."""

from __future__ import annotations

import multiprocessing
import time

import numpy as np

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench.processes import ProcessError
from s3dnn_ros.engines import make_engine
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.models.cut_network import whole
from s3dnn_ros.models.spec import load_spec

# For the process to start and to load its network.
PATIENCE_S = 120.0
# It works for this share of the time, and sleeps as regularly as any camera's program.
DUTY = 0.5


class Interference:
    """A process that runs one network over and over while it is on; a context manager.

    It knows nothing of cohorts, schedulers and deadlines.

    Parameters
    ----------
    engine : str
        The engine's name; it uses all of the device.
    options : BuildOptions
        How it builds the network.
    model : str
        A network; it must have been exported.

    Raises
    ------
    ProcessError
        It does not come up.

    """

    def __init__(self, engine: str, options: BuildOptions, model: str):
        context = multiprocessing.get_context('spawn')      # CUDA does not survive a fork
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, engine, options, model),
                                        daemon=True)
        self._process.start()
        theirs.close()
        try:
            if not self._connection.poll(PATIENCE_S):
                raise ProcessError(f'the interfering process did not come up in {PATIENCE_S} s')
            self._connection.recv()
        except (EOFError, ProcessError) as error:
            self._process.kill()
            raise ProcessError('the interfering process did not come up; see what it printed'
                               ) from error

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """End the process."""
        self._connection.close()
        self._process.join(PATIENCE_S)

    def switch(self, on: bool):
        """Work from now on, or rest; raises ProcessError if it has died."""
        try:
            self._connection.send(on)
        except OSError as error:
            raise ProcessError('the interfering process has ended') from error


def _serve(connection, engine_name, options, model_name):
    """Work while told to, until the other side has gone."""
    engine, _ = make_engine(engine_name, SystemClock(), build=options)
    spec = load_spec(model_name)
    network = whole(spec).load(engine)
    image = np.zeros((1, spec.height, spec.width, 3), np.uint8)
    network.run(image)
    try:
        connection.send(None)
        on = False
        while True:
            if not on or connection.poll():
                on = connection.recv()
                continue
            begin_s = time.monotonic()
            network.run(image)
            time.sleep((time.monotonic() - begin_s) * (1.0 / DUTY - 1.0))
    except (EOFError, OSError):
        engine.close()
