"""Images out of recorded bags (rosbag2, of sqlite3 or mcap), without ROS."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Iterator, Optional

from s3dnn_ros.base.content import read_bytes, shortened, yaml_of
from s3dnn_ros.errors import ImageError, ParameterError
from s3dnn_ros.images.compressed import open_compressed
from s3dnn_ros.images.pixels import Pixels
from s3dnn_ros.images.raw import open_raw

_RAW, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
# Of a bag's description: some hundred topics; what reads it takes a second.
MOST_BYTES = 250_000
_SUFFIXES = ('.mcap', '.db3')


def is_bag(path: Path) -> bool:
    """Tell whether this is a bag's folder, or a file of one."""
    return path.suffix in _SUFFIXES or (path / 'metadata.yaml').is_file()


def bag_images(path: Path, topic: str, most: int) -> Iterator[Pixels]:
    """Give images of a topic, at most so many, evenly spread over the bag's time.

    Without a topic those of the one that has images. What cannot be decoded is passed over.

    Raises
    ------
    ParameterError
        The library that reads bags is not here, the bag cannot be read, it has no such topic or
        several to choose from, or none of its images can be decoded.

    """
    refused: Optional[ImageError] = None
    given = False
    for message in _messages(path, topic, most):
        try:
            pixels = _pixels(message)
        except ImageError as error:
            refused = error
        else:
            given = True
            yield pixels
    if not given:
        raise ParameterError('images', str(path), 'none of its images can be used '
                             f'({refused or "there is no message"}); name another bag or topic')


def _messages(path, topic, most):
    """Give messages of a topic, at most so many; raises ParameterError."""
    try:
        from rosbags.rosbag2 import Reader
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise ParameterError('images', str(path), 'it is a bag, and what reads bags is not here; '
                             '`pip install rosbags`') from error
    # the messages of images are the same in every distribution
    types = get_typestore(Stores.ROS2_HUMBLE)
    try:
        _expect_readable(path / 'metadata.yaml')
        with Reader(path) as reader:
            chosen = _chosen(path, topic, [connection for connection in reader.connections
                                           if connection.msgtype in (_RAW, _COMPRESSED)])
            for connection, _, content in _spread(reader, chosen, most):
                yield types.deserialize_cdr(content, connection.msgtype)
    except ParameterError:
        raise
    except Exception as error:
        # SQLite's, YAML's and its own: what rosbags raises has nothing in common
        raise ParameterError('images', str(path), f'it cannot be read as a bag '
                             f'({shortened(error)}); name the folder that has its '
                             'metadata.yaml') from error


def _expect_readable(description: Path) -> None:
    """Raise DocumentError for a bag's description in which its reader would not end."""
    if description.is_file():
        yaml_of(read_bytes(description, MOST_BYTES))


def _chosen(path, topic, connections):
    """Return those of one topic; there may be several, of recordings that were joined."""
    topics = sorted({connection.topic for connection in connections})
    wanted = topic or (topics[0] if len(topics) == 1 else '')
    if wanted not in topics:
        raise ParameterError('topic', topic, f'{path} has images of '
                             + (f'{", ".join(topics)}; name one of these' if topics else
                                'no topic at all; record one'))
    return [connection for connection in connections if connection.topic == wanted]


def _spread(reader, connections, most):
    """Give all messages if they are few, else the first one of each of so many stretches."""
    if sum(connection.msgcount for connection in connections) <= most:
        yield from reader.messages(connections)
        return
    stretch_ns = -(-reader.duration // most)
    for start_ns in range(reader.start_time, reader.end_time, stretch_ns):
        yield from itertools.islice(
            reader.messages(connections, start_ns, start_ns + stretch_ns), 1)


def _pixels(message) -> Pixels:
    return (open_compressed if message.__msgtype__ == _COMPRESSED else open_raw)(message)
