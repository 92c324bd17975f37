"""Images out of recorded bags (rosbag2, of sqlite3 or mcap), without ROS."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Iterator, List, Optional

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
    """Tell whether this is a bag's folder, with metadata.yaml or without it, or a file of one."""
    return (path.suffix in _SUFFIXES or (path / 'metadata.yaml').is_file()
            or bool(_files_in(path)))


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
        with contextlib.ExitStack() as stack:
            readers = [stack.enter_context(Reader(part)) for part in _parts(path)]
            for connection, _, content in _spread(_chosen(path, topic, readers), most):
                yield types.deserialize_cdr(content, connection.msgtype)
    except ParameterError:
        raise
    except Exception as error:
        # SQLite's, YAML's and its own: what rosbags raises has nothing in common
        folder = path if path.is_dir() else path.parent
        raise ParameterError('images', str(path), f'it cannot be read as a bag '
                             f'({shortened(error)}); name the folder that has its metadata.yaml, '
                             f'or run `ros2 bag reindex {folder}`, which makes one') from error


def _parts(path: Path) -> List[Path]:
    """Return what the library reads: a bag, or the files of one without a description."""
    return [path] if (path / 'metadata.yaml').is_file() or not path.is_dir() else _files_in(path)


def _files_in(folder: Path) -> List[Path]:
    return sorted(path for suffix in _SUFFIXES for path in folder.glob(f'*{suffix}'))


def _expect_readable(description: Path) -> None:
    """Raise DocumentError for a bag's description in which its reader would not end."""
    if description.is_file():
        yaml_of(read_bytes(description, MOST_BYTES))


def _chosen(path, topic, readers):
    """Return readers, each with its connections of one topic; joined recordings have several."""
    images = [(reader, [connection for connection in reader.connections
                        if connection.msgtype in (_RAW, _COMPRESSED)]) for reader in readers]
    topics = sorted({connection.topic for _, found in images for connection in found})
    wanted = topic or (topics[0] if len(topics) == 1 else '')
    if wanted not in topics:
        raise ParameterError('topic', topic, f'{path} has images of '
                             + (f'{", ".join(topics)}; name one of these' if topics else
                                'no topic at all; record one'))
    of_topic = ((reader, [connection for connection in found if connection.topic == wanted])
                for reader, found in images)
    # without connections, a reader gives the messages of all topics
    return [(reader, found) for reader, found in of_topic if found]


def _spread(chosen, most):
    """Give all messages if they are few, else the first one of each of so many stretches."""
    if sum(connection.msgcount for _, found in chosen for connection in found) <= most:
        for reader, found in chosen:
            yield from reader.messages(found)
        return
    begin_ns = min(reader.start_time for reader, _ in chosen)
    end_ns = max(reader.end_time for reader, _ in chosen)
    stretch_ns = -(-(end_ns - begin_ns) // most)
    for start_ns in range(begin_ns, end_ns, stretch_ns):
        yield from itertools.islice(itertools.chain.from_iterable(
            reader.messages(found, start_ns, start_ns + stretch_ns)
            for reader, found in chosen), 1)


def _pixels(message) -> Pixels:
    return (open_compressed if message.__msgtype__ == _COMPRESSED else open_raw)(message)
