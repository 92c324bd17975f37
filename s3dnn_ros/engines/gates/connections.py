"""The connections of a process to a device, each of which a job that waits keeps for itself."""

import os

# Read by CUDA when it starts.
_CONNECTIONS = 'CUDA_DEVICE_MAX_CONNECTIONS'
_CONNECTIONS_BY_DEFAULT = 8
_MOST_CONNECTIONS = 32
_SPARE_CONNECTIONS = 2


def more_connections():
    """Have CUDA take as many connections to the device as it can, if it has not started yet.

    Streams share connections, and what waits in one holds up all others of its connection.
    """
    os.environ.setdefault(_CONNECTIONS, str(_MOST_CONNECTIONS))


def most_waiting() -> int:
    """Return how many jobs may wait at once: with one in each connection nothing runs any more."""
    try:
        connections = int(os.environ.get(_CONNECTIONS, _CONNECTIONS_BY_DEFAULT))
    except ValueError:
        connections = _CONNECTIONS_BY_DEFAULT
    return max(0, min(connections, _MOST_CONNECTIONS) - _SPARE_CONNECTIONS)
