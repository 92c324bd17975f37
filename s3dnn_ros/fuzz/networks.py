"""Hostile networks: ONNX files, and what the cache keeps of them with its checksums right."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import struct
import zlib
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.cache import cache_dir
from s3dnn_ros.engines.tensorrt import int8
from s3dnn_ros.engines.tensorrt.loaded_engine import Tensor
from s3dnn_ros.engines.tensorrt.plan_cache import (
    MAGIC,
    Plan,
    PlanKey,
    Refusal,
    plan_path,
    read_plan,
    read_refusal,
    refusal_path,
    write_plan,
    write_refusal,
)
from s3dnn_ros.fuzz.documents import SHA256
from s3dnn_ros.fuzz.mutations import mutated, mutated_json
from s3dnn_ros.models.graph import image_network
from s3dnn_ros.models.prepared import prepare
from s3dnn_ros.models.segmentation import cut_points, split
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.models.variants import make_variants, stored_variants

_LENGTH = struct.Struct('<Q')
_RATIOS = (1.0, 0.5)


def network() -> onnx.ModelProto:
    """Return a network of images 8 × 6 with a subgraph, a constant and three classes."""
    rng = np.random.default_rng(0)
    weights = {'w': rng.normal(size=(16, 3, 3, 3)), 'v': rng.normal(size=(16, 3)),
               'yes': np.array(True)}
    branch = helper.make_graph(
        [helper.make_node('Relu', ['features'], ['inner'])], 'then', [],
        [helper.make_tensor_value_info('inner', TensorProto.FLOAT, None)])
    nodes = [helper.make_node('Conv', ['x', 'w'], ['features'], 'conv', pads=[1] * 4),
             helper.make_node('If', ['yes'], ['either'], 'if', then_branch=branch,
                              else_branch=branch),
             helper.make_node('GlobalAveragePool', ['either'], ['mean']),
             helper.make_node('Flatten', ['mean'], ['flat']),
             helper.make_node('MatMul', ['flat', 'v'], ['logits']),
             helper.make_node('Softmax', ['logits'], ['scores'], axis=1)]
    graph = helper.make_graph(
        nodes, 'tiny', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 6, 8])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(array if array.dtype == bool else array.astype(np.float32), name)
         for name, array in weights.items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 13)])


def spec(onnx_file: Path) -> ModelSpec:
    """Return the description of that network."""
    return ModelSpec('tiny', onnx_file, 8, 6, 'bgr', (1.0, 2.0, 3.0), (2.0, 3.0, 4.0), 'stretch',
                     'classification')


class Networks:
    """ONNX files, damaged as bytes and as graphs; they are prepared and cut."""

    name = 'ONNX file'

    def __init__(self, folder: Path):
        self._path = folder / 'tiny.onnx'
        self._network = network()

    def make(self, chance: random.Random) -> bytes:
        """Return an input; see `Kind`."""
        model = onnx.ModelProto()
        model.CopyFrom(self._network)
        if chance.random() < 0.3:
            return mutated(model.SerializeToString(), chance)
        for _ in range(chance.randint(1, 4)):
            chance.choice(_ON_NETWORKS)(model, chance)
        return model.SerializeToString()

    def use(self, given: bytes) -> None:
        """Use it; see `Kind`."""
        self._path.write_bytes(given)
        model = image_network(spec(self._path))
        for cuts in (cut_points(model, 2), cut_points(model, 3, whole_layers=True)[:1]):
            split(model, cuts)


def _graphs(graph) -> List:
    found = [graph]
    for each in found:
        for node in each.node:
            for attribute in node.attribute:
                if attribute.HasField('g'):
                    found.append(attribute.g)
    return found


def _chosen(model, chance):
    graph = chance.choice(_graphs(model.graph)[:20])
    return graph, chance.choice(graph.node) if graph.node else onnx.NodeProto()


def _names(model):
    return ['', 'none', 'x', 'image', 'features', 'scores', 'w', 'a\0b', 's3dnn_image/mean',
            *(name for node in model.graph.node for name in node.output)]


def _rewire(model, chance):
    _, node = _chosen(model, chance)
    names = chance.choice((node.input, node.output))
    if names:
        names[chance.randrange(len(names))] = chance.choice(_names(model))
    else:
        names.append(chance.choice(_names(model)))


def _drop(model, chance):
    graph, _ = _chosen(model, chance)
    items = chance.choice((graph.node, graph.initializer, graph.input, graph.output))
    if items:
        del items[chance.randrange(len(items))]


def _copy(model, chance):
    graph, _ = _chosen(model, chance)
    items = chance.choice((graph.node, graph.initializer, graph.input, graph.output))
    if items:
        items.extend([chance.choice(items)] * chance.choice((1, 2, 50)))


def _tensor(model, chance):
    if not model.graph.initializer:
        return
    tensor = chance.choice(model.graph.initializer)
    change = chance.randrange(6)
    if change == 0:
        del tensor.dims[:]
        tensor.dims.extend(chance.choice(((0,), (-1,), (2**62, 2**62), (10**12,), (1,) * 40,
                                          (2**63 - 1,), (3, 16), (1, 10**6, 10**6))))
    elif change == 1:
        tensor.data_type = chance.choice((0, 1, 2, 7, 8, 10, 16, 17, 23, 99, 2**31 - 1, -1))
    elif change == 2:
        tensor.raw_data = mutated(tensor.raw_data, chance)
    elif change == 3:
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (('location', chance.choice(('../../etc/passwd', '/dev/zero', '',
                                                       'tiny.onnx', '.', 'none', 'a\0b'))),
                           ('offset', chance.choice(('-1', 'x', '99999999999999999999', '0'))),
                           ('length', chance.choice(('-1', '10000000000', '8', '')))):
            tensor.external_data.add(key=key, value=value)
    elif change == 4:
        tensor.string_data.append(b'\xff')
    else:
        tensor.name = chance.choice(_names(model))


def _value(model, chance):
    values = chance.choice((model.graph.input, model.graph.output))
    if not values:
        return
    value = chance.choice(values)
    if chance.random() < 0.3:
        value.type.CopyFrom(chance.choice((
            onnx.TypeProto(), helper.make_sequence_type_proto(value.type),
            helper.make_tensor_type_proto(chance.choice((0, 1, 8, 10, 99)), [1, 3, 6, 8]))))
        return
    shape = value.type.tensor_type.shape
    if shape.dim:
        dim = chance.choice(shape.dim)
        dim.dim_value = chance.choice((0, -1, 1, 2, 3, 2**31, 2**62, -2**63))
        if chance.random() < 0.5:
            dim.dim_param = chance.choice(('N', '', 'x' * 10_000, '\u202e'))
    for _ in range(chance.choice((0, 0, 1, 1000))):
        shape.dim.add(dim_value=1)


def _attribute(model, chance):
    _, node = _chosen(model, chance)
    name = chance.choice([each.name for each in node.attribute] or ['axis'])
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.append(helper.make_attribute(name, chance.choice((
        0, -1, 2**62, 0.5, float('nan'), 'x', b'\xff', [1], [2**62] * 3, [0] * 1000, ['x'],
        numpy_helper.from_array(np.zeros(2, np.float32))))))


def _nest(model, chance):
    """Put the network's relu so many subgraphs deep, in one branch or in both."""
    both = chance.random() < 0.5
    graph = helper.make_graph(
        [helper.make_node('Relu', ['features'], ['inner'])], 'then', [],
        [helper.make_tensor_value_info('inner', TensorProto.FLOAT, None)])
    for level in range(chance.choice((1, 3, 8, 12) if both else (1, 4, 16, 25))):
        node = helper.make_node('If', ['yes'], [f'n{level}'], f'if{level}')
        node.attribute.add(name='then_branch', type=onnx.AttributeProto.GRAPH).g.CopyFrom(graph)
        other = node.attribute.add(name='else_branch', type=onnx.AttributeProto.GRAPH).g
        if both:
            other.CopyFrom(graph)
        else:
            other.CopyFrom(helper.make_graph(
                [helper.make_node('Neg', ['features'], ['o'])], 'else', [],
                [helper.make_tensor_value_info('o', TensorProto.FLOAT, None)]))
        graph = helper.make_graph([node], f'g{level}', [], [
            helper.make_tensor_value_info(f'n{level}', TensorProto.FLOAT, None)])
    for node in model.graph.node:
        if node.op_type == 'If':
            node.attribute[0].g.CopyFrom(graph)


