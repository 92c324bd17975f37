"""A warning about one matter comes once."""

import logging

from s3dnn_ros.base.once import OnceLogger


def test_a_matter_is_told_once_whatever_the_sentence(said):
    log_once = OnceLogger(logging.getLogger('s3dnn_ros.base'))
    for rail in ('GPU', 'CPU', 'GPU'):
        log_once.warning(rail, f'rail {rail}, after {len(said)} others')
    assert said == ['rail GPU, after 0 others', 'rail CPU, after 1 others']


def test_another_logger_tells_it_again(said):
    logger = logging.getLogger('s3dnn_ros.base')
    for _ in range(2):
        OnceLogger(logger).warning('GPU', 'is gone')
    assert said == ['is gone'] * 2
