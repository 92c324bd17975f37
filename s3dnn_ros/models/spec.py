"""What a user says about a model in YAML, found by name, read and checked once."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Iterable, List, Mapping, Tuple

from s3dnn_ros.base.cache import exported_path
from s3dnn_ros.base.content import full_path
from s3dnn_ros.base.document import Document
from s3dnn_ros.base.share import share_directory
from s3dnn_ros.errors import DocumentError, ModelError
from s3dnn_ros.models.decoders import Decoder, decoder_names, make_decoder
from s3dnn_ros.models.labels import NAMED_LABELS, labels_of
from s3dnn_ros.models.sizes import AT, SIZE_LIMIT, side_of

ZOO_PREFIX = 'zoo:'
COLOURS = ('bgr', 'rgb')
RESIZES = ('stretch', 'letterbox')
# Of an input beside the image: sizes, scales or thresholds, and no tensors.
MOST_VALUES, LARGEST_VALUE = 64, 1e9
_ADVICE = '`s3dnn models describe FILE.onnx` writes one'


@dataclass(frozen=True)
class ModelSpec:
    """A model, the image it expects and how its outputs are read.

    `mean` and `std` are in pixel units (0..255), in the channel order of `colour`:
    the network sees (pixel - mean) / std. A network that wants 0..1 has mean 0 and std 255.
    `max_batch` 0 means any; `deadline_ms` counts from the capture of the image; `zoo` is the
    name of the zoo model that `onnx` is exported from, if any. `inputs` has the values of what
    the network takes beside an image, by name.
    """

    name: str
    onnx: Path
    width: int
    height: int
    colour: str
    mean: Tuple[float, float, float]
    std: Tuple[float, float, float]
    resize: str
    decoder: str
    pad: int = 114
    decoder_options: Mapping[str, Any] = field(default_factory=dict)
    labels: Tuple[str, ...] = ()
    deadline_ms: float = 100.0
    max_batch: int = 0
    sha256: str = ''
    description: str = ''
    licence: str = ''
    source: str = ''
    zoo: str = ''
    inputs: Mapping[str, Tuple[float, ...]] = field(default_factory=dict)

    def label(self, class_id: int) -> str:
        """Return the name of a class, or its number where the list has none."""
        if 0 <= class_id < len(self.labels):
            return self.labels[class_id]
        return str(class_id)

    @property
    def remark(self) -> str:
        """Return what is strange about the description; empty if nothing is."""
        if max(self.std) < 1.0:
            return (f'{self.name}: std is {list(self.std)}, but in pixel units (0..255); if the '
                    'network was trained on 0..1, multiply mean and std by 255')
        return ''

    @cached_property
    def fingerprint(self) -> int:
        """Return a number that is another one where front ends must prepare frames otherwise."""
        return zlib.crc32(repr((self.name, self.width, self.height, self.colour, self.resize,
                                self.pad, self.deadline_ms, self.max_batch)).encode())

    def make_decoder(self) -> Decoder:
        """Return a decoder of this model's outputs."""
        return make_decoder(self.decoder, self.width, self.height, **self.decoder_options)

    def expect_classes(self, classes: int) -> None:
        """Raise ModelError unless the labels are of so many classes; 0: nobody knows how many.

        Boxes with other labels than theirs look right. Mostly it is another head that is read:
        its masks, keypoints or angles are taken for classes.
        """
        if classes and self.labels and classes != len(self.labels):
            raise ModelError(
                f"model '{self.name}'", f'has {len(self.labels)} labels, its own or its '
                f"file's, and decoder '{self.decoder}' finds {classes} classes in its outputs; "
                'correct `labels`, or leave them out; or, if the network also gives masks, '
                'keypoints or angles, set `task` in decoder_options: `s3dnn models describe '
                f'{self.onnx}` says what fits')


def load_spec(name_or_path, directories: Iterable = ()) -> ModelSpec:
    """Read a model description, by name or by the path of its YAML file.

    A name is looked up as NAME.yaml in `directories`, then in $S3DNN_MODEL_PATH, then in the
    package's own config/models. NAME@SIDE is a zoo model for images of that many pixels a side.
    Raises ModelError, which names the file and the key.
    """
    text = str(name_or_path)
    if text.endswith('.onnx'):
        raise ModelError(text, 'is a network, and a description of it is expected; run `s3dnn '
                               f'models describe {text}`, which writes one')
    if text.endswith(('.yaml', '.yml')):
        return _read(_full(text))
    places = _search_path(directories)
    for place in places:
        path = place / f'{text}.yaml'
        if path.is_file():
            return _read(path)
    name, at, side = text.partition(AT)
    if at:
        return _of_side(load_spec(name, directories), side)
    if os.path.isdir(text):
        found = sorted(path.name for path in Path(text).glob('*.yaml'))
        raise ModelError(text, 'is a folder; ' + (
            f'name one of its files: {", ".join(found)}' if found
            else f'no *.yaml is in it. {_ADVICE}'))
    raise ModelError(
        f"model '{text}'",
        f'is not known; known are {", ".join(known_models(directories)) or "none"}; '
        f'looked for {text}.yaml in {", ".join(str(place) for place in places)}',
    )


