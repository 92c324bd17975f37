"""A run of hostile inputs: how many of each kind end in a trace, hang, or take much memory."""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import math
from typing import Dict, Iterator, List, Sequence

from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.markdown import table
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.fuzz.watch import HANG, KINDS, MEMORY, REFUSED, TAKEN, TRACE, Outcome, Watch

_LOG = logging.getLogger(__name__)

FORMAT = 1
ENDS = (TAKEN, REFUSED, TRACE, HANG, MEMORY)
FAULTS = (TRACE, HANG, MEMORY)
# So many faults of a kind are kept with their words.
KEPT = 20
SAID_EVERY = 5_000


def run(clock, *, seed: int = 0, inputs: int = 0, seconds: float = 0.0,
        kinds: Sequence[str] = (), first: int = 0) -> Dict:
    """Use hostile inputs, the kinds in turn; return what became of them, ready for JSON.

    Parameters
    ----------
    clock : Clock
    seed : int
        The same one gives the same inputs.
    inputs : int
        How many of all kinds; 0: as many as there is time for.
    seconds : float
        No input begins later; 0: none is too late.
    kinds : sequence of str
        All where none is named; ParameterError for one that is unknown.
    first : int
        The number of the first input of each kind.

    """
    for kind in kinds:
        if kind not in KINDS:
            raise ParameterError('--kinds', kind, f'known are {", ".join(KINDS)}')
    begin_s = clock.now_s()
    rows: Dict[str, collections.Counter] = {}
    faults: List[Dict] = []
    with contextlib.closing(Watch(kinds or KINDS, seed)) as watch:
        chosen = [kind for kind in (kinds or KINDS) if kind not in watch.left_out]
        rows.update((kind, collections.Counter()) for kind in chosen)
        worst = {kind: Outcome(TAKEN) for kind in chosen}
        for count, (kind, number) in enumerate(_in_turn(chosen, first)):
            if count >= (inputs or math.inf) or clock.now_s() - begin_s > (seconds or math.inf):
                break
            outcome = watch.use(kind, number)
            rows[kind][outcome.end] += 1
            worst[kind] = _worse(worst[kind], outcome)
            if outcome.end in FAULTS and rows[kind][outcome.end] <= KEPT:
                faults.append({'kind': kind, 'number': number, 'end': outcome.end,
                               'words': outcome.words})
                _LOG.warning(f'{kind}, number {number}: {outcome.end}: {outcome.words}')
            if count % SAID_EVERY == SAID_EVERY - 1:
                _LOG.info(f'{count + 1} inputs')
        left_out = watch.left_out
    return {'format': FORMAT, 'environment': environment(), 'seed': seed, 'first': first,
            'elapsed_s': clock.now_s() - begin_s, 'left_out': left_out, 'faults': faults,
            'kinds': {kind: {'inputs': sum(ends.values()), **{end: ends[end] for end in ENDS},
                             'longest_s': worst[kind].cpu_s, 'most_mb': worst[kind].added_mb}
                      for kind, ends in rows.items()}}


def faults_of(results: Dict) -> int:
    """Return how many inputs ended in a fault."""
    return sum(row[end] for row in results['kinds'].values() for end in FAULTS)


def report(results: Dict) -> Iterator[str]:
    """Give the results as lines of markdown."""
    rows = dict(results['kinds'])
    rows['all'] = {key: (max if key in ('longest_s', 'most_mb') else sum)(
        row[key] for row in results['kinds'].values()) for key in next(iter(rows.values()))}
    yield from table(
        ['kind of input', 'inputs', 'taken', 'refused in a sentence', 'traces', 'hangs over 2 s',
         'over 500 MB', 'longest, s', 'most memory, MB'],
        [[kind, *(str(row[key]) for key in ('inputs', *ENDS)), f"{row['longest_s']:.2f}",
          f"{row['most_mb']:.0f}"] for kind, row in rows.items()])
    for kind, reason in results['left_out'].items():
        yield f'Left out: {kind} ({reason}).'


def _in_turn(kinds: Sequence[str], first: int):
    for number in itertools.count(first):
        for kind in kinds:
            yield kind, number


def _worse(one: Outcome, other: Outcome) -> Outcome:
    return Outcome(TAKEN, '', max(one.cpu_s, other.cpu_s), max(one.added_mb, other.added_mb))

