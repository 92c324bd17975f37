"""A process for each instance: they run together, and one that dies is told."""

import os
import signal

import pytest

from s3dnn_ros.bench.instance_processes import InstanceProcesses
from s3dnn_ros.bench.load import Client, Policy
from s3dnn_ros.bench.processes import ProcessError

SECONDS = 0.3
PERIOD_S = 0.02
POLICY = Policy('process per instance', 'fifo', processes=True)


@pytest.fixture
def processes(prepared):
    with InstanceProcesses(prepared) as made:
        yield made


def clients(count):
    return [Client(f'tiny_{index}', 'tiny', 1.0, PERIOD_S) for index in range(count)]


def children(processes):
    return {name: worker.process for name, worker in processes._workers.items()}


def test_they_run_together_and_stay_until_one_dies(prepared, processes):
    record = processes.record(clients(1), POLICY, SECONDS)
    first = children(processes)
    record = processes.record(clients(2), POLICY, SECONDS, trace=True)
    assert children(processes)['tiny_0'] is first['tiny_0']
    measured = record.measured(prepared.alone_s)
    assert set(measured.finished_by_client) == {'tiny_0', 'tiny_1'}
    assert measured.offered_hz == pytest.approx(2 / PERIOD_S, rel=0.2)
    assert measured.missed_share == 0.0
    assert {span.client for span in record.spans} == {'tiny_0', 'tiny_1'}

    killed = children(processes)['tiny_1']
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    with pytest.raises(ProcessError, match="'tiny_1' ended with status -9"):
        processes.record(clients(2), POLICY, SECONDS)
    assert not any(process.is_alive() for process in first.values())
    with pytest.raises(ProcessError, match="'tiny_1' ended"):
        processes.record(clients(1), POLICY, SECONDS)


def test_one_that_cannot_load_tells_why(prepared, processes):
    os.environ['S3DNN_MODEL_PATH'] = '/nowhere'     # the fixture sets it back
    with pytest.raises(ProcessError, match=r"'tiny_0' failed: ModelError.*'tiny'"):
        processes.record(clients(1), POLICY, SECONDS)
