"""Reads TensorFlow.js graph models: a JSON topology beside one file of weights."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from s3dnn_ros.errors import ModelError


@dataclass(frozen=True)
class TfNode:
    """One operation; `inputs` are NAME or NAME:OUTPUT, `attributes` plain Python values."""

    name: str
    kind: str
    inputs: Tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class TfGraph:
    """The operations of a model and its constants by node name."""

    nodes: Mapping[str, TfNode]
    constants: Mapping[str, np.ndarray]

    def ordered(self, outputs: Sequence[str]) -> List[TfNode]:
        """Return what the outputs need, each node after its inputs.

        The order is depth first, so that one output is finished before the next one begins:
        few tensors are alive at any point.
        """
        done: Dict[str, TfNode] = {}
        stack = [(name, False) for name in reversed(outputs)]
        while stack:
            name, ready = stack.pop()
            node = self.nodes[name]
            if name in done:
                continue
            if ready:
                done[name] = node
                continue
            stack.append((name, True))
            stack.extend((source.split(':')[0], False) for source in reversed(node.inputs))
        return list(done.values())


def read_graph(topology: Path, weights: Path) -> TfGraph:
    """Read a model; its half-precision weights come back as float32."""
    document = json.loads(topology.read_text(encoding='utf-8'))
    nodes = {
        node['name']: TfNode(
            node['name'],
            node['op'],
            tuple(node.get('input', ())),
            {key: _attribute(value) for key, value in node.get('attr', {}).items()},
        )
        for node in document['modelTopology']['node']
    }
    entries = [entry for group in document['weightsManifest'] for entry in group['weights']]
    return TfGraph(nodes, _constants(entries, weights))


def _constants(entries: Sequence[Mapping], weights: Path) -> Dict[str, np.ndarray]:
    content, offset, constants = weights.read_bytes(), 0, {}
    for entry in entries:
        stored = np.dtype(entry.get('quantization', {}).get('dtype', entry['dtype']))
        count = int(np.prod(entry['shape'], dtype=np.int64))
        array = np.frombuffer(content, stored, count, offset).reshape(entry['shape'])
        constants[entry['name']] = array.astype(entry['dtype'])
        offset += array.nbytes
    if offset != len(content):
        raise ModelError(weights, f'has {len(content)} bytes, {offset} were described')
    return constants


def _attribute(value: Mapping[str, Any]) -> Any:
    """Return the plain value of a protobuf attribute as JSON writes it."""
    ((kind, content),) = value.items()
    if kind == 's':
        return base64.b64decode(content).decode()
    if kind == 'i':
        return int(content)
    if kind == 'list':
        return [int(item) for item in content.get('i', ())]
    return content
