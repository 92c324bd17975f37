"""Subscribes to the images of cameras, and tells when each was taken, for all nodes alike."""

from __future__ import annotations

from typing import Callable

from rclpy.subscription import Subscription

from s3dnn_ros.nodes.messages import ns_of

# Humble does not tell what the middleware knows of a message.
KNOWS_PUBLICATION = hasattr(Subscription, 'CallbackType')


def subscribe_to_images(node, kind, topic, callback: Callable, profile, **options):
    """Return a subscription; the callback takes the message and its stamp in nanoseconds.

    An image without a stamp has the time of its publication: all who hear the image agree on
    that, which they would not on its arrival. 0: nobody knows it, in simulated time or in Humble.

    Parameters
    ----------
    node : S3dnnNode
    kind : type
        Image or CompressedImage.
    topic : str
    callback : callable
    profile : rclpy.qos.QoSProfile
    **options
        As of create_subscription.

    """
    def with_info(msg, info):
        stamp_ns = ns_of(msg.header.stamp)
        if not stamp_ns and not node.get_clock().ros_time_is_active:
            stamp_ns = info['source_timestamp']
        callback(msg, stamp_ns)

    def without_info(msg):
        callback(msg, ns_of(msg.header.stamp))

    return node.create_subscription(
        kind, topic, with_info if KNOWS_PUBLICATION else without_info, profile, **options)
