"""Boards as YAML describes them: every number has a source, is fitted, or is assumed."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from s3dnn_ros.base.content import Fields, full_path, yaml_fields
from s3dnn_ros.base.share import share_directory
from s3dnn_ros.errors import DocumentError, PlatformError
from s3dnn_ros.lab.board import (
    CLOCKS,
    CPU,
    GPU,
    MEMORY,
    PRECISIONS,
    Board,
    Clock,
    Mode,
    Rail,
    Thermal,
)

ORIGINS = ('source', 'assumed', 'fitted')
# Beyond these are no boards, but other units.
MOST_MHZ, MOST_VOLTS, MOST_MS, MOST_W, MOST_CPUS = 10_000.0, 2.0, 1000.0, 1000.0, 256


def board_directory() -> Path:
    """Return the package's own config/platforms."""
    return share_directory().parent / 'platforms'


def known_boards() -> List[str]:
    """Return the names of the package's own boards, sorted."""
    return sorted(path.stem for path in board_directory().glob('*.yaml'))


def load_board(name_or_path) -> Board:
    """Read a board, by name or by the path of its YAML file.

    Raises PlatformError, which names file, line and key, if it cannot be used.
    """
    text = str(name_or_path)
    if not text.endswith(('.yaml', '.yml')):
        if text not in known_boards():
            raise PlatformError(f"board '{text}'", 'is not known; known are '
                                f'{", ".join(known_boards())}; name one, or a YAML file')
        return _own_board(board_directory() / f'{text}.yaml')
    try:
        path = full_path(text)
        return _board(path.stem, yaml_fields(path))
    except DocumentError as error:
        raise PlatformError(text, str(error)) from error


@functools.lru_cache(maxsize=None)
def _own_board(path: Path) -> Board:
    # it does not change, and experiments ask for it thousands of times
    return load_board(path)


def _board(name, fields: Fields) -> Board:
    fields.expect_only('description', 'gpu', 'memory', 'cpu', 'host', 'rails', 'thermal', 'modes')
    gpu, memory, cpu = (fields.part(clock) for clock in CLOCKS)
    gpu.expect_only('multiprocessors', 'kernel_us', *_CLOCK_KEYS, *_keys('flops_per_clock'),
                    *_keys('efficiency'))
    memory.expect_only('bytes_per_clock', 'efficiency', *_CLOCK_KEYS)
    cpu.expect_only('clusters', 'set_apart', *_CLOCK_KEYS)
    host = fields.part('host')
    host.expect_only('launch_us', 'decision_us')
    clocks = {clock: _clock(part) for clock, part in zip(CLOCKS, (gpu, memory, cpu))}
    clusters = _clusters(cpu)
    return Board(
        name, fields.text('description'), _whole(gpu, 'multiprocessors', 1, 1024),
        {precision: _number(gpu, f'{precision}_flops_per_clock', 1.0, 1e9)
         for precision in PRECISIONS},
        _number(memory, 'bytes_per_clock', 1.0, 1e6),
        {precision: _number(gpu, f'{precision}_efficiency', 1e-3, 1.0)
         for precision in PRECISIONS},
        _number(memory, 'efficiency', 1e-3, 1.0), 1e-6 * _number(gpu, 'kernel_us', 0.0, 1e4),
        clocks, clusters, _truth(cpu, 'set_apart'), 1e-6 * _number(host, 'launch_us', 0.0, 1e5),
        1e-6 * _number(host, 'decision_us', 0.0, 1e5), _rails(fields.part('rails')),
        _thermal(fields.part('thermal'), clocks[GPU]),
        _modes(fields.part('modes'), sum(clusters.values(), ())))


_CLOCK_KEYS = ('steps_mhz', 'neuos_mhz', 'volts', 'delay_ms', 'change_us')


def _keys(name) -> Tuple[str, ...]:
    return tuple(f'{precision}_{name}' for precision in PRECISIONS)