def _functions(model, chance):
    """Let functions call each other, in a circle, or each the next one twice."""
    depth = chance.choice((1, 2, 5, 12, 40))
    circle = chance.random() < 0.3
    for level in range(depth):
        called = level + 1 if level + 1 < depth else 0 if circle else None
        inner = [helper.make_node(f'f{called}', ['a'], ['m'], domain='own'),
                 helper.make_node(f'f{called}', ['m'], ['b'], domain='own')] \
            if called is not None else [helper.make_node('Relu', ['a'], ['b'])]
        model.functions.append(helper.make_function(
            'own', f'f{level}', ['a'], ['b'], inner,
            [helper.make_opsetid('', 13), helper.make_opsetid('own', 1)]))
    model.opset_import.append(helper.make_opsetid('own', 1))
    for node in model.graph.node:
        if node.op_type == 'Flatten':
            node.op_type, node.domain = 'f0', 'own'
            del node.attribute[:]


def _head(model, chance):
    change = chance.randrange(4)
    if change == 0:
        model.ir_version = chance.choice((0, -1, 3, 99, 2**62))
    elif change == 1:
        model.opset_import.append(helper.make_opsetid(
            chance.choice(('', 'x', 'ai.onnx.ml', 'x' * 10_000)), chance.choice((0, -1, 1, 999))))
    elif change == 2:
        model.graph.name = chance.choice(('', 'a\0b', 'x' * 100_000))
    else:
        _, node = _chosen(model, chance)
        node.op_type = chance.choice(('', 'None', 'Reshape', 'Loop', 'Scan', 'ConstantOfShape',
                                      'Concat', 'Expand', 'Range', 'Tile', 'x' * 10_000))


