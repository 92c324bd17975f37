"""ONNX files: loaded with errors a user can act on, and fed with images instead of tensors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import List, Tuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_model

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.base.content import shortened
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.batch import BATCH, free_batch
from s3dnn_ros.models.flow import reads_of
from s3dnn_ros.models.metadata import metadata_of
from s3dnn_ros.models.other_files import what_else
from s3dnn_ros.models.shapes import fits, shape_of
from s3dnn_ros.models.soundness import expect_modest, expect_sound, type_name
from s3dnn_ros.models.spec import ModelSpec

IMAGE_INPUT = 'image'
# Names of what with_image_input adds; no other part of a graph may start like this.
PREFIX = 's3dnn_image/'
# No network takes more at once.
MOST_IMAGES = 65536

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def load_graph(spec: ModelSpec) -> onnx.ModelProto:
    """Return the checked network of a model description.

    Raises ModelError, naming the file, if it is missing, broken or not the stated one, or if
    its input is not one image of the stated size.
    """
    path = spec.onnx
    require_file(spec)
    found = sha256_of(path) if spec.sha256 else ''
    if found != spec.sha256:
        raise ModelError(
            path,
            f'has the SHA-256 {found}, not {spec.sha256}; '
            f'get the right file or correct `sha256` in {spec.name}.yaml',
        )
    model = parse(path, f'run `s3dnn models export {spec.zoo}`' if spec.zoo else 'copy it again')
    _fill_inputs(model, spec)
    _check_input(model, spec)
    return model


def image_network(spec: ModelSpec) -> onnx.ModelProto:
    """Return the network of a model description, as far as it is read, behind an image input."""
    model = load_graph(spec)
    return with_image_input(as_far_as_read(model, metadata_of(model).complete(spec)), spec)


def as_far_as_read(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Leave out, in place, the outputs that a model's decoder does not read, and all they need.

    They take time, and may be what no engine can give one image of: a single number for a batch.
    Where the decoder refuses the outputs, all of them stay for its sentence.
    """
    shapes = {value.name: shape_of(value) for value in model.graph.output}
    decoder = spec.make_decoder()
    try:
        decoder.check(shapes)
    except ModelError:
        return model
    read = set(decoder.reads(shapes))
    if read == set(shapes):
        return model
    nodes = {name: node for node in model.graph.node for name in node.output if name}
    needed, waiting = set(), [*read]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += reads_of(nodes[name]) if name in nodes else ()
    _keep(model.graph.output, lambda value: value.name in read)
    _keep(model.graph.node, lambda node: not needed.isdisjoint(node.output))
    _keep(model.graph.initializer, lambda tensor: tensor.name in needed)
    return model


def _keep(items, wanted):
    kept = [item for item in items if wanted(item)]
    del items[:]
    items.extend(kept)


def require_file(spec: ModelSpec) -> None:
    """Raise ModelError if the ONNX file of a model description does not exist."""
    if not spec.onnx.is_file():
        hint = (
            f'run `s3dnn models fetch {spec.zoo} && s3dnn models export {spec.zoo}`'
            if spec.zoo
            else f'put the file there or correct `onnx` in {spec.name}.yaml'
        )
        raise ModelError(spec.onnx, f'does not exist; {hint}')


def image_input(model: onnx.ModelProto, source='ONNX graph') -> onnx.ValueInfoProto:
    """Return the one input that is not an initializer.

    Raises ModelError, naming `source`, if there is none or more than one.
    """
    inputs = inputs_of(model)
    if len(inputs) != 1:
        names = ', '.join(value.name for value in inputs) or 'none'
        raise ModelError(
            source,
            f'has {len(inputs)} inputs ({names}); expected one image input, so give the values of '
            'the others as `inputs: {NAME: [...]}`, or export the network without them')
    return inputs[0]


def inputs_of(model: onnx.ModelProto) -> List[onnx.ValueInfoProto]:
    """Return the inputs that are not initializers."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def _fill_inputs(model: onnx.ModelProto, spec: ModelSpec):
    """Make what the description gives the values of constants, in place.

    Sizes that are free, as the batch, become 1: what reads them has to broadcast.
    """
    inputs = {value.name: value for value in inputs_of(model)}
    for name, numbers in spec.inputs.items():
        where = f"{spec.onnx}, input '{name}'"
        if name not in inputs:
            raise ModelError(where, f'is not there, and `inputs` in {spec.name}.yaml gives it; '
                                    f'there are {", ".join(inputs) or "none"}')
        value = inputs[name]
        shape = [size if isinstance(size, int) else 1 for size in shape_of(value)]
        if math.prod(shape) != len(numbers):
            raise ModelError(where, f'has the shape {shape}; `inputs` in {spec.name}.yaml gives '
                                    f'{len(numbers)} numbers')
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        model.graph.initializer.append(numpy_helper.from_array(
            np.array(numbers).astype(kind).reshape(shape), name))
        model.graph.input.remove(value)


def batch_of(model: onnx.ModelProto) -> int:
    """Return the batch that a network is fixed to, 0 if it takes any."""
    batch = shape_of(image_input(model))[0]
    return batch if isinstance(batch, int) else 0


def with_image_input(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return a copy that takes `image`, uint8 [N, H, W, 3] in the order of `spec.colour`.

    Subtracting the mean, dividing by the deviation and the change of layout become nodes of the
    graph. N is free if the network allows it, which is tried by shape inference; else it keeps
    the network's own batch (`batch_of`). Raises ModelError if the input does not fit `spec`.
    """
    planes = _check_input(model, spec)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    _free_name(result, IMAGE_INPUT, spec.onnx)
    original = image_input(result)
    batch = shape_of(original)[0] or BATCH
    if isinstance(batch, int) and free_batch(result, original.name):
        batch = BATCH
    element_type = original.type.tensor_type.elem_type
    nodes = _preprocessing(spec, original.name, element_type, planes)
    graph.input.remove(original)
    graph.input.insert(
        0,
        helper.make_tensor_value_info(
            IMAGE_INPUT, TensorProto.UINT8, [batch, spec.height, spec.width, 3]
        ),
    )
    for label, numbers in (('mean', spec.mean), ('scale', 1.0 / np.array(spec.std))):
        array = np.asarray(numbers, np.float32)
        graph.initializer.append(numpy_helper.from_array(array, PREFIX + label))
    network = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + network)
    return result


