"""Scenarios as YAML describes them; whatever is wrong is told with file, line and key."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from s3dnn_ros.base.content import Fields, full_path, is_number, yaml_fields
from s3dnn_ros.base.share import share_directory
from s3dnn_ros.bench.contenders import known_contenders
from s3dnn_ros.errors import (
    DocumentError,
    ModelError,
    PlatformError,
    ProfileError,
    WorkloadError,
    shown,
)
from s3dnn_ros.lab.board import PRECISIONS
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.scenario import FACTORS, NOBODY, PHASES, Policy, Scenario, Stream, WhatIf
from s3dnn_ros.lab.scenario_networks import (
    FILES,
    PROFILE,
    SHAPES,
    device_of,
    files_of,
    layers_named,
    networks_of,
)
from s3dnn_ros.profiling.table import load_table
from s3dnn_ros.scheduling.rivals import KNOWN, make_known
from s3dnn_ros.settings.parameters import is_name

MOST_INSTANCES, MOST_CAMERAS = 64, 64
# An hour, which is the longest run; nobody waits longer for a result either.
LONGEST_S = 3600.0
SHORTEST_MS, LONGEST_MS = 0.1, 60_000.0
MOST_COMBINATIONS = 10_000
_YAML = ('.yaml', '.yml')
# The options of policies that a user may want to try, with what they may be.
_OPTIONS: Mapping[str, Tuple[str, Callable[[Any], bool]]] = {
    'capacity': ('a number from 0.1 to 16', lambda value: is_number(value, 0.1, 16.0)),
    'threshold': ('a number from 0 to 16', lambda value: is_number(value, 0.0, 16.0)),
    'share': ('tb_ratio or utilization', lambda value: value in ('tb_ratio', 'utilization')),
    'order': ('slack or deadline', lambda value: value in ('slack', 'deadline')),
    'streams': ('a whole number from 1 to 64',
                lambda value: type(value) is int and 1 <= value <= 64)}


class _Kind(NamedTuple):
    """What a key may hold: in words, and what makes of a value what a scenario has.

    `read` raises ValueError, with words that say more or without any, for what it may not.
    """

    expected: str
    read: Callable[[Any], Any]

    def value(self, fields: Fields, key: str) -> Any:
        """Return what a key holds; raises DocumentError."""
        try:
            return self.read(fields.value(key))
        except (ValueError, ModelError, PlatformError, ProfileError) as error:
            return fields.fail(key, _joined(self.expected, error))

    def values(self, fields: Fields, key: str) -> Tuple:
        """Return what a list holds, in which nothing may be twice."""
        values = fields.items(key)
        if not values:
            fields.fail(key, f'a list with one value at least, each {self.expected}')
        read: List = []
        for value in values:
            try:
                read.append(self.read(value))
            except (ValueError, ModelError, PlatformError, ProfileError) as error:
                fields.fail(key, _joined(f'a list in which each is {self.expected}: '
                                         f'{shown(value)} is not', error))
        if len(set(read)) < len(read):
            fields.fail(key, 'a list in which every value is there once')
        return tuple(read)


def scenario_directory() -> Path:
    """Return the package's own config/lab."""
    return share_directory().parent / 'lab'


def load_scenario(path_text: str) -> WhatIf:
    """Read a scenario and its sweep from a YAML file.

    Raises WorkloadError, which names file, line and key, if it cannot be used, also if a
    combination of the sweep cannot.
    """
    try:
        path = full_path(path_text)
        return _what_if(path.stem, yaml_fields(path), path.absolute().parent)
    except DocumentError as error:
        raise WorkloadError(path_text, str(error)) from error


def _what_if(name, fields: Fields, folder: Path) -> WhatIf:
    if fields.has('tasks') and not fields.has('instances'):
        raise DocumentError('has tasks whose models come in variants; `s3dnn plan` tries and '
                            'chooses them, and `s3dnn lab` wants `instances`')
    kinds, streams = _kinds(folder), _stream_kinds(folder)
    fields.expect_only('description', *kinds, 'instances', 'sweep')
    if fields.has('description'):
        fields.text('description')
    parts = fields.parts('instances')
    instances = tuple(_stream(part, streams) for part in parts)
    if not 1 <= len(instances) <= MOST_INSTANCES:
        fields.fail('instances', f'a list of 1 to {MOST_INSTANCES} instances')
    names = [each.name for each in instances]
    for part, each in zip(parts, instances):
        if names.count(each.name) > 1:
            part.fail('name', 'a name that no other instance has')
    scenario = Scenario(instances, **{key: kind.value(fields, key)
                                      for key, kind in kinds.items() if fields.has(key)})
    axes = _axes(fields, kinds, streams, names) if fields.has('sweep') else ()
    what_if = WhatIf(name, scenario, axes)
    _check_combinations(what_if, fields)
    models, boards = _used(what_if)
    try:
        return dataclasses.replace(what_if, files=files_of(models, boards))
    except (ModelError, OSError) as error:
        raise DocumentError(f'needs a file that cannot be read: {error}') from error