def _clock(fields: Fields) -> Clock:
    steps_mhz = _ascending(fields, 'steps_mhz')
    neuos_mhz = _ascending(fields, 'neuos_mhz')
    if not set(neuos_mhz) <= set(steps_mhz):
        fields.part('neuos_mhz').fail('values', 'some of steps_mhz')
    part = _origin(fields, 'volts', 'values')
    volts = part.numbers('values', 0.1, MOST_VOLTS)
    if len(volts) != 2 or volts[0] > volts[1]:
        part.fail('values', 'the volts at the lowest and at the highest step')
    return Clock(steps_mhz, neuos_mhz, (volts[0], volts[1]),
                 1e-3 * _number(fields, 'delay_ms', 0.0, MOST_MS),
                 1e-6 * _number(fields, 'change_us', 0.0, 1e3 * MOST_MS))


def _clusters(cpu: Fields) -> Dict[str, Tuple[int, ...]]:
    found = {}
    for name in cpu.mapping('clusters'):
        part = _origin(cpu.part('clusters'), name, 'cpus')
        found[name] = part.wholes('cpus', 0, MOST_CPUS)
        if not found[name]:
            part.fail('cpus', 'the numbers of its CPUs')
    cpus = [number for numbers in found.values() for number in numbers]
    if len(set(cpus)) != len(cpus) or 0 not in cpus:
        cpu.fail('clusters', 'clusters with CPU 0 among them, and every CPU once')
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _rails(fields: Fields) -> Dict[str, Rail]:
    rails = {}
    for name in fields.names():
        part = fields.part(name)
        part.expect_only('clock', 'static_mw', 'dynamic_mw', 'idle')
        clock = part.text('clock')
        if clock not in (*CLOCKS, 'none'):
            part.fail('clock', f'one of {", ".join(CLOCKS)}, none')
        rails[name] = Rail('' if clock == 'none' else clock,
                           1e-3 * _number(part, 'static_mw', 0.0, 1e3 * MOST_W),
                           1e-3 * _number(part, 'dynamic_mw', 0.0, 1e3 * MOST_W),
                           _number(part, 'idle', 0.0, 1.0))
    return rails


def _thermal(fields: Fields, gpu: Clock) -> Thermal:
    fields.expect_only('ambient_c', 'degrees_per_w', 'time_constant_s', 'throttle_c', 'release_c',
                       'throttled_gpu_mhz')
    throttle_c = _number(fields, 'throttle_c', 0.0, 150.0)
    return Thermal(
        _number(fields, 'ambient_c', -40.0, 100.0), _number(fields, 'degrees_per_w', 0.0, 100.0),
        _number(fields, 'time_constant_s', 1e-3, 1e5), throttle_c,
        _number(fields, 'release_c', -40.0, throttle_c),
        _number(fields, 'throttled_gpu_mhz', gpu.steps_mhz[0], gpu.steps_mhz[-1]))


def _modes(fields: Fields, cpus: Sequence[int]) -> Dict[str, Mode]:
    modes = {}
    for name in fields.names():
        part = _origin(fields, name, *(f'{clock}_mhz' for clock in CLOCKS), 'cpus', 'budget_w')
        on = part.wholes('cpus', 0, MOST_CPUS)
        if not {0} <= set(on) <= set(cpus):
            part.fail('cpus', 'some of the CPUs, 0 among them')
        modes[name] = Mode(
            {clock: part.number(f'{clock}_mhz', 1.0, MOST_MHZ) for clock in (GPU, MEMORY, CPU)},
            on, part.number('budget_w', 0.1, MOST_W) if part.has('budget_w') else None)
    return modes


def _ascending(fields: Fields, key) -> Tuple[float, ...]:
    part = _origin(fields, key, 'values')
    values = part.numbers('values', 1.0, MOST_MHZ)
    if not values or list(values) != sorted(set(values)):
        part.fail('values', 'a list of MHz, ascending')
    return values


def _number(fields: Fields, key, low, high) -> float:
    return _origin(fields, key, 'value').number('value', low, high)


def _whole(fields: Fields, key, low, high) -> int:
    return _origin(fields, key, 'value').whole('value', low, high)


def _truth(fields: Fields, key) -> bool:
    return _origin(fields, key, 'value').truth('value')


def _origin(fields: Fields, key, *keys) -> Fields:
    """Return what a key holds, a mapping with these keys that says where it is from."""
    part = fields.part(key)
    part.expect_only(*keys, *ORIGINS)
    told = [origin for origin in ORIGINS if part.has(origin)]
    if len(told) != 1 or not part.text(told[0]).strip():
        fields.fail(key, f'one of {", ".join(ORIGINS)} in it, which says where it is from')
    return part
