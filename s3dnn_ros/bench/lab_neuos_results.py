"""Results of `s3dnn lab neuos` as tables in markdown, with the paper's figures beside them."""

from __future__ import annotations

import statistics
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence

from s3dnn_ros.bench.confidence import told
from s3dnn_ros.bench.markdown import table

# Of the file; another one is not read.
FORMAT = 1

MODES = ('min_energy', 'balanced', 'max_accuracy')
# As in the paper, and by the tables of whole networks.
KINDS = ('', ', by network')
# The paper, by board; p99 in ms by model, for small, medium and large cohorts.
MISSED = 3.25
P99_MS: Mapping[str, Mapping[str, Sequence[float]]] = {
    'tx2': {'AlexNet': (9.2, 10.4, 13.6), 'GoogLeNet': (48.0, 39.2, 40.8),
            'ResNet-50': (130.3, 101.7, 190.0), 'VGG-16': (39.1, 69.0, 72.0)},
    'agx_xavier': {'AlexNet': (5.0, 11.0, 10.7), 'GoogLeNet': (12.0, 12.5, 54.0),
                   'ResNet-50': (26.1, 26.3, 62.0), 'VGG-16': (36.2, 35.9, 36.1)}}
COHORTS = ('small', 'medium', 'large')
ENERGY = {'tx2': '−68', 'agx_xavier': '−40 (contributions), −46 (§5.2.1)'}
LATENCY = {'tx2': '−68', 'agx_xavier': '−40'}
# Against balanced: accuracy, energy.
TRIANGLE = {'min_energy': ('up to −23', '−11'), 'balanced': ('0', '0'),
            'max_accuracy': ('+10', '+23')}
# Energy per frame is compared only where both answer this share of the frames in time.
COMPARABLE = 0.5
# Who is beside the oracle, the offline limit.
ORACLE = 'oracle'
BESIDE_ORACLE = ('Max-N', 'balanced', 'balanced, by network')

_COLUMNS = (('missed, %', 'missed_share', 100, 1), ('mean, ms', 'mean_ms', 1, 1),
            ('p99, ms', 'p99_ms', 1, 1), ('mJ a frame', 'frame_mj', 1, 0),
            ('above rest', 'frame_above_rest_mj', 1, 0), ('score', 'score', 100, 1),
            ('exact, %', 'exact_share', 100, 0), ('LAG range, %', 'lag_range', 100, 0),
            ('misses range', 'missed_range', 100, 0), ('changes/s', 'transitions_hz', 1, 0),
            ('to set them, %', 'transition_share', 100, 1))


class Group(NamedTuple):
    """What runs have in common, but for contender and seed."""

    board: str
    factor: float
    cohort: str
    models: Sequence[str]

    @property
    def name(self) -> str:
        """Return it in words."""
        alone = f' ({self.models[0]})' if len(self.models) == 1 else ''
        return f'{self.board}, {self.cohort}{alone}, a frame every {self.factor:g} deadlines'


# By contender: a result for each seed.
_Runs = Dict[str, List[Dict[str, Any]]]


def tables(results: Mapping) -> List[str]:
    """Return the results as lines of markdown."""
    groups = _grouped(results['cells'])
    environment, plan = results['environment'], results['plan']
    lines = [
        f"Simulated, commit {environment['commit']}, {environment['date']}; means ± 95 % of "
        f"{plan['seeds']} seeds, {plan['seconds']:g} s of virtual time each, networks in "
        f"{plan['segments']} segments.",
        '', 'Requests that cannot be in time any more are dropped: they count as missed, and '
        'times, energy a frame and score are those of the others. Energy is that of the board; '
        'above rest is what it has beyond its lowest power. Score is 100, less 1 for each layer '
        'of low rank. Ranges are the greatest difference between two instances: of mean LAG at '
        'the end, in deadlines, and of misses, in points.']
    for group, runs in groups.items():
        lines += ['', f'### {group.name}', '', *table(
            ['', *(name for name, *_ in _COLUMNS), 'set longest'], _rows(runs))]
    for board in dict.fromkeys(group.board for group in groups):
        for factor in dict.fromkeys(group.factor for group in groups if group.board == board):
            part = {group: runs for group, runs in groups.items()
                    if (group.board, group.factor) == (board, factor)}
            title = f'{board}, a frame every {factor:g} deadlines'
            lines += ['', f'### Beside the paper: {title}', '', *_beside_paper(board, part)]
    if any(ORACLE in runs for runs in groups.values()):
        lines += ['', '### The limit', '', *_limit(groups)]
    return [*lines, '', '### What decisions take', '', *_overhead(groups), '', '### Memory', '',
            *_memory(groups)]


