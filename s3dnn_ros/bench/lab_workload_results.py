"""Results of `s3dnn lab WORKLOAD.yaml` as tables and sentences in markdown."""

from __future__ import annotations

import math
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from s3dnn_ros.bench.confidence import interval, told
from s3dnn_ros.bench.markdown import table

# Of the file; another one is not read.
FORMAT = 1
KEPT, UNSURE, BROKEN = 'yes', 'unsure', 'no'
# Of each figure: its head, a factor, and digits.
_LOAD = (('missed_share', 'missed, %', 100.0, 2), ('finished_hz', 'images/s', 1.0, 1),
         ('p50_ms', 'p50, ms', 1.0, 1), ('p99_ms', 'p99, ms', 1.0, 1), ('batch', 'batch', 1.0, 2),
         ('busy_share', 'device busy, %', 100.0, 0))
_BOARD = (('power_w', 'W', 1.0, 2), ('frame_mj', 'mJ/image', 1.0, 0),
          ('settled_c', '°C settled', 1.0, 0), ('throttled_share', 'throttled, %', 100.0, 0))
_POWER_HEADS = ('W at least', 'mJ/image')
_SCORES = (('exact_share', 'exact, %', 100.0, 0), ('score', 'score', 1.0, 3))
# What instances ask for, by what is harder; all other axes are what a user may choose.
_RISING, _FALLING = ('cameras', 'rate_hz', 'rate_factor', 'jitter_ms'), ('deadline_ms',
                                                                        'deadline_factor')


class Combination(NamedTuple):
    """A combination of the sweep: what was chosen, by axis, and the results of its seeds."""

    choices: Mapping[str, Any]
    runs: Sequence[Mapping]
    tolerated: Mapping[str, float]

    @property
    def name(self) -> str:
        """Return the choices as a sentence shows them."""
        return _named(self.choices) or 'the workload as it is'

    def values(self, figure: str) -> List[float]:
        """Return a figure of all seeds, where it is known."""
        return [run[figure] for run in self.runs if run.get(figure) is not None]

    def missed(self, instance: str) -> List[float]:
        """Return what an instance misses, by seed."""
        return [run['instances'][instance]['missed_share'] for run in self.runs]

    @property
    def worst(self) -> str:
        """Return the instance that exceeds what it tolerates most, or comes nearest to it."""
        return max(self.tolerated, key=lambda name: (interval(self.missed(name)).mean
                                                     - self.tolerated[name]))

    @property
    def keeps(self) -> str:
        """Return whether all instances keep what they tolerate: as far as the seeds tell."""
        verdicts = [_verdict(self.missed(name), rate) for name, rate in self.tolerated.items()]
        return max(verdicts, key=(KEPT, UNSURE, BROKEN).index)

    @property
    def power_w(self) -> float:
        """Return the mean power; infinite where nobody knows it."""
        values = self.values('power_w')
        return interval(values).mean if values else math.inf


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    plan, environment = results['plan'], results['environment']
    found = combinations(results)
    done = '' if results['complete'] else (
        f" Only {len(results['cells'])} of {results['total']} simulations are done.")
    seeds = max(len(each.runs) for each in found)
    lines = [
        f"{plan['name']} on a simulated {_device(plan)}, commit {environment['commit']}, "
        f"{environment['date']}; {plan['scenario']['seconds']:g} s of virtual time, mean ± 95 % "
        f'of {seeds} seeds.{done} All figures are simulated.', '',
        '## All combinations', '', *_combinations(found), '',
        '## By instance', '', *_instances(found), '']
    for axis, _ in plan['axes']:
        rows = (_load_axis(axis, found) if _is_load(axis)
                else _choice_axis(axis, plan['axes'], found))
        lines += [f'## What if: {axis}', '', *rows, '']
    return [*lines, *(f'- {sentence}' for sentence in sentences(plan, found))]


def combinations(results: Mapping) -> List[Combination]:
    """Return the combinations that were simulated, with all their seeds."""
    found: Dict[str, Combination] = {}
    for row in results['cells']:
        choices = dict(row['cell']['choices'])
        tolerated = {each['name']: each['tolerated_miss_rate']
                     for each in row['cell']['scenario']['instances']}
        for axis, value in choices.items():
            name, _, key = axis.rpartition('.')
            if key == 'tolerated_miss_rate':
                tolerated.update((each, value) for each in tolerated if name in ('', each))
        found.setdefault(repr(choices), Combination(choices, [], tolerated)).runs.append(
            row['result'])
    return list(found.values())


