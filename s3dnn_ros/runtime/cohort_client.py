"""An executor's part in the cohort of its board: tables, decisions, and who sets the board."""

from __future__ import annotations

import dataclasses
import logging
from typing import Callable, Collection, List, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.base.once import OnceLogger
from s3dnn_ros.cohort import (
    Cohort,
    Coordinator,
    Membership,
    MemberState,
    ModelTables,
    SpeedupAccuracyTable,
    SpeedupPowerTable,
)
from s3dnn_ros.errors import ProfileError, shown
from s3dnn_ros.platforms import Configuration, EnergyMeter, Platform
from s3dnn_ros.profiling.table import ProfileTable
from s3dnn_ros.runtime.board_control import BoardControl
from s3dnn_ros.runtime.variant_chooser import BOUNDARIES, CohortChooser

_LOG = logging.getLogger(__name__)

# What is told when the owner has given the board back: nobody sets it.
NOBODYS = Configuration(0, '')
Find = Callable[[str], Tuple[ProfileTable, List[SpeedupAccuracyTable]]]


@dataclasses.dataclass(frozen=True)
class BoardContext:
    """What an executor shares its board with.

    Attributes
    ----------
    board : str
        A name that all processes on the board have for it.
    process : str
        A name for this process that no other has, nor the same after a restart.
    platform : Platform or None
        The board, if this process sets it; it is restored at the end.
    say : callable
        Called with a MemberState for the other processes.
    applied : callable
        Called with the board's Configuration when this process has set it, and with NOBODYS at
        the end.
    meter : EnergyMeter or None
        Tells what the board uses, if anything does; it is closed at the end.

    """

    board: str = ''
    process: str = ''
    platform: Optional[Platform] = None
    say: Callable[[MemberState], None] = ignore
    applied: Callable[[Configuration], None] = ignore
    meter: Optional[EnergyMeter] = None

    def close(self):
        """Give the board and its meter back; PlatformError if the board cannot be restored."""
        if self.meter:
            self.meter.close()
        if self.platform:
            self.platform.close()