def _grouped(cells) -> Dict[Group, _Runs]:
    groups: Dict[Group, _Runs] = {}
    for row in cells:
        cell = row['cell']
        group = Group(cell['board'], cell['period_factor'], cell['cohort'],
                      tuple(cell['models']))
        groups.setdefault(group, {}).setdefault(cell['contender'], []).append(row['result'])
    return groups


def _rows(runs: _Runs) -> Iterator[List[str]]:
    for contender, each in runs.items():
        yield [contender, *(told(_known(each, key, factor), digits)
                            for _, key, factor, digits in _COLUMNS), _longest(each)]


def _known(runs, key, factor=1.0) -> List[float]:
    return [factor * run[key] for run in runs if run[key] is not None]


def _longest(runs) -> str:
    shares: Dict[str, float] = {}
    for run in runs:
        for name, share in run['configurations'].items():
            shares[name] = shares.get(name, 0.0) + share / len(runs)
    if not shares:
        return '–'
    name, share = max(shares.items(), key=lambda item: item[1])
    return f'{name}: {share:.0%}'


def _beside_paper(board: str, groups: Mapping[Group, _Runs]) -> Iterator[str]:
    modes = [mode + kind for kind in KINDS for mode in MODES
             if any(mode + kind in runs for runs in groups.values())]
    if modes:
        yield from table(['missed, %', 'paper', *modes], _missed(groups, modes))
        yield ''
        yield from table(['p99 in ms', 'paper', *modes], _p99(board, groups, modes))
        yield ''
    for kind in KINDS:
        if 'balanced' + kind in modes:
            yield from _compared(board, groups, kind)


def _compared(board, groups, kind) -> Iterator[str]:
    """Give tables of one kind of modes against rivals, and against each other."""
    balanced = 'balanced' + kind
    yield (f'`{balanced}` against each other one: the mean of the cohorts in which both are in '
           f'time for {COMPARABLE:.0%} of the frames at least; less is better. The paper has '
           f'{ENERGY[board]} % of energy and {LATENCY[board]} % of response, all rivals '
           'together.')
    yield ''
    yield from table(['', 'energy, %', 'response, %', 'misses, points', 'cohorts'],
                     _against(groups, balanced))
    yield ''
    yield (f'The triangle of Fig. 11, relative to `{balanced}`; the paper in brackets. Latency '
           'is the mean response.')
    yield ''
    yield from table(['', 'energy, %', 'accuracy, %', 'latency, %'], _triangle(groups, kind))
    yield ''


def _missed(groups, modes) -> Iterator[List[str]]:
    for cohort in COHORTS:
        part = [runs for group, runs in groups.items() if group.cohort == cohort]
        if part:
            yield [cohort, f'{MISSED}' if cohort == 'small' else 'almost the same', *(
                told([statistics.fmean(each) for each in zip(*(
                    _known(runs[mode], 'missed_share', 100) for runs in part if mode in runs))])
                for mode in modes)]


def _p99(board, groups, modes) -> Iterator[List[str]]:
    for model, published in P99_MS[board].items():
        for cohort, paper_ms in zip(COHORTS, published):
            part = [runs for group, runs in groups.items()
                    if group.cohort == cohort and model in group.models]
            for runs in part:
                yield [f'{model}, {cohort}', f'{paper_ms:g}', *(
                    told(_known([run['by_model'].get(model, run)
                                 for run in runs.get(mode, ())], 'p99_ms')) for mode in modes)]


def _against(groups, balanced) -> Iterator[List[str]]:
    for rival in dict.fromkeys(name for runs in groups.values() for name in runs):
        if rival == balanced:
            continue
        pairs = list(_pairs(groups, balanced, rival))
        missed = [_mean(runs[balanced], 'missed_share') - _mean(runs[rival], 'missed_share')
                  for runs in groups.values() if balanced in runs and rival in runs]
        yield [rival, _change(pairs, 'frame_mj'), _change(pairs, 'mean_ms'),
               f'{100 * statistics.fmean(missed):+.1f}' if missed else '–',
               f'{len(pairs)} of {len(missed)}']