def parse(path: Path, again: str) -> onnx.ModelProto:
    """Return the checked network in a file; ModelError says what to do `again` if it is broken."""
    try:
        model = onnx.load(str(path), load_external_data=False)
        # before anything walks through it
        expect_modest(model, path)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ModelError(path, what_else(path) or 'is not a whole ONNX file '
                         f'({shortened(error)}); {again}') from error
    except OSError as error:
        raise ModelError(path, f'cannot be read ({shortened(error)}); check it') from error
    try:
        load_external_data_for_model(model, str(path.parent))
    except (ValueError, RuntimeError, OSError, onnx.checker.ValidationError) as error:
        raise ModelError(
            path, 'has its weights in a file of their own, which cannot be read '
                  f'({shortened(error)}); keep both in one folder, or {again}') from error
    if not model.graph.node:
        raise ModelError(path, f'holds no network; {again}')
    _lower_format(model)
    expect_sound(model, path, 'export it again')
    return model


def _lower_format(model: onnx.ModelProto):
    """State the oldest version of the file format that has the network's operators, in place.

    Exporters state their own, which an older runtime refuses although it knows all that is in it.
    """
    known = [each for each in model.opset_import if each.domain in ('', 'ai.onnx', 'ai.onnx.ml')]
    try:
        model.ir_version = min(model.ir_version, helper.find_min_ir_version_for(known))
    except ValueError:
        return      # operators that are newer than this package: the checker says so


def _check_input(model: onnx.ModelProto, spec: ModelSpec) -> bool:
    """Return whether the input is [N, 3, H, W] (and not [N, H, W, 3]) of the stated size."""
    value = image_input(model, spec.onnx)
    shape = shape_of(value)
    where = f"{spec.onnx}, input '{value.name}'"
    number = value.type.tensor_type.elem_type
    if number not in _FLOATS:
        raise ModelError(where, f'is {type_name(number)}; expected FLOAT or FLOAT16: export a '
                                'float network')
    found = '[' + ', '.join(str(item or '?') for item in shape) + ']'
    for channel, (row, column), planes in ((1, (2, 3), True), (3, (1, 2), False)):
        if not fits(shape, tuple(3 if axis == channel else None for axis in range(4))):
            continue
        for axis, wanted in ((row, spec.height), (column, spec.width)):
            if isinstance(shape[axis], int) and shape[axis] != wanted:
                raise ModelError(
                    where,
                    f'has the shape {found}; {spec.name}.yaml says {spec.width} × {spec.height} '
                    'pixels (width × height): correct it there',
                )
        if isinstance(shape[0], int) and shape[0] > MOST_IMAGES:
            raise ModelError(where, f'has the shape {found}; export it for one image')
        return planes
    raise ModelError(
        where, f'has the shape {found}; expected an image, [N, 3, H, W] or [N, H, W, 3]'
    )


def _preprocessing(spec: ModelSpec, target: str, element_type: int, planes: bool) -> List:
    """Return the nodes from the image to `target`; the last one writes it."""
    steps: List[Tuple[str, List[str], dict]] = [
        ('Cast', [], {'to': TensorProto.FLOAT}),
        ('Sub', [PREFIX + 'mean'], {}),
        ('Mul', [PREFIX + 'scale'], {}),
    ]
    if element_type == TensorProto.FLOAT16:
        steps.append(('Cast', [], {'to': TensorProto.FLOAT16}))
    if planes:
        steps.append(('Transpose', [], {'perm': [0, 3, 1, 2]}))
    nodes, source = [], IMAGE_INPUT
    for index, (kind, more, attributes) in enumerate(steps):
        name = f'{PREFIX}{index}_{kind.lower()}'
        output = target if index == len(steps) - 1 else name
        nodes.append(helper.make_node(kind, [source, *more], [output], name, **attributes))
        source = output
    return nodes


def _free_name(model: onnx.ModelProto, name: str, source) -> None:
    """Rename a tensor called `name`, in all graphs; the network's outputs keep their names."""
    if any(output.name == name for output in model.graph.output):
        raise ModelError(
            source,
            f"has an output called '{name}', the name of the image input; rename the output",
        )
    new = PREFIX + 'was_' + name

    def visit(graph: onnx.GraphProto) -> None:
        for tensor in list(graph.input) + list(graph.initializer) + list(graph.value_info):
            tensor.name = new if tensor.name == name else tensor.name
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [new if item == name else item for item in names]
            for attribute in node.attribute:
                for inner in [*attribute.graphs, attribute.g]:
                    visit(inner)

    visit(model.graph)