def _stream(fields: Fields, kinds) -> Stream:
    fields.expect_only(*kinds)
    for key in ('name', 'model', 'rate_hz', 'deadline_ms'):
        if not fields.has(key):
            fields.fail(key, kinds[key].expected)
    return Stream(**{key: kind.value(fields, key)
                     for key, kind in kinds.items() if fields.has(key)})


def _axes(fields: Fields, kinds, streams, names) -> Tuple:
    """Return what is swept, and its values."""
    sweep = fields.part('sweep')
    swept = {**{key: kind for key, kind in kinds.items() if key not in ('seconds', 'run_jitter')},
             **{key: kind for key, kind in streams.items() if key != 'name'},
             **dict.fromkeys(FACTORS, _number(0.01, 100.0))}
    known = [*swept, *(f'{name}.{key}' for name in names for key in (*streams, *FACTORS)
                       if key != 'name')]
    sweep.expect_only(*known)
    if not sweep.names():
        fields.fail('sweep', 'what is to be swept, such as cameras: [1, 2, 4]')
    axes = tuple((axis, swept[axis.rpartition('.')[-1]].values(sweep, axis))
                 for axis in sweep.names())
    for axis in sweep.names():
        key = axis.rpartition('.')[-1]
        both = [other for other in sweep.names()
                if other != axis and FACTORS.get(other.rpartition('.')[-1]) == key]
        if both:
            sweep.fail(axis, f'to be left out beside {both[0]}, which changes it, too')
    combinations = 1
    for _, values in axes:
        combinations *= len(values)
    if combinations > MOST_COMBINATIONS:
        fields.fail('sweep', f'{MOST_COMBINATIONS} combinations at most; these are {combinations}')
    return axes


def _check_combinations(what_if: WhatIf, fields: Fields) -> None:
    """Refuse a combination that nobody can simulate."""
    seen = set()
    swept = dict(what_if.axes)

    def fail(key, expected):
        (fields.part('sweep') if key in swept else fields).fail(key, expected)

    for choices in what_if.combinations:
        each = what_if.scenario.changed(choices)
        key = (each.board, each.mode, each.power_mode, each.max_batch, each.segments,
               tuple(stream.model for stream in each.instances))
        if key not in seen:
            seen.add(key)
            _check(each, fail)
        if not all(SHORTEST_MS <= stream.deadline_ms <= LONGEST_MS
                   and 0.0 < stream.rate_hz <= 1000.0 for stream in each.instances):
            factor = next(axis for axis, _ in choices
                          if axis.rpartition('.')[-1] in FACTORS)
            fail(factor, f'factors that leave deadlines from {SHORTEST_MS:g} to {LONGEST_MS:g} '
                 'ms, and rates up to 1000 Hz')


def _check(scenario: Scenario, fail) -> None:
    models = [each.model for each in scenario.instances]
    if not scenario.board:
        if device_of(models) is None:
            fail('board', 'the board to simulate; only where the models of all instances are '
                 'profiles of one device, that device is simulated')
        for key, none in (('mode', NOBODY), ('power_mode', ''), ('low_rank', False)):
            if getattr(scenario, key) != none:
                fail(key, 'to be left out where there is no board')
        return
    modes = load_board(scenario.board).modes
    if scenario.power_mode and scenario.power_mode not in modes:
        fail('power_mode', f'one of the modes of {scenario.board}: {", ".join(modes)}')
    if scenario.power_mode and scenario.mode != NOBODY:
        fail('power_mode', f'to be left out where mode is {scenario.mode}, which sets the clocks')
    if not any(model.endswith(PROFILE) for model in models):
        return
    try:
        networks_of(scenario)
    except (ModelError, ProfileError) as error:
        raise DocumentError('has a model whose layers nobody knows, so that its times cannot '
                            f'follow the clocks of {scenario.board}: {error}'
                            ) from error


