"""Hostile documents: descriptions, labels, plans, tables, results, saved states, strategies."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any, Callable, List, Tuple

import yaml

from s3dnn_ros.base.content import yaml_of
from s3dnn_ros.bench.results import expect_whole, read_results, tables
from s3dnn_ros.errors import PlatformError
from s3dnn_ros.fuzz.mutations import mutated, mutated_json, mutated_yaml
from s3dnn_ros.models.labels import labels_of
from s3dnn_ros.models.segment_plan import SegmentPlan, load_plan
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.partition import METHODS, PerformanceTable, Row, partition_batch
from s3dnn_ros.platforms.saved import restore_file
from s3dnn_ros.platforms.sysfs import Sysfs
from s3dnn_ros.profiling.profiler import read_configurations
from s3dnn_ros.profiling.table import ConfigurationRow, ProfileRow, ProfileTable, load_table
from s3dnn_ros.profiling.variant_table import VariantRow, VariantTable, load_variant_table
from s3dnn_ros.settings import NODES
from s3dnn_ros.settings.parameters import read
from s3dnn_ros.strategy.measured_file import load_measured, save_measured
from s3dnn_ros.strategy.plan_file import Plan, PlannedTask
from s3dnn_ros.strategy.plan_file import load_plan as load_strategy
from s3dnn_ros.strategy.rivals import RIVALS
from s3dnn_ros.strategy.strategy import Measurement, Strategy
from s3dnn_ros.strategy.times_file import load_times, save_times
from s3dnn_ros.strategy.workload import (
    ModelTimes,
    ScaledModel,
    Task,
    Variant,
    Workload,
    load_workload,
)

SHA256 = 'ab' * 32
DESCRIPTION = {
    'onnx': 'net.onnx', 'width': 64, 'height': 48, 'colour': 'rgb', 'mean': [0, 0, 0.5],
    'std': [255, 255, 255], 'resize': 'letterbox', 'pad': 114, 'decoder': 'nanodet',
    'decoder_options': {'strides': [8, 16], 'bins': 8, 'centre': 0.5},
    'labels': {0: 'cat', 1: 'dog'}, 'deadline_ms': 50.0, 'max_batch': 4, 'sha256': SHA256,
    'inputs': {'sizes': [64, 48]}, 'description': 'two kinds', 'licence': 'MIT', 'source': 'https://example.org'}
OPTIONS = {
    'nanodet': {'strides': [8, 16], 'bins': 8, 'centre': 0.5}, 'yolov5': {'output': 'y'},
    'yolov8': {'output': 'y'}, 'ssd': {'boxes': 'b', 'scores': 's', 'classes': 'c',
                                       'normalised': True, 'order': 'xyxy', 'background': 1},
    'yolo_final': {'output': 'y', 'task': 'pose', 'keypoints': 17, 'keypoint_values': 3},
    'yolox': {'strides': [8, 16]}, 'rtdetr': {'output': 'y'},
    'detr': {'logits': 'l', 'boxes': 'b', 'activation': 'softmax'},
    'classification': {'top_k': 3, 'softmax': True, 'output': 'y'}}
WORKLOAD = {
    'description': 'one task', 'device': 'a board', 'storage_limit_mb': 100,
    'models': {'net': {'accuracy': 80.0, 'shared_mb': 10.0, 'variants': [
        {'before_ms': 2.0, 'device_ms': 20.0 - loss, 'behind_ms': 1, 'utilization': 0.5,
         'loss': loss, 'storage_mb': 40.0} for loss in (0, 3)]}},
    'tasks': [{'name': 'front', 'model': 'net', 'period_ms': 50, 'deadline_ms': 40.5,
               'tolerated_miss_rate': 0.1}]}
# Of a performance table.
ABOUT = {'model': 'net', 'unit cpu': 'CPU, 2 threads, onnxruntime 1.20'}
# Kept results of benches are in the checkout alone.
KEPT_RESULTS = Path(__file__).resolve().parents[2] / 'docs' / 'results'
_LARGEST_RESULT = 50_000


class _File:
    """Writes its inputs into a file."""

    name = ''
    _file = ''

    def __init__(self, folder: Path):
        self._folder = folder
        self._path = folder / self._file

    def make(self, chance: random.Random) -> bytes:
        """Return an input; see `Kind`."""
        raise NotImplementedError

    def use(self, given: bytes) -> None:
        """Use it; see `Kind`."""
        self._path.write_bytes(given)
        self._read()

    def _read(self) -> None:
        raise NotImplementedError


class Descriptions(_File):
    """YAML of models, with the options of every decoder."""

    name = 'model YAML'
    _file = 'net.yaml'

    def make(self, chance):
        """Return an input; see `Kind`."""
        decoder = chance.choice(sorted(OPTIONS))
        return mutated_yaml({**DESCRIPTION, 'decoder': decoder,
                             'decoder_options': OPTIONS[decoder]}, chance)

    def _read(self):
        spec = load_spec(self._path)
        spec.expect_classes(len(spec.labels))
        spec.make_decoder().check({'y': [1, 100, 84]})


class Labels(_File):
    """Names as text, and as YAML of all forms."""

    name = 'labels'
    _trees: Tuple[Any, ...] = (['cat', 'dog', 7], {0: 'cat', 1: 'dog'}, {'names': ['cat']},
                               {'nc': 2, 'names': {0: 'cat', 1: 'dog'}})

    def make(self, chance):
        """Return an input; see `Kind`."""
        if chance.random() < 0.3:
            return '.txt', mutated(b'cat\r\ndog\n\nhot dog\n', chance)
        return '.yaml', mutated_yaml(chance.choice(self._trees), chance)

    def use(self, given):
        """Use it; see `Kind`."""
        suffix, content = given
        (self._folder / f'names{suffix}').write_bytes(content)
        for label in labels_of(f'names{suffix}', self._folder):
            label.encode()


class SegmentPlans(_File):
    """JSON of plans of segments."""

    name = 'segment plan'
    _file = 'net.json'
    _plan = dataclasses.asdict(SegmentPlan(
        'net', SHA256, 2, 1.0, 'onnxruntime', 'a CPU', (('a', 'b'), ('c',)), (1.0, 0.5, 1.5)))

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_json(json.loads(json.dumps(self._plan)), chance)

    def _read(self):
        load_plan(self._path)


class _Saved(_File):
    """What a table's `save` writes."""

    def __init__(self, folder):
        super().__init__(folder)
        self._table().save(self._path)
        self._tree = json.loads(self._path.read_text())

    def _table(self):
        raise NotImplementedError

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_json(self._tree, chance)