def sentences(plan: Mapping, found: Sequence[Combination]) -> Iterator[str]:
    """Give the answers: what is carried along every axis, and what keeps all with least energy."""
    loads = [(axis, values) for axis, values in plan['axes'] if _is_load(axis)]
    for axis, values in loads:
        yield _most(axis, values, found)
    kept = [each for each in found if each.keeps == KEPT]
    if not kept:
        best = min(found, key=lambda each: interval(each.values('missed_share')).mean)
        yield ('No combination surely keeps all tolerated misses. The nearest is '
               f'{best.name}, where {_worst(best)}.')
    elif loads or math.isinf(kept[0].power_w):
        yield f'{len(kept)} of {len(found)} combinations keep all tolerated misses.'
    else:
        best = min(kept, key=lambda each: each.power_w)
        yield (f'{len(kept)} of {len(found)} combinations keep all tolerated misses; the one with '
               f'least energy is {best.name}: {_energy(best)}.')
    unsure = sum(each.keeps == UNSURE for each in found)
    if unsure:
        yield (f'For {unsure} of {len(found)} combinations the seeds do not tell whether they '
               'keep them; more --seeds, or longer runs (`seconds`), do.')
    hot = sum(any(each.values('throttled_share')) for each in found)
    if hot:
        yield f'The GPU gets too warm and is throttled in {hot} of {len(found)} combinations.'


def shown(value) -> str:
    """Return a value of an axis, as JSON has it, for a table; a path by the file's name."""
    if isinstance(value, bool):
        return 'on' if value else 'off'
    if isinstance(value, (list, tuple)):
        name, options = value
        told_options = ', '.join(f'{option} {chosen}' for option, chosen in options)
        return f'{name} ({told_options})' if options else name
    return f'{value:g}' if isinstance(value, (int, float)) else value.rsplit('/', 1)[-1]


def _is_load(axis) -> bool:
    return axis.rpartition('.')[-1] in _RISING + _FALLING


def _carried(axis, values, found) -> Tuple[Optional[Combination], Any]:
    """Return what keeps all tolerated misses at the hardest value that any does, and the next.

    It is the one of least power there. None if none does at the easiest value; the next is None
    if there is none.
    """
    best = None
    for value in sorted(values, reverse=axis.rpartition('.')[-1] in _FALLING):
        kept = [each for each in found if each.choices[axis] == value and each.keeps == KEPT]
        if not kept:
            return best, value
        best = min(kept, key=lambda each: each.power_w)
    return best, None


def _most(axis, values, found) -> str:
    """Return how far an axis goes until no combination keeps all tolerated misses."""
    best, harder = _carried(axis, values, found)
    if best is None:
        begin = f'{axis}: no value surely keeps all tolerated misses'
    else:
        others = _named({name: value for name, value in best.choices.items() if name != axis})
        energy = '' if math.isinf(best.power_w) else f', and takes {_energy(best)}'
        begin = (f'{axis}: {shown(best.choices[axis])} keeps all tolerated misses'
                 + (f' with {others}' if others else '') + energy)
    tried = [each for each in found if each.choices[axis] == harder]
    if harder is None:
        return f'{begin}; no harder one was tried.'
    if not tried:
        return f'{begin}.'
    nearest = min(tried, key=lambda each: interval(each.missed(each.worst)).mean)
    return f'{begin}; at {shown(harder)}, {_worst(nearest, " at best")}.'


def _worst(combination, how='') -> str:
    name = combination.worst
    return (f'{name}{how} misses {told(_percent(combination.missed(name)), 2)} % and tolerates '
            f'{100 * combination.tolerated[name]:g} %')


def _energy(combination) -> str:
    return (f"{told(combination.values('power_w'), 2)} W, "
            f"{told(combination.values('frame_mj'), 0)} mJ an image")


def _named(choices) -> str:
    return ', '.join(f'{axis} {shown(value)}' for axis, value in choices.items())


def _combinations(found) -> Iterator[str]:
    axes = list(found[0].choices)
    columns = [column for column in (*_LOAD, *_BOARD, *_SCORES)
               if any(each.values(column[0]) for each in found)]
    if all(value == 1.0 for each in found for value in each.values('exact_share')):
        columns = [column for column in columns if column not in _SCORES]
    reasons = sorted({reason for each in found for run in each.runs for reason in run['missed']})
    yield from table(
        [*axes, 'keeps tolerated', *(head for _, head, _, _ in columns),
         *(f'{reason}, %' for reason in reasons)],
        ([*(shown(each.choices[axis]) for axis in axes), each.keeps,
          *(told([factor * value for value in each.values(name)], digits)
            for name, _, factor, digits in columns),
          *(told(_percent([run['missed'].get(reason, 0.0) for run in each.runs]), 2)
            for reason in reasons)]
         for each in found))