_ON_NETWORKS = (_rewire, _rewire, _drop, _copy, _tensor, _tensor, _value, _attribute, _nest,
                _functions, _head)


class _Cached:
    """Has a cache of its own while an input is used."""

    name = ''

    def __init__(self, folder: Path):
        self._folder = folder
        self._in_cache(self._prepare)

    def use(self, given: Any) -> None:
        """Use it; see `Kind`."""
        self._in_cache(lambda: self._read(given))

    def _in_cache(self, step: Callable[[], None]) -> None:
        before = os.environ.get('S3DNN_CACHE')
        os.environ['S3DNN_CACHE'] = str(self._folder)
        try:
            step()
        finally:
            if before is None:
                del os.environ['S3DNN_CACHE']
            else:
                os.environ['S3DNN_CACHE'] = before

    def _prepare(self) -> None:
        raise NotImplementedError

    def _read(self, given: Any) -> None:
        raise NotImplementedError


class Plans(_Cached):
    """TensorRT's plans, refusals and ranges, as bytes or with their hash right."""

    name = 'TensorRT plan'
    _key = PlanKey('net', 2, 1, SHA256, 'fp16', 1, 4, 8, 1, ('conv1',), ('conv1',), -1, 0, (), -1,
                   '', 0, '8.6.0', '9.0')

    def _prepare(self):
        tensors = (Tensor('image', True, 'float32', (-1, 4, 4, 3)),
                   Tensor('score', False, 'float32', (-1, 10), channels_last=True))
        write_plan(Plan(self._key, bytes(range(256)), tensors, 12, ('cast',)))
        write_refusal(Refusal(self._key, 'took more than 2 s', 2.0))
        self._scales = int8.scales_path('net', SHA256, '8.6.0')
        int8.write_scales(self._scales, SHA256, b'ranges')
        self._files = [plan_path(self._key), refusal_path(self._key), self._scales]
        self._contents = [path.read_bytes() for path in self._files]

    def make(self, chance):
        """Return an input; see `Kind`."""
        which = chance.randrange(3)
        content = self._contents[which]
        if chance.random() < 0.1:
            return which, mutated(content, chance)
        start = len(MAGIC) + hashlib.sha256().digest_size + _LENGTH.size
        length = _LENGTH.unpack_from(content, start - _LENGTH.size)[0]
        head = mutated_json(json.loads(content[start:start + length]), chance)
        told = len(head) if chance.random() < 0.9 else chance.choice((0, 1, 2**63, 2**64 - 1))
        body = _LENGTH.pack(told) + head + content[start + length:]
        return which, MAGIC + hashlib.sha256(body).digest() + body

    def _read(self, given):
        which, content = given
        self._files[which].write_bytes(content)
        if which == 0:
            plan = read_plan(self._key)
            for tensor in plan.tensors:
                np.dtype(tensor.dtype)
                f'{tensor.name} {tensor.shape}'.encode()
            ', '.join(plan.on_gpu)
        elif which == 1:
            refusal = read_refusal(self._key)
            refusal.sentence.encode()
            assert refusal.limit_s >= 0.0
        else:
            int8.read_scales(self._scales, SHA256)


