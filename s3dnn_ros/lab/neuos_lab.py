"""NeuOS's experiment (ATC 2020, section 5) on simulated boards: the modes beside their rivals.

Core, scheduler, coordinator and rivals are the shipped ones; boards, networks and times are
simulated. Whether the paper's frames come periodically or back to back is not known: here each
instance gets a frame every deadline, or every `period_factor` deadlines. Requests that cannot be
in time any more are dropped, and count as missed.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import random
import statistics
import time
from typing import Any, Counter, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.contenders import Contender, ContenderChooser
from s3dnn_ros.bench.lab_neuos_results import FORMAT, MISSED
from s3dnn_ros.bench.option_checks import above_zero, at_least_one
from s3dnn_ros.bench.record import percentiles_us
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab import oracle
from s3dnn_ros.lab.board import Activity, Board
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.contenders import lab_contenders
from s3dnn_ros.lab.neuos_networks import DEADLINES_MS, PRECISION, SOURCES, Network, networks_of
from s3dnn_ros.lab.recording import record
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.sweep import Experiment
from s3dnn_ros.lab.timed_board import TimedBoard
from s3dnn_ros.lab.virtual_executor import VirtualExecutor
from s3dnn_ros.runtime.recorder import ROWS, Recorder

MODELS = tuple(SOURCES)
# Of the paper: each model alone, all side by side, and two of each.
COHORTS: Mapping[str, Tuple[Tuple[str, ...], ...]] = {
    'small': tuple((model,) for model in MODELS), 'medium': (MODELS,), 'large': (MODELS * 2,)}
SCHEDULER = 'supervised'
# A frame comes up to this part of a period later than its turn.
ARRIVAL_JITTER = 0.05
# Of a run, before figures count: clocks and learned times settle.
SETTLE = 0.1
# So many configurations are told, those that were set longest.
TOLD = 1
DIGITS = 5
# So many runs the oracle's search takes for configurations by network, and as many by layer.
ORACLE_RUNS = 60
# Of a column of a table.
NUMBER_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to simulate; `seconds` are virtual, `contenders` names.

    Without names, there are all but the oracle, which takes long to search. Small
    cohorts run with the first of the `period_factors` alone.

    Every network is cut into `segments`, and decisions fall at their boundaries. `steps` is as
    for `Board.space`.
    """

    boards: Sequence[str] = tuple(DEADLINES_MS)
    cohorts: Sequence[str] = tuple(COHORTS)
    contenders: Sequence[str] = ()
    seeds: int = 3
    seconds: float = 3.0
    period_factors: Sequence[float] = (1.0, 4.0)
    segments: int = 8
    steps: str = 'neuos'

    def __post_init__(self):
        """Refuse what cannot be simulated; raises ParameterError."""
        at_least_one('--seeds', [self.seeds])
        at_least_one('--segments', [self.segments])
        above_zero('--seconds', [self.seconds])
        above_zero('--period-factors', self.period_factors)
        _expect_known('--boards', self.boards, DEADLINES_MS)
        _expect_known('--cohorts', self.cohorts, COHORTS)
        # a frame that counts comes after the begin, and has its answer before the end
        longest_ms = max(max(DEADLINES_MS[board]) for board in self.boards)
        least_s = (max(self.period_factors) + 1.0) * longest_ms / 1e3 / (1.0 - SETTLE)
        if self.seconds < least_s:
            raise ParameterError('--seconds', self.seconds, f'expected {least_s:.2f} at least, so '
                                 'that a frame of every instance counts')


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: `models` side by side on a board, and who decides there."""

    board: str
    cohort: str
    models: Tuple[str, ...]
    contender: str
    seed: int
    seconds: float
    period_factor: float
    segments: int
    steps: str


def experiment(plan: Plan) -> Experiment:
    """Return the experiment; raises ParameterError for contenders that a board does not have."""
    cells = [
        Cell(board, cohort, models, contender, seed, plan.seconds, factor, plan.segments,
             plan.steps)
        for board in plan.boards
        for factor in plan.period_factors
        for cohort in plan.cohorts
        # who is alone has the board to itself, however seldom others come
        if cohort != 'small' or factor == plan.period_factors[0]
        for models in COHORTS[cohort]
        for contender in plan.contenders or contenders_of(board, plan.steps)
        for seed in range(plan.seeds)]
    for board in plan.boards:
        _expect_known('--contenders', plan.contenders, (*contenders_of(board, plan.steps),
                                                        oracle.NAME))
    return Experiment('neuos', FORMAT, plan, cells, run)


def run(cell: Cell) -> Dict:
    """Simulate a cell; returns its figures as a dict that JSON can hold."""
    if cell.contender != oracle.NAME:
        return _rounded(_simulated(cell, contenders_of(cell.board, cell.steps)[cell.contender]))
    asked = _asked(cell)
    found = oracle.search(functools.partial(_outcome, cell), asked, ORACLE_RUNS)
    return _rounded({**_simulated(cell, found.plan.contender(asked)),
                     'search': {'runs': found.runs, 'searched': found.searched}})


def _simulated(cell: Cell, contender: Contender) -> Dict:
    simulation = Simulation(cell, contender)
    try:
        return simulation.run()
    finally:
        simulation.close()


def _outcome(cell: Cell, contender: Contender) -> oracle.Outcome:
    """Return what a contender misses beyond what the paper does, and uses for a frame."""
    figures = _simulated(cell, contender)
    missed, tolerated = (share * figures['requests']
                         for share in (figures['missed_share'], MISSED / 100))
    return oracle.Outcome(max(0, round(missed) - math.floor(tolerated)),
                          math.inf if figures['frame_mj'] is None else figures['frame_mj'] / 1e3)


def _asked(cell: Cell) -> Dict[str, oracle.Asked]:
    networks = networks_of(cell.board, cell.steps, cell.segments)
    clients = {client.model: client for client in _clients(cell)}
    return {model: oracle.Asked(
        [each.name for each in _clients(cell) if each.model == model], networks[model].tables,
        networks[model].costs, client.deadline_s, client.period_s)
        for model, client in clients.items()}


@dataclasses.dataclass(eq=False)
class _Client:
    """An instance that gets one frame after the other, and what became of them."""

    name: str
    model: str
    deadline_s: float
    period_s: float
    sent: int = 0
    in_time: int = 0
    responses_s: List[float] = dataclasses.field(default_factory=list)
    scores: List[float] = dataclasses.field(default_factory=list)


class Simulation:
    """A cell in virtual time: instances, their frames, and a contender in charge of the board.

    It keeps so many `rows` of stamps and of boundaries.
    """

    def __init__(self, cell: Cell, contender: Contender, rows: int = ROWS):
        self._cell = cell
        board = load_board(cell.board)
        self._networks = networks_of(cell.board, cell.steps, cell.segments)
        self._chance = random.Random(cell.seed)
        self._clients = {client.name: client for client in _clients(cell)}
        by_name = {name: self._networks[client.model] for name, client in self._clients.items()}
        clock = VirtualClock()
        self._platform = SimulatedPlatform(
            board, clock, {name: network.segments for name, network in by_name.items()},
            PRECISION, cell.steps)
        self._rest_w = sum(board.power_w(board.settings(
            self._platform.configurations.settings(0)), Activity()).values())
        self._chooser = ContenderChooser(
            self._platform, {name: network.tables for name, network in by_name.items()},
            contender._replace(rests=contender.rests and self._wakes_in_time(board)), clock,
            rows, TimedBoard)
        self._executor = VirtualExecutor(
            SCHEDULER, _profiles(board, by_name), self._finished, lambda *_: None, cell.seed,
            chooser=self._chooser, clock=clock, recorder=Recorder(rows), board=self._platform,
            speedups={name: network.speedups for name, network in by_name.items()})
        self._counts = False
        for client in self._clients.values():
            self._executor.at(self._chance.uniform(0.0, client.period_s), functools.partial(
                self._release, client, self._executor.add(client.name), 0.0))

    def run(self) -> Dict:
        """Let the time pass, and return the figures of all but its begin."""
        begun_s = time.process_time()
        begin_s = SETTLE * self._cell.seconds
        used_j, transitions, transition_s = self._reached(begin_s)
        self._counts = True
        end_j, end_transitions, end_transition_s = self._reached(self._cell.seconds)
        cpu_s = time.process_time() - begun_s
        seconds = self._cell.seconds - begin_s
        energy_j = end_j - used_j
        clients = list(self._clients.values())
        return {
            **_figures(clients),
            'power_w': energy_j / seconds,
            **_per_frame(clients, energy_j, energy_j - self._rest_w * seconds),
            **_balance(clients),
            'by_model': {model: _times([client for client in clients if client.model == model])
                         for model in _if_several(self._cell.models)},
            'transitions_hz': (end_transitions - transitions) / seconds,
            'transition_share': (end_transition_s - transition_s) / seconds,
            'configurations': self._configurations(begin_s),
            'times_real': self._cell.seconds / cpu_s,
            'decision_us': {'mean': statistics.fmean(self._chooser.times_ns) / 1e3,
                            **percentiles_us(self._chooser.times_ns)},
            'memory': _memory([self._networks[model]
                               for model in dict.fromkeys(self._cell.models)])}

    def recording(self) -> Dict:
        """Return what has happened so far, for `write_recording`."""
        cell = self._cell
        title = f'{cell.cohort} cohort, a frame every {cell.period_factor:g} deadlines'
        return record(self._executor, self._chooser, device=cell.board,
                      policy=f'{cell.contender}, {title}', seed=cell.seed,
                      energy_j=sum(self._platform.energy_j().values()))

    def close(self):
        """Give the board back."""
        self._chooser.close()

    def _wakes_in_time(self, board) -> bool:
        """Tell whether every instance is in time, alone, if the board rests when a frame comes.

        Who races to idle takes no state from which it wakes too late, as Linux does with the
        latency that it is told to keep.
        """
        wake_s = sum(clock.change_s for clock in board.clocks.values()) + max(
            clock.delay_s for clock in board.clocks.values())
        return all(wake_s + self._networks[client.model].tables.least_s <= client.deadline_s
                   for client in self._clients.values())

    def _reached(self, moment_s) -> Tuple[float, int, float]:
        """Let time pass; return energy in J, and the number and time of transitions up to then."""
        self._executor.run_until(moment_s)
        self._executor.engine.pass_time()
        return (sum(self._platform.energy_j().values()), self._platform.transitions,
                self._platform.transition_s)

    def _release(self, client, instance, turn_s):
        """Send a frame, and be called again for the next one."""
        now_s = self._executor.now_s()
        turn_s = turn_s or now_s
        if self._counts and now_s + client.deadline_s < self._cell.seconds:
            client.sent += 1
        self._executor.send(instance, now_s + client.deadline_s)
        turn_s += client.period_s
        late_s = self._chance.uniform(0.0, ARRIVAL_JITTER * client.period_s)
        self._executor.at(turn_s + late_s, functools.partial(
            self._release, client, instance, turn_s))

    def _finished(self, job):
        request = job.urgent
        client = self._clients[request.instance.name]
        # of those frames that were counted as sent, all have an answer in time, or never
        counts = (SETTLE * self._cell.seconds < request.arrived_s
                  and request.deadline_s < self._cell.seconds)
        if not counts or job.late or job.error:
            return
        client.in_time += job.ended_s <= request.deadline_s
        client.responses_s.append(job.ended_s - request.arrived_s)
        accuracy = self._networks[client.model].tables.accuracy
        client.scores.append(1.0 - sum(1.0 - table.score[variant] for table, variant in
                                       zip(accuracy, job.ran_as())))

    def _configurations(self, begin_s) -> Dict[str, float]:
        """Return by name which share of the time the board was in its commonest configurations."""
        shares = self._chooser.shares(begin_s, self._cell.seconds)
        longest = sorted(shares, key=shares.__getitem__, reverse=True)[:TOLD]
        return {self._platform.configurations[index].name: shares[index] for index in longest}


def contenders_of(board_name: str, steps: str) -> Dict[str, Contender]:
    """Return who may decide on a board, by name; the oracle is not among them."""
    board = load_board(board_name)
    return {each.name: each for each in lab_contenders(board, board.space(steps))}


def _clients(cell: Cell):
    numbers: Counter[str] = collections.Counter()
    deadlines_s = {model: deadline_ms / 1e3 for model, deadline_ms in
                   zip(MODELS, DEADLINES_MS[cell.board])}
    for model in cell.models:
        numbers[model] += 1
        name = f'{model} {numbers[model]}'
        yield _Client(name, model, deadlines_s[model], cell.period_factor * deadlines_s[model])


def _profiles(board: Board, networks: Mapping[str, Network]):
    roofline = Roofline(board, PRECISION)
    return {name: roofline.profile(name, network.segments) for name, network in networks.items()}


def _if_several(models: Sequence[str]) -> List[str]:
    """Return each model once; none if there is but one."""
    different = list(dict.fromkeys(models))
    return different if len(different) > 1 else []


def _figures(clients: Sequence[_Client]) -> Dict:
    """Return what clients had; None where nothing was answered."""
    scores = [score for client in clients for score in client.scores]
    return {**_times(clients), 'requests': sum(client.sent for client in clients),
            'answered': len(scores), 'score': statistics.fmean(scores) if scores else None,
            'exact_share': sum(score == 1.0 for score in scores) / max(1, len(scores))}


def _times(clients: Sequence[_Client]) -> Dict:
    """Return misses, and the times of answers in ms, None without any."""
    responses_s = [response_s for client in clients for response_s in client.responses_s]
    return {
        'missed_share': 1.0 - (sum(client.in_time for client in clients)
                               / max(1, sum(client.sent for client in clients))),
        'mean_ms': 1e3 * statistics.fmean(responses_s) if responses_s else None,
        'p99_ms': 1e3 * float(np.percentile(responses_s, 99)) if responses_s else None}


def _per_frame(clients, energy_j, above_rest_j) -> Dict:
    """Return what an answered frame took, in mJ; None without any."""
    answered = sum(len(client.responses_s) for client in clients)
    return {'frame_mj': 1e3 * energy_j / answered if answered else None,
            'frame_above_rest_mj': 1e3 * above_rest_j / answered if answered else None}


def _balance(clients: Sequence[_Client]) -> Dict:
    """Return how far apart instances are: the greatest difference between two of them.

    Of mean LAG at the end of a frame, as a share of the deadline, of misses, and between two of
    the same model of mean response in ms. None where there are no two.
    """
    answered = [client for client in clients if client.responses_s]
    lags = [1.0 - statistics.fmean(client.responses_s) / client.deadline_s
            for client in answered]
    means_ms: Dict[str, List[float]] = collections.defaultdict(list)
    for client in answered:
        means_ms[client.model].append(1e3 * statistics.fmean(client.responses_s))
    twins = [max(each) - min(each) for each in means_ms.values() if len(each) > 1]
    missed = [1.0 - client.in_time / max(1, client.sent) for client in clients]
    return {'lag_range': max(lags) - min(lags) if len(lags) > 1 else None,
            'missed_range': max(missed) - min(missed) if len(missed) > 1 else None,
            'twins_ms': max(twins) if twins else None}


def _memory(networks: Sequence[Network]) -> Dict[str, float]:
    """Return what is resident for networks, in MB; of tables their columns, without the index."""
    numbers = sum(
        len(network.tables.network_s)
        + sum(len(power.speedup) + len(power.powerup) for power in network.tables.power)
        + sum(2 * len(accuracy.speedup) for accuracy in network.tables.accuracy)
        for network in networks)
    return {'exact_mb': sum(network.weights_mb for network in networks),
            'low_rank_mb': sum(network.low_rank_mb for network in networks),
            'tables_mb': NUMBER_BYTES * numbers / 1e6}


def _rounded(value: Any) -> Any:
    """Return figures with as many digits as mean something, so that a file stays small."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f'{value:.{DIGITS}g}') if isinstance(value, float) else value


def _expect_known(option, names, known):
    for name in names:
        if name not in known:
            raise ParameterError(option, name, 'expected some of ' + ', '.join(
                map(repr, known)))
