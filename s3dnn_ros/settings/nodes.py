"""Which node has which parameters, and what a misspelt name may have meant."""

from __future__ import annotations

import difflib
from typing import Any, Dict, Mapping, Tuple

from s3dnn_ros.settings.executor import ExecutorSettings
from s3dnn_ros.settings.governor import GovernorSettings
from s3dnn_ros.settings.locator import LocatorSettings
from s3dnn_ros.settings.monitor import MonitorSettings
from s3dnn_ros.settings.parameters import declarations, name_lists
from s3dnn_ros.settings.replay import ReplaySettings

# declared by rclpy itself
_FOREIGN = ('use_sim_time', 'start_type_description_service')
NODES = {
    'governor': GovernorSettings,
    'executor': ExecutorSettings,
    'locator': LocatorSettings,
    'replay': ReplaySettings,
    'monitor': MonitorSettings,
}


def unknown_names(values: Mapping[str, Any]) -> Dict[str, str]:
    """Return the given names that no node of this package knows, each with the nearest one."""
    known = set(_FOREIGN)
    others = instances_of_others(values)
    for kind in NODES.values():
        lists = list(name_lists(kind))
        known.update(item.name for item in lists)
        # a list of another type is for read() to refuse
        given = {item.name: values[item.name] for item in lists
                 if isinstance(values.get(item.name), (list, tuple))}
        if 'instance_names' in given:
            given['instance_names'] = [*given['instance_names'], *others]
        known.update(item.name for item in declarations(kind, given))
    return {
        name: next(iter(difflib.get_close_matches(name, sorted(known), 1, 0.0)), '')
        for name in values
        if name not in known and not name.startswith('qos_overrides.')
    }


def kinds_with(name: str) -> Tuple[str, ...]:
    """Return the nodes that have such a parameter, whatever names their lists hold."""
    used = name.split('.')[1:2]
    return tuple(node for node, kind in NODES.items()
                 if name in _names_of(kind, dict.fromkeys(_lists_of(kind), used)))


def nearest_name(name: str, values: Mapping[str, Any]) -> str:
    """Return the most similar name of a parameter; `values` hold the lists of names."""
    known = {*_FOREIGN, *values}
    for kind in NODES.values():
        known |= _names_of(kind, {item: values.get(item, ()) for item in _lists_of(kind)})
    return difflib.get_close_matches(name, sorted(known), 1, 0.0)[0]


def instances_of_others(values: Mapping[str, Any]) -> Tuple[str, ...]:
    """Return instances that have parameters and are not in `instance_names`, where that is given.

    In a file for several executors they are those of the others; else somebody misspelt one.
    """
    own = values.get('instance_names')
    if not isinstance(own, (list, tuple)):
        return ()
    found = {name.split('.')[1] for name in values if name.startswith('instances.')}
    return tuple(sorted(found - set(own)))


def _lists_of(kind):
    return {item.name for item in name_lists(kind)}


def _names_of(kind, lists):
    return _lists_of(kind) | {item.name for item in declarations(kind, lists)}