class PreparedNetworks(_Cached):
    """Prepared networks with their checksum right; one that is damaged is made anew."""

    name = 'prepared network'

    def _prepare(self):
        onnx.save(network(), str(self._folder / 'tiny.onnx'))
        self._spec = spec(self._folder / 'tiny.onnx')
        prepare(self._spec, None, 'none')
        self._path, = (cache_dir() / 'prepared').iterdir()
        head, _, self._body = self._path.read_bytes().partition(b'\n')
        self._head = json.loads(head)

    def make(self, chance):
        """Return an input; see `Kind`."""
        body = mutated(self._body, chance) if chance.random() < 0.2 else self._body
        head = {**self._head, 'crc32': zlib.crc32(body)}
        return mutated_json(head, chance).replace(b'\n', b' ') + b'\n' + body

    def _read(self, given):
        self._path.write_bytes(given)
        found = prepare(self._spec, None, 'none')
        assert len(found.models) == len(found.cuts) + 1 and all(found.models)
        dataclasses.astuple(found)


class StoredVariants(_Cached):
    """Variants with their hash right; what is damaged is refused, or made anew."""

    name = 'stored variant'

    def _prepare(self):
        self._segments = split(network(), ())
        make_variants(self._folder / 'net.x', self._segments, _RATIOS)
        self._path, = (self._folder / 'net.x').glob('*.json')
        self._network = self._path.with_suffix('.onnx')
        self._content, self._key = self._network.read_bytes(), json.loads(self._path.read_text())

    def make(self, chance):
        """Return an input; see `Kind`."""
        content = mutated(self._content, chance) if chance.random() < 0.5 else self._content
        key = {**self._key, 'sha256': hashlib.sha256(content).hexdigest()}
        described = json.dumps(key).encode() if content is not self._content \
            and chance.random() < 0.8 else mutated_json(key, chance)
        return content, described, chance.random() < 0.1

    def _read(self, given):
        content, described, anew = given
        self._network.write_bytes(content)
        self._path.write_bytes(described)
        if anew:
            make_variants(self._folder / 'net.x', self._segments, _RATIOS)
        for each in stored_variants(self._folder / 'net.x', self._segments, _RATIOS, ''):
            each.at(0.5)


KINDS: List[Callable] = [Networks, Plans, PreparedNetworks, StoredVariants]
