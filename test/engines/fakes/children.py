"""What a child process of the tests does; a module of its own, which the child can import."""

import os
import signal
import time

from s3dnn_ros.errors import BuildError, PassingBuildError


def behave(how):
    """Do one of several things."""
    if how == 'crash':
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == 'killed':
        os.kill(os.getpid(), signal.SIGKILL)
    if how == 'exit':
        os._exit(3)
    if how == 'refuse':
        raise BuildError('elsewhere', 'no such layer')
    if how == 'pass':
        raise PassingBuildError('elsewhere', 'memory is full')
    if how == 'fail':
        return 1 / 0
    if how == 'hang':
        sleep()
    return os.getpid()


def sleep(order=None):
    """Never come to an end; what SIGTERM asks for is not done, as in a driver that hangs."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60.0)


def crash_on_the_second(order):
    """Build with a fake, and die of segment 1."""
    import sys

    from fake_tensorrt import fake_tensorrt

    from s3dnn_ros.engines.tensorrt.builder import build

    if order.key.segment == 1:
        behave('crash')
    sys.modules['tensorrt'] = fake_tensorrt(order.key.tensorrt)
    return build(order)