class CohortClient:
    """Joins the cohort with everything that has a profile.

    Parameters
    ----------
    settings : ExecutorSettings
    profiles : mapping of model name to ProfileTable
    accuracy : mapping of model name to sequence of SpeedupAccuracyTable
        Of each segment, for models that have variants.
    board_context : BoardContext
    changed : callable
        Called when it is set, by whomever, and what runs takes another time for that.
    models : collection of str
        All that run here; those that have no profile take no part.
    find : callable
        Returns profile and accuracy of a model that another process runs; raises ProfileError.
    submit : callable
        Runs a function with arguments later, in another thread.
    boundaries : int
        How many boundaries are kept.

    Raises
    ------
    ProfileError
        The board is set, and a model has no profile, or one of other configurations.

    """

    def __init__(self, settings, profiles: Mapping[str, ProfileTable],
                 accuracy: Mapping[str, Sequence[SpeedupAccuracyTable]],
                 board_context: BoardContext,
                 changed: Callable[[], None] = ignore, models: Collection[str] = (),
                 find: Optional[Find] = None, submit: Callable = ignore, boundaries=BOUNDARIES):
        self._board_context = board_context
        self._log_once = OnceLogger(_LOG)
        self._find = find
        self._submit = submit
        self._names = self._names_of(settings, profiles, board_context.platform, models)
        self._tables = {model: model_tables(table, bool(self._names), accuracy.get(model, ()))
                        for model, table in profiles.items()}
        first = self._fastest()
        platform = board_context.platform
        # on another partition, only what is submitted next runs
        stays = platform is not None and platform.immediate
        self._board = BoardControl(first, platform, ignore if stays else changed,
                                   self._announce)
        self.cohort = Cohort(
            Membership(board_context.board, settings.cohort.lease_ms / 1e3), Coordinator(),
            self._tables, board_context.process, self._board, say=board_context.say,
            by_network=settings.cohort.tables == 'network', unknown=self._look_for)
        self.configure(settings)
        self.chooser = CohortChooser(self.cohort, self._tables, boundaries)
        self._board.want(first)

    @property
    def configuration(self) -> str:
        """Return the name of the board's configuration; empty if nobody sets it."""
        return self._names[self._board.configuration] if self._names else ''

    @property
    def configurations(self) -> Sequence[str]:
        """Return the names of all the board's configurations; empty if nobody sets it."""
        return self._names

    @property
    def platform(self) -> Optional[Platform]:
        """Return the board, if this process sets it."""
        return self._board_context.platform

    def configure(self, settings):
        """Take over changed settings."""
        self.cohort.coordinator.mode = settings.cohort.mode
        self.cohort.coordinator.threshold = _or_none(settings.cohort.threshold)
        self.cohort.horizon = settings.cohort.horizon
        self.cohort.margin = _or_none(settings.cohort.margin)

    def close(self):
        """Restore the board; raises PlatformError if that fails."""
        try:
            self._board.close()
        finally:
            if self._board.is_ours:
                self._board_context.applied(NOBODYS)

    def configuration_set(self, board: str, configuration: int, name: str):
        """Take note of what the board's owner has set; it must be what we call so, too."""
        if board != self._board_context.board:
            return
        if not name:
            self._board.was_set(self._fastest())
        elif not 0 <= configuration < len(self._names) or self._names[configuration] != name:
            self._log_once.warning('configuration', (
                f"the board's owner has set configuration {configuration}, {shown(name)}, which "
                'the profiles here do not have there; profile all models with the same '
                'configurations'))
        else:
            self._board.was_set(configuration)

    def _look_for(self, model):
        if self._find:
            self._submit(self._learn, model)

    def _learn(self, model):
        """Find what is known of a model that another process on the board runs."""
        try:
            table, accuracy = self._find(model)
            _check_configurations(model, table, self._names)
            self.cohort.know(model, model_tables(table, bool(self._names), accuracy))
        except (ProfileError, ValueError) as error:
            self._log_once.warning(model, (
                f'the cohort has members with the model {shown(model)}, which are left out of '
                f'decisions here: {error}'))

    def _announce(self, configuration):
        self._board_context.applied(self.platform.configurations[configuration])

    def _fastest(self):
        """Return the configuration in which all of it takes least."""
        columns = zip(*(tables.network_s for tables in self._tables.values()))
        totals_s = [sum(column) for column in columns]
        return min(range(len(totals_s)), key=totals_s.__getitem__, default=0)

    @staticmethod
    def _names_of(settings, profiles, platform, models):
        """Return the names of the board's configurations, none if nobody sets them."""
        if not settings.board.is_set or (platform is None
                                         and settings.board.platform != 'follow'):
            return []
        for model in models:
            if model not in profiles:
                # it would be slowed for the others, and could say nothing
                raise ProfileError(f"profile of '{model}'", 'is not here, and the board is not '
                                   f'set without one; {_advice(model)}')
        names = [one.name for one in platform.configurations] if platform else []
        for model, table in profiles.items():
            if not table.configurations:
                raise ProfileError(f"profile of '{model}'",
                                   f'has no configurations of the board; {_advice(model)}')
            names = names or [row.name for row in table.configurations]
            _check_configurations(model, table, names)
        return names


def _check_configurations(model, table, names):
    """Refuse a profile of other configurations than the board's; of none, all are as well."""
    profiled = [row.name for row in table.configurations]
    if names and profiled != names:
        first = f", the first '{profiled[0]}'" if profiled else ''
        raise ProfileError(
            f"profile of '{model}'", f"has {len(profiled)} configurations{first}; the board has "
            f"{len(names)}, the first '{names[0]}': set platform_knobs and platform_steps as they "
            'were profiled, or profile again')


def _advice(model):
    return f'run `s3dnn profile {model} --platform …`, or set platform to none'


def _or_none(number):
    """Return a parameter's number; None for one below 0."""
    return None if number < 0.0 else number


def model_tables(table: ProfileTable, configured: bool,
                 accuracy: Sequence[SpeedupAccuracyTable] = ()) -> ModelTables:
    """Return what is known of a model; without configurations, of the board as it is."""
    times_s = table.segment_times_s(1)
    if configured:
        power = table.power_tables()
        network_s = tuple(sum(row.times_ms) / 1e3 for row in table.configurations)
    else:
        power, network_s = (SpeedupPowerTable([1.0], [1.0]),) * len(times_s), (sum(times_s),)
    exact = (SpeedupAccuracyTable([1.0], [1.0]),) * len(times_s)
    return ModelTables(times_s, power, tuple(accuracy or exact), network_s)