def _used(what_if: WhatIf) -> Tuple[List[str], List[str]]:
    """Return all models and boards of all combinations."""
    models = {each.model for each in what_if.scenario.instances}
    boards = {what_if.scenario.board}
    for axis, values in what_if.axes:
        if axis.rpartition('.')[-1] == 'model':
            models.update(values)
        if axis == 'board':
            boards.update(values)
    return sorted(models), sorted(boards - {''})


def _kinds(folder: Path) -> Dict[str, _Kind]:
    """Return what the keys of a scenario may hold; files lie beside it, or in `folder`."""
    modes = (NOBODY, *known_contenders())
    return {
        'board': _Kind('the name of a board, or its YAML file',
                       functools.partial(_board, folder)),
        'precision': _one_of(PRECISIONS),
        'scheduler': _Kind(
            'a policy, or {policy: NAME, and options}; policies are ' + ', '.join(sorted(KNOWN)),
            _policy),
        'mode': _one_of(modes),
        'power_mode': _Kind("the name of one of the board's modes", _text),
        'low_rank': _truth(), 'fusion': _truth(),
        'max_batch': _whole(1, 64), 'segments': _whole(1, 64),
        'seconds': _number(0.1, LONGEST_S), 'run_jitter': _number(0.0, 1.0)}


def _stream_kinds(folder: Path) -> Dict[str, _Kind]:
    """Return the same of an instance."""
    return {
        'name': _Kind('the name of an instance: letters, digits and _, no digit first',
                      lambda value: _checked(value, isinstance(value, str) and is_name(value))),
        'model': _Kind(f'a network ({", ".join(SHAPES)}, or one of `s3dnn models list`), an '
                       '.onnx file, or a profile (.json) that `s3dnn profile` wrote',
                       functools.partial(_model, folder)),
        'rate_hz': _number(0.01, 1000.0), 'deadline_ms': _number(SHORTEST_MS, LONGEST_MS),
        'cameras': _whole(1, MOST_CAMERAS), 'priority': _whole(-100, 100),
        'tolerated_miss_rate': _number(0.0, 1.0), 'phase': _one_of(PHASES),
        'jitter_ms': _number(0.0, LONGEST_MS)}


def _truth() -> _Kind:
    return _Kind('true or false', lambda value: _checked(value, isinstance(value, bool)))


def _whole(low, high) -> _Kind:
    return _Kind(f'a whole number from {low} to {high}', lambda value: _checked(
        value, type(value) is int and low <= value <= high))


def _number(low, high) -> _Kind:
    return _Kind(f'a number from {low:g} to {high:g}',
                 lambda value: float(_checked(value, is_number(value, low, high))))


def _one_of(names: Sequence[str]) -> _Kind:
    # some have a comma in them
    told = ', '.join(repr(name) if ',' in name else name for name in names)
    return _Kind(f'one of {told}', lambda value: _checked(
        value, isinstance(value, str) and value in names))


def _checked(value, holds: bool):
    if not holds:
        raise ValueError
    return value


def _text(value) -> str:
    return _checked(value, isinstance(value, str) and value)


def _board(folder: Path, value) -> str:
    name = _beside(folder, _text(value), _YAML)
    load_board(name)
    return name


def _model(folder: Path, value) -> str:
    name = _beside(folder, _text(value), FILES)
    if name.endswith(PROFILE):
        load_table(name)
    else:
        layers_named(name)
    return name


def _policy(value) -> Policy:
    options = dict(value) if isinstance(value, dict) else {'policy': value}
    name = options.pop('policy', None)
    _checked(name, isinstance(name, str) and name in KNOWN)
    for option, chosen in options.items():
        if option not in _OPTIONS:
            raise ValueError(f'options are {", ".join(_OPTIONS)}')
        expected, fits = _OPTIONS[option]
        if not fits(chosen):
            raise ValueError(f'{option} is {expected}')
    try:
        make_known(name, **options)
    except TypeError as error:
        raise ValueError(f'{name} has no such options') from error
    return Policy(name, tuple(sorted(options.items())))


def _beside(folder: Path, text: str, endings) -> str:
    """Return the absolute path of a file that is named from the scenario's folder on."""
    return str((folder / full_path(text)).absolute()) if text.endswith(endings) else text


def _joined(expected, error: Optional[Exception]) -> str:
    return f'{expected} ({error})' if str(error) else expected
