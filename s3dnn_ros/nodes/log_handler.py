"""What rooms without ROS log goes to the logger of the node that they work for."""

from __future__ import annotations

import logging


class NodeLogHandler(logging.Handler):
    """Logs for a node what some rooms log, from `attach` to `detach`.

    Warnings go through `complain`, which says the same thing every few seconds at most.

    Parameters
    ----------
    node : S3dnnNode
    rooms : iterable of str
        Packages, as `s3dnn_ros.runtime`.

    """

    def __init__(self, node, rooms):
        super().__init__(logging.INFO)
        self._node = node
        self._loggers = [logging.getLogger(room) for room in rooms]

    def attach(self):
        """Begin."""
        for logger in self._loggers:
            logger.setLevel(logging.INFO)
            logger.addHandler(self)

    def detach(self):
        """End."""
        for logger in self._loggers:
            logger.removeHandler(self)

    def emit(self, record):
        """Hand one record on."""
        sentence = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._node.get_logger().error(sentence)
        elif record.levelno >= logging.WARNING:
            self._node.complain(sentence)
        else:
            self._node.get_logger().info(sentence)
