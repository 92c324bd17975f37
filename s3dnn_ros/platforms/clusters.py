"""The axes of a board's CPUs: the frequency of its clusters, and which cores are on."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from typing import Dict, List, Optional, Tuple

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.knobs import CPUS, CoreKnob, CpufreqKnob
from s3dnn_ros.platforms.space import Axis, Choice, Steps, thin
from s3dnn_ros.platforms.sysfs import Sysfs

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Cores that share a frequency: those that can be switched, and those that cannot."""

    name: str
    knob: CpufreqKnob
    frequencies_khz: Tuple[int, ...]
    cores: Tuple[CoreKnob, ...]
    always_on: Tuple[int, ...]


def find_clusters(files: Sysfs, names: Dict[int, str]) -> List[Cluster]:
    """Return the board's clusters; one that is off and tells nothing is reported and left out.

    `names` gives a cluster's name by the number of its policy.
    """
    clusters = []
    for folder in files.find(f'{CPUS}/cpufreq/policy*'):
        number = int(folder.rsplit('policy', 1)[1])
        try:
            knob = CpufreqKnob(files, folder)
            frequencies_khz = knob.values()
        except PlatformError as error:
            _LOG.warning(f'the CPU cores of policy{number} stay as they are, as they do not tell '
                         f'their frequencies ({error}); to use them, switch one on before the '
                         'start')
            continue
        cores = tuple(CoreKnob(files, f'{CPUS}/cpu{cpu}') for cpu in knob.cpus
                      if cpu and files.exists(f'{CPUS}/cpu{cpu}/online'))
        fixed = set(knob.cpus) - {core.cpu for core in cores}
        clusters.append(Cluster(names.get(number, f'cpu{number}'), knob, frequencies_khz, cores,
                                tuple(sorted(fixed))))
    return sorted(clusters, key=lambda cluster: cluster.knob.cpus)


def axes_apart(clusters, use_cpu, use_cores, cpu_steps: Steps = None,
               core_steps: Optional[int] = None) -> List[Axis]:
    """Return axes for each cluster, as their cores differ (TX2).

    A cluster with a core that is always on has one axis for its frequency and one for the
    number of its cores; one that can be off as a whole has a single axis for both.
    """
    axes = []
    for cluster in clusters:
        frequencies_khz = thin('cpu_steps', cluster.frequencies_khz, cpu_steps)
        if use_cpu and use_cores and not cluster.always_on:
            axes.append(_axis_with_off(cluster, frequencies_khz))
            continue
        if use_cpu:
            axes.append(_frequency_axis(cluster.name, [cluster], frequencies_khz))
        if use_cores and cluster.cores:
            least = len(cluster.always_on)
            counts = tuple(range(least, least + len(cluster.cores) + 1))
            axes.append(Axis(f'{cluster.name} cores', cluster.cores, tuple(
                Choice(count, str(count), _first_on(cluster, count - least))
                for count in thin('core_steps', counts, core_steps))))
    return axes


def axes_together(clusters, use_cpu, use_cores, cpu_steps: Steps = None,
                  core_steps: Optional[int] = None) -> List[Axis]:
    """Return one axis for the frequency of all clusters, and one for the set of cores that are on.

    The sets are ordered by how many cores they have.
    """
    axes = []
    if use_cpu and clusters:
        frequencies_khz = thin('cpu_steps', clusters[0].frequencies_khz, cpu_steps)
        axes.append(_frequency_axis('cpu', clusters, frequencies_khz))
    cores = tuple(core for cluster in clusters for core in cluster.cores)
    if use_cores and cores:
        always_on = tuple(cpu for cluster in clusters for cpu in cluster.always_on)
        sets = sorted(itertools.product((0, 1), repeat=len(cores)),
                      key=lambda states: (sum(states), states))
        axes.append(Axis('cores', cores, tuple(
            _set_of_cores(always_on, cores, states)
            for states in thin('core_steps', tuple(sets), core_steps))))
    return axes


def _frequency_axis(name, clusters, frequencies_khz):
    return Axis(name, tuple(cluster.knob for cluster in clusters), tuple(
        Choice(khz, _mhz(khz), (khz,) * len(clusters)) for khz in frequencies_khz))


def _axis_with_off(cluster, frequencies_khz):
    off = Choice((0, 0), 'off', (*_first_on(cluster, 0), None))
    return Axis(cluster.name, (*cluster.cores, cluster.knob), (off, *(
        Choice((count, khz), f'{count} × {_mhz(khz)}', (*_first_on(cluster, count), khz))
        for count in range(1, len(cluster.cores) + 1) for khz in frequencies_khz)))


def _first_on(cluster, count):
    return tuple(int(place < count) for place in range(len(cluster.cores)))


def _set_of_cores(always_on, cores, states):
    on = tuple(sorted([*always_on, *(core.cpu for core, state in zip(cores, states) if state)]))
    return Choice(on, ' '.join(map(str, on)), states)


def _mhz(khz):
    return f'{khz / 1e3:g} MHz'
