"""Environment of processes that send images through ROS 2's middleware."""

from __future__ import annotations

import os
from typing import Dict, Mapping

from s3dnn_ros.base.share import share_directory

# Fast DDS 3 came with Kilted and renamed its variable.
_BEFORE_FAST_DDS_3 = ('foxy', 'galactic', 'humble', 'iron', 'jazzy')
_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_PROFILES = 'fastdds_images.xml'


def image_environment(environment: Mapping[str, str] = os.environ) -> Dict[str, str]:
    """Return the variables that let Fast DDS carry raw images in shared memory.

    Empty when another middleware is chosen, or a profile of the user's own is set.
    """
    if any(environment.get(variable) for variable in _VARIABLES):
        return {}
    return _profile(environment)


def image_export(environment: Mapping[str, str] = os.environ) -> str:
    """Return the shell line that does the same for another process; empty: no Fast DDS here."""
    return ''.join(f'export {variable}={path}'
                   for variable, path in _profile(environment).items())


def _profile(environment):
    if 'fastrtps' not in environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return {}
    old = environment.get('ROS_DISTRO', '') in _BEFORE_FAST_DDS_3
    return {_VARIABLES[old]: str(share_directory().parent / _PROFILES)}
