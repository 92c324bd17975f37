"""Runs a model once, from its description to boxes, and tells what it found."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.drawing import Drawn, draw
from s3dnn_ros.images.pixels import Pixels, fit
from s3dnn_ros.models.boxes import Boxes, Found
from s3dnn_ros.models.cut_network import whole
from s3dnn_ros.models.graph import batch_of
from s3dnn_ros.models.shapes import shape_of
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.transport.frames import Transform

RUNS = 5
IOU_THRESHOLD = 0.6
MAX_DETECTIONS = 100


@dataclasses.dataclass(frozen=True)
class Detection:
    """A box in pixels of the checked image: left, top, right, bottom.

    `keypoints` are x, y and score of each; `oriented` is centre x, y, width, height and angle in
    radians; `mask_share` is the part of the box that is on the object. None where the network
    does not give it.
    """

    label: str
    score: float
    xyxy: Tuple[float, ...]
    keypoints: Optional[Sequence[Sequence[float]]] = None
    oriented: Optional[Tuple[float, ...]] = None
    mask_share: Optional[float] = None

    def __str__(self):
        """Return it as a line for a reader."""
        if self.oriented is None:
            where = ', '.join(f'{value:.0f}' for value in self.xyxy)
        else:
            x, y, width, height, angle = self.oriented
            where = f'{x:.0f}, {y:.0f}, {width:.0f} × {height:.0f}, {math.degrees(angle):.0f}°'
        more = ''
        if self.keypoints is not None:
            more += f', {len(self.keypoints)} keypoints'
        if self.mask_share is not None:
            more += f', mask on {self.mask_share:.0%}'
        return f'{self.score:.2f} {self.label} ({where}){more}'


@dataclasses.dataclass(frozen=True)
class Report:
    """What a check found; times are in milliseconds, None where nothing could run.

    `reads` are the outputs that the decoder reads. `open_ms` is what it takes to open the image,
    `fit_ms` to fit it into the input, `run_ms` to run the network, and `decode_ms` from its
    outputs to boxes. `picture` is the image with what was found in it, BGR (H, W, 3).
    """

    model: str
    file: str
    size_mb: float
    input: str
    batch: int
    outputs: Mapping[str, Tuple]
    decoder: str
    reads: Tuple[str, ...]
    classes: int
    labels: int
    engine: str
    open_ms: Optional[float] = None
    fit_ms: Optional[float] = None
    run_ms: Optional[float] = None
    decode_ms: Optional[float] = None
    image: str = ''
    boxes: Tuple[Detection, ...] = ()
    picture: Optional[np.ndarray] = dataclasses.field(default=None, compare=False, repr=False)

    def as_dict(self) -> Dict[str, Any]:
        """Return plain values, ready for JSON; not the picture."""
        return dataclasses.asdict(dataclasses.replace(self, picture=None))

    def lines(self) -> List[str]:
        """Return the report as lines for a reader."""
        lines = [
            f'model    {self.model}',
            f'file     {self.file} ({self.size_mb:.1f} MB)',
            f'input    {self.input}, batch {self.batch or "any"}',
        ]
        for name, shape in self.outputs.items():
            unread = '' if name in self.reads else ', which nobody reads'
            lines.append(f'output   {name} [{", ".join(map(str, shape))}]{unread}')
        labels = f'{self.labels} labels' if self.labels else 'no labels: they appear as numbers'
        lines.append(f'decoder  {self.decoder} reads {", ".join(self.reads)}: '
                     f'{self.classes or "?"} classes, {labels}')
        lines.append(f'engine   {self.engine}')
        lines += [f'time     {time_ms:.2f} ms {what}' for what, time_ms in (
            ('to open the image', self.open_ms), ('to fit it into the input', self.fit_ms),
            ('for the network', self.run_ms), ('from outputs to boxes', self.decode_ms))
            if time_ms is not None]
        if self.image:
            lines.append(f'image    {self.image}: {len(self.boxes)} boxes' + (
                '' if self.boxes else '; lower --score, or compare colour, mean, std and labels '
                'with those of the training'))
        lines += [f'box      {box}' for box in self.boxes]
        return lines


@dataclasses.dataclass(frozen=True)
class _Photo:
    """The image of a check, and how it lies in the input."""

    pixels: Pixels
    transform: Transform
    open_ms: float
    fit_ms: float


def check_model(spec: ModelSpec, image: Optional[Path], score_threshold: float) -> Report:
    """Load a model, run it on `image` (grey without one) and decode what comes out.

    Raises ModelError, EngineError or ImageError that tells what does not work.
    """
    network = whole(spec)
    spec = network.metadata.complete(spec)
    graph = network.models[0]
    batch = batch_of(graph)
    shapes = {value.name: tuple(size or '?' for size in shape_of(value))
              for value in graph.graph.output}
    decoder = spec.make_decoder()
    classes = _classes(decoder, spec, shapes)
    report = Report(
        model=f'{spec.name}: {spec.description}' if spec.description else spec.name,
        file=str(spec.onnx),
        size_mb=spec.onnx.stat().st_size / 1e6,
        input=f'{spec.width}x{spec.height} {spec.colour}, {spec.resize}, (pixel - '
              f'{_numbers(spec.mean)}) / {_numbers(spec.std)}',
        batch=batch,
        outputs=shapes,
        decoder=spec.decoder,
        reads=tuple(decoder.reads(shapes)),
        classes=classes,
        labels=len(spec.labels),
        engine='',
    )
    pixels = np.full((batch or 1, spec.height, spec.width, 3), 114, np.uint8)
    photo = _place(image, pixels[0], spec) if image else None
    try:
        engine, _ = make_engine('auto', SystemClock())
    except ParameterError as error:
        return dataclasses.replace(report, engine=f'none, so it was not run: {error}')
    try:
        loaded = network.load(engine, max_batch=batch or 1)
        outputs, run_ms = _best_ms(lambda: loaded.run(pixels))
    finally:
        engine.close()
    found = {name: array.shape for name, array in outputs.items()}
    report = dataclasses.replace(
        report, outputs=found, classes=_classes(decoder, spec, found), run_ms=run_ms,
        engine=f'{engine.name} on {engine.device}')
    boxes, decode_ms = _best_ms(
        lambda: decoder.decode(outputs, score_threshold, IOU_THRESHOLD, MAX_DETECTIONS)[0])
    report = dataclasses.replace(report, decode_ms=decode_ms)
    if photo is None:
        return report
    boxes = boxes.in_source(photo.transform, photo.pixels.width, photo.pixels.height)
    return dataclasses.replace(
        report, open_ms=photo.open_ms, fit_ms=photo.fit_ms, image=str(image),
        boxes=tuple(_detection(each, spec) for each in boxes),
        picture=_drawn(photo.pixels, boxes, spec))


def write_picture(path: Path, image: np.ndarray):
    """Write a BGR image; raises ParameterError for a name that says no format."""
    try:
        if cv2.imwrite(str(path), image):
            return
    except cv2.error:
        pass
    raise ParameterError('--picture', path, 'cannot be written; name it .png or .jpg, in a folder '
                         'that you may write to')


def _numbers(values):
    texts = [f'{value:g}' for value in values]
    return texts[0] if len(set(texts)) == 1 else f'[{", ".join(texts)}]'


def _classes(decoder, spec, shapes) -> int:
    classes = decoder.check(shapes)
    spec.expect_classes(classes)
    return classes


def _place(image: Path, target: np.ndarray, spec: ModelSpec) -> _Photo:
    """Fit an image file into `target`."""
    try:
        data = image.read_bytes()
    except OSError as error:
        raise ModelError(image, f'cannot be read ({error.strerror}); check --image') from error
    pixels, open_ms = _best_ms(lambda: decode_compressed(data))
    transform, fit_ms = _best_ms(lambda: fit(
        pixels, target, colour=spec.colour, resize=spec.resize, pad=spec.pad))
    return _Photo(pixels, transform, open_ms, fit_ms)


def _detection(found: Found, spec: ModelSpec) -> Detection:
    return Detection(
        spec.label(found.class_id), found.score, found.box, found.keypoints, found.oriented,
        None if found.mask is None else float(np.mean(found.mask > 0)))


def _drawn(pixels: Pixels, boxes: Boxes, spec: ModelSpec) -> np.ndarray:
    image = np.empty((pixels.height, pixels.width, 3), np.uint8)
    fit(pixels, image)
    draw(image, [Drawn(spec.label(each.class_id), *each[1:]) for each in boxes])
    return image


def _best_ms(function):
    """Return what a function returns and its shortest time: the others met other programs."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        result = function()
        times.append((time.perf_counter() - started) * 1e3)
    return result, min(times)