def _of_side(spec: ModelSpec, side: str) -> ModelSpec:
    """Return a zoo model for another size of images."""
    name = f'{spec.name}{AT}{side}'
    if not spec.zoo:
        raise ModelError(f"model '{name}'", f'has an ONNX file, which is for {spec.width} × '
                         f'{spec.height} pixels: export another')
    zoo = f'{spec.zoo}{AT}{side}'
    pixels = side_of(zoo)
    return replace(spec, name=name, onnx=exported_path(zoo), zoo=zoo, width=pixels,
                   height=pixels)


def known_models(directories: Iterable = ()) -> List[str]:
    """Return the names that `load_spec` finds, sorted."""
    places = _search_path(directories)
    return sorted({path.stem for place in places for path in place.glob('*.yaml')})


def folders_without_models() -> List[str]:
    """Return a sentence for each folder of $S3DNN_MODEL_PATH in which there is no model."""
    return [f'{place}, which $S3DNN_MODEL_PATH names, '
            + ('has no *.yaml in it. ' + _ADVICE if place.is_dir() else 'is no folder')
            for place in _search_path(())[:-1] if not any(place.glob('*.yaml'))]


def _search_path(directories: Iterable) -> List[Path]:
    configured = os.environ.get('S3DNN_MODEL_PATH', '').split(os.pathsep)
    places = [_full(place) for place in [*directories, *filter(None, configured)]]
    return [*places, share_directory()]


def _full(path) -> Path:
    try:
        return full_path(path)
    except DocumentError as error:
        raise ModelError('models', str(error)) from error


def _read(path: Path) -> ModelSpec:
    keys = [item.name for item in fields(ModelSpec) if item.name not in ('name', 'zoo')]
    document = Document(path, keys)
    onnx, zoo = _onnx(document)
    spec = ModelSpec(
        name=path.stem,
        onnx=onnx,
        zoo=zoo,
        width=document.integer('width', 1, SIZE_LIMIT),
        height=document.integer('height', 1, SIZE_LIMIT),
        colour=document.choice('colour', COLOURS),
        mean=document.triple('mean'),
        std=document.triple('std'),
        resize=document.choice('resize', RESIZES),
        pad=document.integer('pad', 0, 255, 114),
        decoder=document.choice('decoder', decoder_names()),
        decoder_options=document.mapping('decoder_options'),
        labels=_labels(document),
        deadline_ms=document.positive('deadline_ms', 100.0),
        max_batch=document.integer('max_batch', 0, SIZE_LIMIT, 0),
        sha256=_sha256(document),
        description=document.text('description'),
        licence=document.text('licence'),
        source=document.text('source'),
        inputs=_inputs(document),
    )
    if 0.0 in spec.std:
        document.fail('std', 'three numbers other than zero, because pixels are divided by them')
    try:
        spec.make_decoder()
    except ModelError as error:
        raise ModelError(path, f"key 'decoder_options': {error}") from error
    return spec


def _onnx(document: Document) -> Tuple[Path, str]:
    value = document.text('onnx')
    if value in ('', ZOO_PREFIX):
        document.fail('onnx', 'the path of an ONNX file, or zoo:NAME')
    if value.startswith(ZOO_PREFIX):
        zoo = value.replace(ZOO_PREFIX, '', 1)
        return exported_path(zoo), zoo
    return document.beside(value), ''


def _sha256(document: Document) -> str:
    value = document.text('sha256').lower()
    if value and (len(value) != 64 or value.strip('0123456789abcdef')):
        document.fail('sha256', '64 hexadecimal digits, in quotes')
    return value


def _inputs(document: Document) -> Mapping[str, Tuple[float, ...]]:
    values = {name: value if isinstance(value, list) else [value]
              for name, value in document.mapping('inputs').items()}
    if not all(0 < len(numbers) <= MOST_VALUES and all(
            type(number) in (int, float) and abs(number) <= LARGEST_VALUE for number in numbers)
               for numbers in values.values()):
        document.fail('inputs', 'a number or a list of numbers for each input beside the image')
    return {name: tuple(numbers) for name, numbers in values.items()}


def _labels(document: Document) -> Tuple[str, ...]:
    try:
        return labels_of(document.get('labels', []), document.path.parent)
    except DocumentError as error:
        known = ', '.join(NAMED_LABELS)
        return document.fail('labels', f'a list, names by class, {known}, a text file with one '
                             f'label a line, or a YAML file with names: {error}')
