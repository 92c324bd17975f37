"""A description for a network's file that has none, from what the file says and how it is made."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import yaml

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.decoders import decoder_names, make_decoder
from s3dnn_ros.models.labels import NAMED_LABELS
from s3dnn_ros.models.metadata import TASKS_IN_ROWS, Metadata, metadata_of
from s3dnn_ros.models.shapes import Shapes, shape_of, size

# Where the input's size is free, and nobody says another.
USUAL_SIDE = 640
# Networks that choose their boxes themselves give no more.
MOST_FINAL_BOXES = 1000
# Values of a box beside its classes, in NanoDet's joined output.
NANODET_EDGES = 44
# Operators that give the same values in another shape or type.
RESHAPING = ('Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Identity', 'Cast')
IMAGENET = {'mean': [123.675, 116.28, 103.53], 'std': [58.395, 57.12, 57.375]}
ZERO_TO_ONE = {'mean': [0.0, 0.0, 0.0], 'std': [255.0, 255.0, 255.0]}
AS_THEY_ARE = {'mean': [0.0, 0.0, 0.0], 'std': [1.0, 1.0, 1.0]}
# What networks of each decoder are mostly trained with.
HABITS: Dict[str, Dict[str, Any]] = {
    'nanodet': {'colour': 'bgr', 'mean': [103.53, 116.28, 123.675],
                'std': [57.375, 57.12, 58.395], 'resize': 'stretch'},
    'yolov5': {'colour': 'rgb', **ZERO_TO_ONE, 'resize': 'letterbox'},
    'yolov8': {'colour': 'rgb', **ZERO_TO_ONE, 'resize': 'letterbox'},
    'yolo_final': {'colour': 'rgb', **ZERO_TO_ONE, 'resize': 'letterbox'},
    'yolox': {'colour': 'bgr', **AS_THEY_ARE, 'resize': 'letterbox'},
    'ssd': {'colour': 'rgb', **IMAGENET, 'resize': 'stretch'},
    'rtdetr': {'colour': 'rgb', **ZERO_TO_ONE, 'resize': 'stretch'},
    'detr': {'colour': 'rgb', **ZERO_TO_ONE, 'resize': 'stretch'},
    'classification': {'colour': 'rgb', **IMAGENET, 'resize': 'stretch'},
}


@dataclasses.dataclass(frozen=True)
class Choice:
    """A decoder that fits, its options, the classes that it finds, and why it is the choice."""

    decoder: str
    options: Mapping[str, Any]
    classes: int
    why: str


def choose_decoder(shapes: Shapes, width: int, height: int, metadata: Metadata) -> Choice:
    """Return the decoder for outputs of these shapes.

    Raises ModelError that lists what the decoders read, if none fits.
    """
    for name, options, why in (*_as_said(shapes, metadata), *_as_shaped(shapes)):
        try:
            classes = make_decoder(name, width, height, **options).check(shapes)
        except ModelError:
            continue
        return Choice(name, options, classes or len(metadata.names), why)
    found = ', '.join(f'{name} [{", ".join(str(one or "?") for one in shape)}]'
                      for name, shape in shapes.items())
    raise ModelError('outputs', f'{found} are what no decoder reads; there are '
                     f'{", ".join(decoder_names())}: export the network with its boxes decoded')


def _as_said(shapes: Shapes, metadata: Metadata):
    """Give the decoders that fit what the file says of itself."""
    task: Dict[str, Any] = {}
    if metadata.task in TASKS_IN_ROWS:
        task = {'task': metadata.task}
        if metadata.task == 'pose' and metadata.keypoints:
            task.update(keypoints=metadata.keypoints, keypoint_values=metadata.keypoint_values)
        if metadata.task == 'segment':
            task.update(_outputs_by_rank(shapes))
    if metadata.task == 'classify':
        yield 'classification', {'top_k': 5}, 'the file says that its task is classify'
    elif metadata.task:
        said = f'the file says that its task is {metadata.task}'
        if not metadata.is_final:
            yield 'yolov8', task, said
        if metadata.is_final is not False:
            yield 'yolo_final', task, f'{said}, and its boxes are final'
        if not (metadata.is_final or task):
            yield from _few_boxes(shapes)
            yield 'yolov5', {}, f'{said}, and each box has its objectness'


def _as_shaped(shapes: Shapes):
    """Give the decoders that shapes and names of outputs suggest, the most particular first."""
    last = size(next(iter(shapes.values()), (0,)), -1)
    if len(shapes) > 1 or last - NANODET_EDGES in map(len, NAMED_LABELS.values()):
        yield 'nanodet', {}, 'classes and edges of boxes are given for each cell of its grids'
    yield 'detr', {}, 'there are logits and boxes as DETR and its successors have them'
    yield from _separate(shapes)
    masks = _outputs_by_rank(shapes)
    if masks:
        yield 'yolov8', {'task': 'segment', **masks}, 'there are prototypes of masks'
        yield 'yolo_final', {'task': 'segment', **masks}, 'there are prototypes of masks'
    for name in shapes:
        options = {'output': name} if len(shapes) > 1 else {}
        shape = shapes[name]
        if len(shape) == 3 and size(shape, 2) == 6 and size(shape, 1) <= MOST_FINAL_BOXES:
            yield 'yolo_final', options, 'a row is left, top, right, bottom, score and class'
        yield 'yolov8', options, 'there are more boxes than values of a box'
        yield 'yolox', options, 'there is a row for each cell of its grids'
        yield from _few_boxes(shapes, options)
        yield 'yolov5', options, 'each row is a box with objectness and scores'
        yield 'classification', {**options, 'top_k': 5}, 'there is one value for each class'


def _few_boxes(shapes: Shapes, options: Optional[Mapping] = None):
    for shape in shapes.values():
        if len(shape) == 3 and 0 < size(shape, 1) <= MOST_FINAL_BOXES:
            yield 'rtdetr', options or {}, 'there are few boxes, each with all its scores'


def _separate(shapes: Shapes):
    """Give ssd with the outputs that are called as what they are."""
    boxes, scores, classes = (
        next((name for name in shapes if any(word in name.lower() for word in words)), '')
        for words in (('box',), ('score', 'conf', 'prob'), ('label', 'class', 'cls')))
    if boxes and scores:
        why = 'boxes and scores are outputs of their own, and decoded'
        if classes and classes != scores:
            yield 'ssd', {'boxes': boxes, 'scores': scores, 'classes': classes,
                          'normalised': False, 'background': 0}, why
        yield 'ssd', {'boxes': boxes, 'scores': scores}, why


def _outputs_by_rank(shapes: Shapes) -> Dict[str, str]:
    """Return the names of boxes and prototypes, if there is one output of each."""
    boxes = [name for name, shape in shapes.items() if len(shape) == 3]
    prototypes = [name for name, shape in shapes.items() if len(shape) == 4]
    if len(boxes) != 1 or len(prototypes) != 1:
        return {}
    return {'output': boxes[0], 'prototypes': prototypes[0]}


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """A description as text for a YAML file; `notes` say, line by line, what it was made of."""

    text: str
    notes: Tuple[str, ...]


def describe(path: Path) -> Suggestion:
    """Return a description of an ONNX file.

    Raises ModelError if it is no network for images, or no decoder reads its outputs.
    """
    # the package onnx is needed for a file only
    from s3dnn_ros.models.graph import inputs_of, parse

    model = parse(path, 'copy it again')
    metadata = metadata_of(model)
    image, others = _image_among(inputs_of(model), path)
    width, height, from_where = _size(shape_of(image))
    shapes = {value.name: shape_of(value) for value in model.graph.output}
    try:
        choice = choose_decoder(shapes, width, height, metadata)
    except ModelError as error:
        raise ModelError(path, str(error)) from error
    values: Dict[str, Any] = {
        'description': '', 'onnx': path.name, 'width': width, 'height': height,
        **HABITS[choice.decoder], 'decoder': choice.decoder}
    options = dict(choice.options)
    if choice.decoder == 'classification':
        if metadata.task:
            values.update(ZERO_TO_ONE)
        if not _is_softmax(model, options.get('output') or next(iter(shapes))):
            options['softmax'] = True
    if options:
        values['decoder_options'] = options
    if others:
        values['inputs'] = {value.name: _guess(value, width, height, path) for value in others}
    labels, labels_note = _labels(choice, metadata)
    values.update(labels)
    habit = ('as Ultralytics trains' if metadata.task else
             f"as networks for '{choice.decoder}' are mostly trained: compare it with yours")
    notes = (
        f'input    {width} × {height} pixels, {from_where}',
        f'colour   {values["colour"]}, mean {values["mean"]}, std {values["std"]}, '
        f'{values["resize"]}: {habit}',
        f'decoder  {choice.decoder}: {choice.why}',
        f'classes  {choice.classes or "?"}: {labels_note}')
    head = '\n'.join(f'# {note}' for note in (f'Suggested for {path.name}.', *notes))
    return Suggestion(f'{head}\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}',
                      notes)


def _is_softmax(model, output: str) -> bool:
    """Return whether an output is that of a softmax, in whatever shape."""
    nodes = {name: node for node in model.graph.node for name in node.output}
    while output in nodes and nodes[output].op_type in RESHAPING:
        output = nodes[output].input[0]
    return output in nodes and nodes[output].op_type in ('Softmax', 'Sigmoid')


def _image_among(inputs, path):
    """Return the input that is an image, and the others."""
    images = [value for value in inputs if len(shape_of(value)) == 4]
    if len(images) != 1:
        raise ModelError(path, f'has {len(images)} inputs with four sizes, and an image is one; '
                               'export a network for images')
    return images[0], [value for value in inputs if value is not images[0]]


def _size(shape: Sequence) -> Tuple[int, int, str]:
    """Return width and height of an image input, and where they are from."""
    planes = size(shape, 1) == 3 or size(shape, 3) != 3
    height, width = (size(shape, axis) for axis in ((2, 3) if planes else (1, 2)))
    if width and height:
        return width, height, 'as the file says'
    return (width or USUAL_SIDE, height or USUAL_SIDE,
            'free in the file: set what it was trained with')


def _guess(value, width, height, path) -> List[int]:
    """Return the numbers of an input beside the image: sizes of images are all that is known."""
    sizes = [one if isinstance(one, int) else 1 for one in shape_of(value)]
    if sizes[-1:] == [2] and len(sizes) <= 2:
        return [width, height]
    raise ModelError(f"{path}, input '{value.name}'", f'has the shape {sizes}, and nothing tells '
                     'its values; export the network without it')


def _labels(choice: Choice, metadata: Metadata) -> Tuple[Dict[str, Any], str]:
    """Return what is to be said of labels, and why."""
    if metadata.names:
        return {}, 'the file names them itself'
    for name, known in NAMED_LABELS.items():
        if choice.classes == len(known):
            return {'labels': name}, f'as many as {name} has; correct `labels` if they are others'
    return {}, 'add `labels`, or they appear as numbers'
