"""ApNet (Bateni and Liu, RTSS 2018): which layers are approximated is planned offline."""

from __future__ import annotations

import dataclasses
import math
from typing import Dict, Mapping, Sequence, Tuple

from s3dnn_ros.cohort.cohort import ModelTables
from s3dnn_ros.cohort.coordinator import Decision, Member
from s3dnn_ros.cohort.rivals.fixed import exact


class ApNet:
    """Runs each network by a plan that meets its deadline alone, in one configuration.

    DERIVED (reference/papers.md §4). Layers that several networks share run for each of them.

    Parameters
    ----------
    tables : mapping of model name to ModelTables
    configuration : int
        Of the device, for ever.

    """

    def __init__(self, tables: Mapping[str, ModelTables], configuration: int):
        self._tables = tables
        self._configuration = configuration
        self._plans: Dict[Tuple[str, float], Tuple[int, ...]] = {}

    def decide(self, members: Sequence[Member]) -> Decision:
        """Return the decision; raises ValueError if there are no members."""
        decision = exact(self._configuration, members)
        variants = {member.instance: self._plan(member)[member.segment] for member in members}
        return dataclasses.replace(decision, variants=variants, speedups={
            member.instance: member.speedup_accuracy.speedup[variants[member.instance]]
            for member in members})

    def ended(self, instance, late):
        """Do nothing: the plan stands."""

    def _plan(self, member) -> Tuple[int, ...]:
        key = member.model, member.deadline_s
        if key not in self._plans:
            self._plans[key] = plan(self._tables[member.model], member.deadline_s,
                                    self._configuration)
        return self._plans[key]


def plan(tables: ModelTables, deadline_s: float, configuration: int) -> Tuple[int, ...]:
    """Return a variant for each layer with which the network is in time, if any is.

    From the exact ones on, the step that saves most time for the score that it costs comes next.
    """
    scale = tables.scale(configuration)
    exact_s = [scale * time_s for time_s in tables.times_s]
    variants = [table.exact for table in tables.accuracy]
    times_s = [time_s / table.speedup[table.exact]
               for time_s, table in zip(exact_s, tables.accuracy)]
    while math.fsum(times_s) > deadline_s:
        steps = [(_gain(saved_s, table.score[now] - table.score[row]), saved_s, layer, row)
                 for layer, (table, now) in enumerate(zip(tables.accuracy, variants))
                 for row, speedup in enumerate(table.speedup)
                 for saved_s in [times_s[layer] - exact_s[layer] / speedup] if saved_s > 0.0]
        if not steps:
            break
        *_, layer, row = max(steps, key=lambda step: step[:2])
        variants[layer] = row
        times_s[layer] = exact_s[layer] / tables.accuracy[layer].speedup[row]
    return tuple(variants)


def _gain(saved_s, lost) -> float:
    return saved_s / lost if lost > 0.0 else math.inf
