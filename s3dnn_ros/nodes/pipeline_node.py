"""Governor and executor composed in one process; frames cross as references."""

from __future__ import annotations

import sys

from s3dnn_ros.nodes.executor_node import ExecutorNode
from s3dnn_ros.nodes.governor_node import GovernorNode
from s3dnn_ros.nodes.running import run


def main():
    """Run both nodes; each keeps its own name, parameters and lifecycle."""
    return sys.exit(run(lambda *_: ExecutorNode(), lambda executor: GovernorNode(executor)))