class Profiles(_Saved):
    """JSON of profiles; what schedulers and cohorts look up in them is looked up."""

    name = 'profile'
    _file = 'net.onnxruntime.json'

    def _table(self):
        rows = [ProfileRow(segment, batch, 1.0, 1.5, 2.0, 0.5, 0.9, 12.0)
                for segment in (0, 1) for batch in (1, 4)]
        return ProfileTable(
            'net', SHA256, 'onnxruntime', 'a CPU', 'default', {'onnxruntime': '1.20'},
            tuple(rows), (('a', 'b'),), (ConfigurationRow('slow', 100.0, (2.0, 3.0)),
                                         ConfigurationRow('fast', 200.0, (1.0, 1.5))))

    def _read(self):
        table = load_table(self._path)
        for batch in (1, 3, 100):
            for each in (table, table.whole()):
                each.time_s(batch)
                each.remaining_s(0, batch)
                each.segment_times_s(batch, 'worst')
        for each in table.power_tables():
            each.lookup(1.5)
        table.check(SHA256, 'onnxruntime', 'a CPU')


class VariantTables(_Saved):
    """JSON of what variants gain and lose."""

    name = 'table of variants'
    _file = 'net.onnxruntime.json'

    def _table(self):
        rows = [VariantRow(segment, ratio, 2, 10_000, 0.5, 1.0, 1.0 / ratio, ratio, ratio)
                for segment in (None, 0, 1) for ratio in (1.0, 0.5)]
        return VariantTable('net', SHA256, 'onnxruntime', 'a CPU', 'five', 'ten', SHA256, 1,
                            {'onnxruntime': '1.20'}, (('a',),), tuple(rows), ('slow',))

    def _read(self):
        table = load_variant_table(self._path)
        for segment in range(len(table.cuts) + 1):
            for score in ('fidelity', 'points'):
                table.accuracy_table(segment, score).lookup(1.5)
        table.check(SHA256, (('a',),), 'onnxruntime', 'a CPU')


class Configurations(_File):
    """CSV of what a board's configurations make of a network."""

    name = 'configurations'
    _file = 'board.csv'
    _rows = b'configuration,power_mw,time_ms_0,time_ms_1\r\nslow,100,2.0,3\r\nfast,200,1,"1.5"\n'

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated(self._rows, chance)

    def _read(self):
        read_configurations(self._path)


class Results(_File):
    """JSON of benches, as `s3dnn bench table` reads it."""

    name = 'results of benches'
    _file = 'results.json'

    def __init__(self, folder):
        super().__init__(folder)
        self._contents = [path.read_bytes() for path in sorted(KEPT_RESULTS.glob('*.json'))
                          if path.stat().st_size < _LARGEST_RESULT] or [b'{"format": 1}']

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_json(json.loads(chance.choice(self._contents)), chance)

    def _read(self):
        results = read_results(self._path)
        with expect_whole(self._path):
            tables(results)


