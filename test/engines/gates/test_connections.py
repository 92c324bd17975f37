"""As many jobs may wait as leave some connections to the device."""

import os

import pytest

from s3dnn_ros.engines.gates.connections import more_connections, most_waiting

CONNECTIONS = 'CUDA_DEVICE_MAX_CONNECTIONS'


@pytest.mark.parametrize('value, most', [
    (None, 6), ('8', 6), ('32', 30), ('64', 30), ('1', 0), ('many', 6)])
def test_so_many_may_wait_that_some_connections_are_left(monkeypatch, value, most):
    monkeypatch.delenv(CONNECTIONS, raising=False)
    if value is not None:
        monkeypatch.setenv(CONNECTIONS, value)
    assert most_waiting() == most


@pytest.mark.parametrize('given, wanted', [(None, '32'), ('12', '12')])
def test_more_connections_are_asked_for_unless_the_user_did(monkeypatch, given, wanted):
    monkeypatch.setenv(CONNECTIONS, '')
    monkeypatch.delenv(CONNECTIONS)
    if given:
        monkeypatch.setenv(CONNECTIONS, given)
    more_connections()
    assert os.environ[CONNECTIONS] == wanted
