"""Environment of processes that send images through ROS 2's middleware."""

from __future__ import annotations

import os
from typing import Dict, Mapping

from s3dnn_ros.models.spec import share_directory

# Fast DDS 3 came with Kilted and renamed its variable.
_BEFORE_FAST_DDS_3 = ('foxy', 'galactic', 'humble', 'iron', 'jazzy')
_PROFILES = 'fastdds_images.xml'


def image_environment(environment: Mapping[str, str] = os.environ) -> Dict[str, str]:
    """Return the variables that let Fast DDS carry raw images in shared memory.

    Empty when another middleware is chosen, or a profile of the user's own is set.
    """
    if 'fastrtps' not in environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return {}
    variables = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    if any(environment.get(variable) for variable in variables):
        return {}
    old = environment.get('ROS_DISTRO', '') in _BEFORE_FAST_DDS_3
    return {variables[old]: str(share_directory().parent / _PROFILES)}