class SavedStates(_File):
    """JSON of what a board was like, which whoever comes next restores."""

    name = 'saved board'
    _file = 'state-1.json'

    def make(self, chance):
        """Return an input; see `Kind`."""
        knobs = [['gpu', 'sys/devices/gpu', {'min_freq': '1', 'max_freq': '2'}],
                 ['core', 'sys/devices/system/cpu/cpu1', {'online': '1'}]]
        return mutated_json({'root': str(self._folder), 'boot': '', 'knobs': knobs}, chance)

    def _read(self):
        for sentence in restore_file(self._path, Sysfs(self._folder)):
            raise PlatformError(self._path, sentence)


class Workloads(_File):
    """YAML of tasks and the variants of their models."""

    name = 'workload'
    _file = 'work.yaml'

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_yaml(WORKLOAD, chance)

    def _read(self):
        workload = load_workload(self._path)
        for make in RIVALS.values():
            strategy = make(workload)
            workload.loss(strategy.variants)
            workload.fits(strategy.variants)


class Strategies(_File):
    """YAML of strategies."""

    name = 'strategy'
    _file = 'strategy.yaml'

    def __init__(self, folder):
        tasks = tuple(
            PlannedTask(f'task_{index}', 'net', index, ('', 'small'), index + 1, 0.1, 0.05, 12.5)
            for index in range(2))
        super().__init__(folder)
        Plan('work', 'a board', 'edf', True, 0.01, 80.0, tasks, {'seconds': 8.0},
             {'python': '3.8'}).save(self._path)
        self._tree = yaml.safe_load(self._path.read_text())

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_yaml(self._tree, chance)

    def _read(self):
        load_strategy(self._path)


class MeasuredStrategies(_File):
    """JSON of measured strategies."""

    name = 'measured strategies'
    _file = 'measured.json'

    def __init__(self, folder):
        super().__init__(folder)
        model = ScaledModel('net', 80.0, (Variant(0.0, 0.02, 0.0, 1.0, 0.0, 40.0),) * 2)
        self._workload = Workload('work', 'a board', 100.0, tuple(
            Task(f'task_{index}', model, 0.05, 0.05, 0.1) for index in range(2)))
        save_measured(self._path, 'key', {
            Strategy((index, 0), (1, 2)): Measurement((0.0, 0.5), (12.5, None))
            for index in range(2)})
        self._tree = json.loads(self._path.read_text())

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_json(self._tree, chance)

    def _read(self):
        load_measured(self._path, 'key', self._workload)


class MeasuredTimes(_File):
    """JSON of the times of a workload's models."""

    name = 'measured times'
    _file = 'plan.times.json'

    def __init__(self, folder):
        super().__init__(folder)
        save_times(self._path, 'key', {f'net_{index}': ('abc', ModelTimes(
            'a board', 0.02, 0.5, 0.002, 0.001)) for index in range(2)})
        self._tree = json.loads(self._path.read_text())

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_json(self._tree, chance)

    def _read(self):
        load_times(self._path, 'key')


class Parameters:
    """Values of nodes' parameters, as a file of parameters may have them."""

    name = 'parameters'
    _text = ("{camera_names: [front, rear], instance_names: [detector], cameras: {front: {topic: "
             "/x, qos: reliable}}, 'cameras.front.topic': /x, 'cameras.rear.qos': sensor_data, "
             "'instances.detector.model': net, 'instances.detector.deadline_ms': 50.0, "
             "'instances.detector.max_batch': 4, preset: none, engine: auto}")

    def __init__(self, folder: Path):
        self._values = yaml.safe_load(self._text)

    def make(self, chance):
        """Return an input; see `Kind`."""
        return chance.choice(sorted(NODES)), mutated_yaml(self._values, chance)

    def use(self, given):
        """Use it; see `Kind`."""
        node, content = given
        values = yaml_of(content)
        read(NODES[node], values if isinstance(values, dict) else {'camera_names': values})


class PerformanceTables(_File):
    """CSV of what units take for batches; a batch is split by what is read."""

    name = 'performance table'
    _file = 'net.csv'

    def __init__(self, folder):
        super().__init__(folder)
        PerformanceTable(
            Row(unit, batch, each_ms, 0.1, power_w) for unit, each_ms, power_w in
            (('cpu', 9.0, 20.0), ('gpu', 1.5, 10.0)) for batch in (1, 2, 3, 8)
        ).with_about(ABOUT).to_csv(self._path)
        self._content = self._path.read_bytes()

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated(self._content, chance)

    def _read(self):
        table = PerformanceTable.from_csv(self._path)
        for method in METHODS:
            partition_batch(table, 20, method=method)
        table.to_csv(self._path)
        PerformanceTable.from_csv(self._path).expect(ABOUT)


KINDS: List[Callable] = [Descriptions, Labels, SegmentPlans, Profiles, VariantTables,
                         Configurations, Results, SavedStates, Workloads, Strategies,
                         MeasuredStrategies, MeasuredTimes, Parameters, PerformanceTables]
