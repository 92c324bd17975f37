"""Runs a model once, from its description to boxes, and tells what it found."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.models.cut_network import whole
from s3dnn_ros.models.graph import batch_of
from s3dnn_ros.models.spec import ModelSpec

RUNS = 5
IOU_THRESHOLD = 0.6
MAX_DETECTIONS = 100


@dataclasses.dataclass(frozen=True)
class Detection:
    """A box in pixels of the checked image: left, top, right, bottom."""

    label: str
    score: float
    xyxy: Tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """What a check found; times are in milliseconds, None where nothing could run."""

    model: str
    file: str
    size_mb: float
    input: str
    batch: int
    outputs: Mapping[str, Tuple]
    decoder: str
    classes: int
    labels: int
    engine: str
    run_ms: Optional[float] = None
    decode_ms: Optional[float] = None
    image: str = ''
    boxes: Tuple[Detection, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self)

    def lines(self) -> List[str]:
        """Return the report as lines for a reader."""
        lines = [
            f'model    {self.model}',
            f'file     {self.file} ({self.size_mb:.1f} MB)',
            f'input    {self.input}, batch {self.batch or "any"}',
        ]
        for name, shape in self.outputs.items():
            lines.append(f'output   {name} [{", ".join(map(str, shape))}]')
        labels = f'{self.labels} labels' if self.labels else 'no labels: they appear as numbers'
        lines.append(f'decoder  {self.decoder}, {self.classes or "?"} classes, {labels}')
        lines.append(f'engine   {self.engine}')
        if self.run_ms is not None:
            lines.append(f'time     {self.run_ms:.1f} ms, decoding {self.decode_ms:.2f} ms')
        if self.image:
            lines.append(f'image    {self.image}: {len(self.boxes)} boxes')
        for box in self.boxes:
            corners = ', '.join(f'{value:.0f}' for value in box.xyxy)
            lines.append(f'box      {box.score:.2f} {box.label} ({corners})')
        return lines


def check_model(spec: ModelSpec, image: Optional[Path], score_threshold: float) -> Report:
    """Load a model, run it on `image` (grey without one) and decode what comes out.

    Raises ModelError, EngineError or ImageError that tells what does not work.
    """
    network = whole(spec)
    spec = network.metadata.complete(spec)
    graph = network.models[0]
    batch = batch_of(graph)
    shapes = {
        value.name: tuple(
            dim.dim_value or dim.dim_param or '?' for dim in value.type.tensor_type.shape.dim
        )
        for value in graph.graph.output
    }
    decoder = spec.make_decoder()
    classes = decoder.check(shapes)
    spec.expect_classes(classes)
    report = Report(
        model=f'{spec.name}: {spec.description}' if spec.description else spec.name,
        file=str(spec.onnx),
        size_mb=spec.onnx.stat().st_size / 1e6,
        input=f'{spec.width}x{spec.height} {spec.colour}, {spec.resize}',
        batch=batch,
        outputs=shapes,
        decoder=spec.decoder,
        classes=classes,
        labels=len(spec.labels),
        engine='',
    )
    pixels = np.full((batch or 1, spec.height, spec.width, 3), 114, np.uint8)
    source = _place(image, pixels[0], spec) if image else None
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
    classes = decoder.check(found)
    spec.expect_classes(classes)
    boxes, decode_ms = _best_ms(
        lambda: decoder.decode(outputs, score_threshold, IOU_THRESHOLD, MAX_DETECTIONS)[0]
    )
    return dataclasses.replace(
        report,
        outputs=found,
        classes=classes,
        engine=f'{engine.name} on {engine.device}',
        run_ms=run_ms,
        decode_ms=decode_ms,
        image=str(image or ''),
        boxes=_detections(boxes, source, spec) if source else (),
    )


def _place(image: Path, target: np.ndarray, spec: ModelSpec):
    """Fit an image file into `target`; return how, and the image's width and height."""
    try:
        pixels = decode_compressed(image.read_bytes())
    except OSError as error:
        raise ModelError(image, f'cannot be read ({error.strerror}); check --image') from error
    transform = fit(pixels, target, colour=spec.colour, resize=spec.resize, pad=spec.pad)
    return transform, pixels.width, pixels.height


def _detections(boxes, source, spec: ModelSpec) -> Tuple[Detection, ...]:
    transform, width, height = source
    corners = transform.to_source(boxes.xyxy, width, height)
    return tuple(
        Detection(spec.label(int(class_id)), float(score), tuple(map(float, xyxy)))
        for xyxy, score, class_id in zip(corners, boxes.scores, boxes.class_ids)
    )


def _best_ms(function):
    """Return what a function returns and its shortest time: the others met other programs."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        result = function()
        times.append((time.perf_counter() - started) * 1e3)
    return result, min(times)