def _triangle(groups, kind) -> Iterator[List[str]]:
    for mode in MODES:
        pairs = list(_pairs(groups, mode + kind, 'balanced' + kind))
        accuracy, energy = TRIANGLE[mode]
        yield [mode + kind, f"{_change(pairs, 'frame_mj')} ({energy})",
               f"{_change(pairs, 'score')} ({accuracy})", _change(pairs, 'mean_ms')]


def _pairs(groups, one, other) -> Iterator[Sequence[List[Dict]]]:
    """Give the runs of two contenders wherever both are in time often enough to compare."""
    for runs in groups.values():
        if one in runs and other in runs and all(
                _mean(runs[name], 'missed_share') <= 1.0 - COMPARABLE for name in (one, other)):
            yield runs[one], runs[other]


def _change(pairs, key) -> str:
    changes = [_mean(one, key) / _mean(other, key) - 1.0 for one, other in pairs]
    return f'{100 * statistics.fmean(changes):+.0f}' if changes else '–'


def _mean(runs, key) -> float:
    return statistics.fmean(_known(runs, key))


def _limit(groups) -> Iterator[str]:
    """Give the table of what the oracle reaches, and others beside it."""
    yield ('The oracle keeps a fixed configuration for each segment of each network. It knows the '
           f'whole run: of the plans that miss at most {MISSED} %, those of exact networks come '
           'first, then those that use less energy. Where even the fastest fixed configuration '
           'with the fastest variants misses more, nothing is searched. Missed frames in %; in '
           'brackets mJ a frame, and the score where it is not 100.')
    yield ''
    names = [name for name in BESIDE_ORACLE if any(name in runs for runs in groups.values())]
    yield from table(['', ORACLE, 'simulations for a search', *names], (
        [group.name, _brief(runs[ORACLE]), _searches(runs[ORACLE]),
         *(_brief(runs[name]) if name in runs else '–' for name in names)]
        for group, runs in groups.items() if ORACLE in runs))


def _brief(runs) -> str:
    """Return misses, energy a frame and score in brief."""
    missed = f"{_mean(runs, 'missed_share') * 100:.1f}"
    if not _known(runs, 'score'):
        return missed
    score = f"{_mean(runs, 'score') * 100:.1f}"
    return (f"{missed} ({_mean(runs, 'frame_mj'):.0f}"
            + ('' if score == '100.0' else f', score {score}') + ')')


def _searches(runs) -> str:
    searches = [run['search'] for run in runs]
    searched = sum(each['searched'] for each in searches)
    text = f"{statistics.fmean(each['runs'] for each in searches):.0f}"
    return text if searched == len(runs) else f'{text}; searched {searched} of {len(runs)}'


def _overhead(groups) -> Iterator[str]:
    """Give the table of what decisions took, by contender, board and cohort."""
    yield ('Measured, not simulated: what the shipped code took on the CPU of the machine that '
           'simulated, of which other simulations had their share. Mean ms at a boundary, and in '
           'brackets the 99th percentile. On the boards every decision is taken to cost the '
           "host's time that their files tell.")
    yield ''
    columns = dict.fromkeys((group.board, group.cohort) for group in groups)
    names = dict.fromkeys(name for runs in groups.values() for name in runs)

    def cell(name, column) -> str:
        runs = [run['decision_us'] for group, each in groups.items()
                if (group.board, group.cohort) == column for run in each.get(name, ())]
        if not runs:
            return '–'
        return (f"{_mean(runs, 'mean') / 1e3:.3f} "
                f"({statistics.fmean(_known(runs, 'p99')) / 1e3:.3f})")

    yield from table(['', *map(', '.join, columns)],
                     ([name, *(cell(name, column) for column in columns)] for name in names))


def _memory(groups) -> Iterator[str]:
    """Give the table of what is resident."""
    yield ('Weights in half precision, of both copies; each model once. The paper says that both '
           'are resident, that the copy of low rank is slightly smaller, and tables negligible.')
    yield ''
    parts = ('exact_mb', 'low_rank_mb', 'tables_mb')
    rows: Dict[Any, Mapping[str, float]] = {}
    for group, runs in groups.items():
        for each in runs.values():
            rows.setdefault((group.board, ', '.join(dict.fromkeys(group.models))),
                            each[0]['memory'])
    yield from table(['', 'exact, MB', 'low rank, MB', 'tables, MB'], (
        [f'{board}: {models}', *(f'{memory[part]:.1f}' for part in parts)]
        for (board, models), memory in rows.items()))
