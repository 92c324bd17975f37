"""Which parameters change when a camera is added or removed while everything runs."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Sequence

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings import CameraSettings, GovernorSettings


def addition(settings: GovernorSettings, name: str, camera: CameraSettings, group: str = '',
             instances: Sequence[str] = ()) -> Dict[str, Any]:
    """Return the parameters that change, by flat name, when a camera is added.

    It is watched by `instances`, and by those that watch all cameras. Raises ParameterError for
    a name that is taken, a group or an instance that is unknown, and where nobody would watch.
    """
    names = list(settings.cameras)
    if name in names:
        raise ParameterError('camera_names', names, f"'{name}' is there already; remove it first, "
                             'or choose another name')
    changes = {'camera_names': [*names, name]}
    changes.update((f'cameras.{name}.{field}', value)
                   for field, value in dataclasses.asdict(camera).items())
    if group:
        cameras = _known('group_names', settings.groups, group).cameras
        changes[f'groups.{group}.cameras'] = [*cameras, name]
    watched = False
    for instance in dict.fromkeys(instances):
        cameras = _known('instance_names', settings.instances, instance).cameras
        if cameras:
            changes[f'instances.{instance}.cameras'] = [*cameras, name]
            watched = True
    if not watched and all(item.cameras for item in settings.instances.values()):
        raise ParameterError('instance_names', list(settings.instances), f"none of them watches "
                             f"all cameras: name those that are to watch '{name}'")
    return changes


def removal(settings: GovernorSettings, name: str) -> Dict[str, Any]:
    """Return the parameters that change, by flat name, when a camera is removed.

    Raises ParameterError for a camera that is unknown, and for the only one of an instance that
    names its cameras: without any it would watch all.
    """
    _known('camera_names', settings.cameras, name)
    changes: Dict[str, Any] = {
        'camera_names': [other for other in settings.cameras if other != name]}
    for group, item in settings.groups.items():
        if name in item.cameras:
            changes[f'groups.{group}.cameras'] = [
                other for other in item.cameras if other != name]
    for instance, item in settings.instances.items():
        if item.cameras == (name,):
            raise ParameterError(f'instances.{instance}.cameras', [name], 'without any it would '
                                 'watch all cameras: add another one for it first')
        if name in item.cameras:
            changes[f'instances.{instance}.cameras'] = [
                other for other in item.cameras if other != name]
    return changes


def _known(parameter_name, items, name):
    if name not in items:
        raise ParameterError(parameter_name, list(items), f"'{name}' is not among them")
    return items[name]
