"""Qualities of service by name, and that of batches."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
    qos_profile_system_default,
)


def qos(name, depth):
    """Return a QoS profile by name, with the given history depth.

    'latched' is reliable, and late subscribers get what was published last.
    """
    if name == 'system_default':
        return qos_profile_system_default
    if name in ('sensor_data', 'best_effort'):
        return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth,
                          reliability=qos_profile_sensor_data.reliability)
    durability = (DurabilityPolicy.TRANSIENT_LOCAL if name == 'latched'
                  else DurabilityPolicy.VOLATILE)
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, durability=durability,
                      reliability=ReliabilityPolicy.RELIABLE)


def batch_qos(transport):
    """Return the QoS profile of batches.

    After an executor had stood still for 4 s, Fast DDS held up all that came behind the lost
    message for 1.0 to 1.4 s until that was sent again.
    """
    return qos('reliable' if transport == 'inline' else 'best_effort', 64)