def _instances(found) -> Iterator[str]:
    names, axes = list(found[0].tolerated), list(found[0].choices)
    yield from table(
        [*axes, *(f'{name}: missed, %' for name in names),
         *(f'{name}: p99, ms' for name in names), 'worst'],
        ([*(shown(each.choices[axis]) for axis in axes),
          *(told(_percent(each.missed(name)), 2) for name in names),
          *(told([run['instances'][name]['p99_ms'] for run in each.runs
                  if run['instances'][name]['p99_ms'] is not None]) for name in names),
          each.worst] for each in found))


def _load_axis(axis, found) -> Iterator[str]:
    """Give a row for each load: who carries it with least power, whatever the others are."""
    others = [other for other in found[0].choices if other != axis]
    knows_power = not math.isinf(found[0].power_w)
    yield from table(
        [axis, 'keep tolerated', 'least missed, %', *(_POWER_HEADS if knows_power else []),
         *([f'there: {", ".join(others)}'] if others else [])],
        (_load_row(value, group, others, knows_power)
         for value, group in _by_value(axis, found).items()))


def _load_row(value, group, others, knows_power) -> List[str]:
    least = min(group, key=lambda each: interval(each.values('missed_share')).mean)
    kept = [each for each in group if each.keeps == KEPT]
    best = min(kept, key=lambda each: each.power_w) if kept else None
    there = ', '.join(shown((best or least).choices[other]) for other in others)
    return [value, f'{len(kept)} of {len(group)}',
            told(_percent(least.values('missed_share')), 2),
            *(_power_cells(best) if knows_power else []),
            *([there if best else f'{there} (misses least)'] if others else [])]


def _choice_axis(axis, axes, found) -> Iterator[str]:
    """Give a row for each choice: how much it carries, and its power at a load that all carry."""
    loads = [(name, values) for name, values in axes if _is_load(name)]
    groups = _by_value(axis, found)
    kept = {value: _best_by_load(group) for value, group in groups.items()}
    common = set.intersection(*map(set, kept.values()))
    load = max(common, key=lambda each: sum(
        interval(best[each].values('busy_share')).mean for best in kept.values()), default=None)
    knows_power = load is not None and not math.isinf(found[0].power_w)
    at = f' at {load}' if load else ''
    yield from table(
        [axis, 'keep tolerated', *(f'carries {name}' for name, _ in loads),
         *([f'{head}{at}' for head in _POWER_HEADS] if knows_power else [])],
        ([value, f'{sum(each.keeps == KEPT for each in group)} of {len(group)}',
          *(_carried_cell(name, values, group) for name, values in loads),
          *(_power_cells(kept[value][load]) if knows_power else [])]
         for value, group in groups.items()))


def _best_by_load(group) -> Dict[str, Combination]:
    """Return by load what keeps all tolerated misses there with least power."""
    best: Dict[str, Combination] = {}
    for each in group:
        load = _named({axis: value for axis, value in each.choices.items() if _is_load(axis)})
        if each.keeps == KEPT and (load not in best or each.power_w < best[load].power_w):
            best[load] = each
    return best


def _carried_cell(axis, values, group) -> str:
    best, _ = _carried(axis, values, group)
    return 'none' if best is None else shown(best.choices[axis])


def _by_value(axis, found) -> Dict[str, List[Combination]]:
    groups: Dict[str, List[Combination]] = {}
    for each in found:
        groups.setdefault(shown(each.choices[axis]), []).append(each)
    return groups


def _power_cells(best: Optional[Combination]) -> List[str]:
    return (['–', '–'] if best is None else
            [told(best.values('power_w'), 2), told(best.values('frame_mj'), 0)])


def _verdict(missed: Sequence[float], rate: float) -> str:
    """Return whether a rate is kept; UNSURE where it is within the confidence interval."""
    mean, margin = interval(missed)
    margin = 0.0 if math.isnan(margin) else margin
    if mean + margin <= rate:
        return KEPT
    return UNSURE if mean - margin <= rate else BROKEN


def _device(plan) -> str:
    swept = dict(plan['axes']).get('board')
    return ' / '.join(map(shown, swept)) if swept else shown(
        plan['scenario']['board'] or 'device, as it was profiled')


def _percent(shares) -> List[float]:
    return [100.0 * share for share in shares]
