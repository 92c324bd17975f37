"""A process for each instance: how networks run that know nothing of each other."""

from __future__ import annotations

import multiprocessing
from typing import Any, Dict, NamedTuple, Sequence

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench.load import SETTLE_S, Client, Policy
from s3dnn_ros.bench.networks import Prepared, load_again
from s3dnn_ros.bench.processes import ProcessError
from s3dnn_ros.bench.record import Record, joined
from s3dnn_ros.engines import make_engine

# For a process to start, to load its network, or to answer what takes no time.
PATIENCE_S = 120.0
# From the order to start until the start: all have it by then.
LEAD_S = 0.05


class InstanceProcesses:
    """Processes with an engine, a network and a client each; a context manager.

    They are started when a run first needs them, and stay for later ones. After one has
    failed, none is started any more.

    Parameters
    ----------
    prepared : Prepared
        Its engine's kind and options, plans and profiles serve the processes too.
    sms : int
        Multiprocessors of the GPU to use, as for `make_engine`.

    """

    def __init__(self, prepared: Prepared, sms=0):
        self._prepared = prepared
        self._sms = sms
        self._workers: Dict[str, _Worker] = {}
        self._failure = ''

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """End all processes."""
        self.close()

    def record(self, clients: Sequence[Client], policy: Policy, seconds: float,
               trace=False) -> Record:
        """Run every client in its own process, all over the same time.

        Raises ProcessError if a process dies, fails or does not answer, now or before.
        """
        if self._failure:
            raise ProcessError(self._failure)
        try:
            return self._record(clients, policy, seconds, trace)
        except ProcessError as error:
            self._failure = str(error)
            self.close()
            raise

    def close(self):
        """End all processes."""
        for worker in self._workers.values():
            worker.connection.close()
        for worker in self._workers.values():
            worker.process.join(PATIENCE_S / len(self._workers))
            worker.process.kill()
        self._workers = {}

    def _record(self, clients, policy, seconds, trace):
        self._start([client for client in clients if client.name not in self._workers])
        workers = [self._workers[client.name] for client in clients]
        for worker, client in zip(workers, clients):
            worker.tell((client, policy, trace))
        for worker in workers:
            worker.hear()
        started_s = SystemClock().now_s() + LEAD_S
        for worker in workers:
            worker.tell((seconds, started_s))
        return joined([worker.hear(SETTLE_S + seconds) for worker in workers])

    def _start(self, clients):
        context = multiprocessing.get_context('spawn')      # CUDA does not survive a fork
        new = []
        for client in clients:
            ours, theirs = context.Pipe()
            engine = self._prepared.engine
            arguments = (theirs, engine.name, engine.options, self._sms, client.model,
                         self._prepared.plans[client.model], self._prepared.profiles[client.model])
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()      # so that we hear when it dies
            new.append(_Worker(client.name, process, ours))
            self._workers[client.name] = new[-1]
        for worker in new:
            worker.hear()
        # one after another: engines choose algorithms by measuring them
        for worker in new:
            worker.tell(None)
            worker.hear()


class _Worker(NamedTuple):
    name: str
    process: Any
    connection: Any

    def tell(self, order):
        try:
            self.connection.send(order)
        except OSError as error:
            raise self._death() from error

    def hear(self, seconds=0.0):
        try:
            if not self.connection.poll(seconds + PATIENCE_S):
                raise ProcessError(f"the process of '{self.name}' did not answer for "
                                   f'{seconds + PATIENCE_S:.0f} s')
            answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(answer, str):
            raise ProcessError(f"the process of '{self.name}' failed: {answer}")
        return answer

    def _death(self):
        self.process.join(1.0)
        return ProcessError(f"the process of '{self.name}' ended with status "
                            f'{self.process.exitcode}')


def _serve(connection, engine_name, options, sms, model, plan, table):
    """Answer orders until the other side has gone; a text is an error."""
    try:
        clock = SystemClock()
        engine, _ = make_engine(engine_name, clock, sms=sms, build=options)
        connection.send(None)
        connection.recv()
        rig = load_again(engine, clock, model, plan, table)
        connection.send(None)
        while True:
            client, policy, trace = connection.recv()
            run = rig.run([client], policy, trace)
            connection.send(None)
            seconds, started_s = connection.recv()
            connection.send(run.record(seconds, started_s))
    except EOFError:
        pass
    except Exception as error:
        connection.send(f'{type(error).__name__}: {error}')
