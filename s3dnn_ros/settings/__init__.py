"""Every parameter of every node, once: type, default, range and description."""

from s3dnn_ros.settings.cameras import CameraSettings, GroupSettings
from s3dnn_ros.settings.executor import ExecutorInstanceSettings, ExecutorSettings
from s3dnn_ros.settings.governor import GovernorSettings, InstanceSettings
from s3dnn_ros.settings.locator import DepthSettings, LocatorSettings
from s3dnn_ros.settings.monitor import MonitorSettings
from s3dnn_ros.settings.nodes import (
    NODES,
    instances_of_others,
    kinds_with,
    nearest_name,
    unknown_names,
)
from s3dnn_ros.settings.replay import ReplaySettings, SourceSettings

__all__ = ['NODES', 'CameraSettings', 'DepthSettings', 'ExecutorInstanceSettings',
           'ExecutorSettings', 'GovernorSettings', 'GroupSettings', 'InstanceSettings',
           'LocatorSettings', 'MonitorSettings', 'ReplaySettings', 'SourceSettings',
           'instances_of_others', 'kinds_with', 'nearest_name', 'unknown_names']
