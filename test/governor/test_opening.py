"""Images that are opened at once, or in another thread."""

import concurrent.futures
import threading

import pytest

from s3dnn_ros.errors import ImageError
from s3dnn_ros.governor.batch import Image
from s3dnn_ros.governor.opening import Opening
from s3dnn_ros.scheduling.fusion import WaitingFrame


@pytest.fixture
def opener():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool


def frames(*opens, slow=True):
    return tuple(WaitingFrame('front', 0.0, 0.0, (Image('front', '', 0, 0.0, call, slow), 1, 0.0))
                 for call in opens)


def broken():
    raise ImageError('data', 'cut short')


@pytest.mark.parametrize('slow', [False, True])
def test_only_slow_images_are_opened_by_another_thread(opener, slow):
    chosen = Opening(opener).start(frames(threading.get_ident, slow=slow), False, 0.0)
    assert (chosen.images.result()[0] == threading.get_ident()) != slow


def test_what_cannot_be_opened_spoils_no_other_image(opener):
    chosen = Opening(opener).start(frames(lambda: 'a', broken, lambda: 'b'), False, 0.0)
    first, refused, last = chosen.images.result()
    assert (first, last) == ('a', 'b') and refused.reason == 'data'


def test_who_waits_is_called_when_the_images_are_open(opener):
    gate, called = threading.Event(), threading.Event()
    opening = Opening(opener, called.set)
    opening.wait('net', opening.start(frames(gate.wait), False, 0.0))
    assert 'net' in opening and not opening.ended() and not called.is_set()
    gate.set()
    assert called.wait(10.0) and opening.ended() == ['net']
    assert len(opening.discard('net')) == 1
    assert 'net' not in opening and opening.discard('net') == ()


@pytest.mark.parametrize('slow', [False, True])
def test_an_error_that_nobody_expects_costs_its_frame_alone(opener, slow):
    chosen = Opening(opener).start(frames(lambda: 1 // 0, lambda: 'b', slow=slow), False, 0.0)
    failed, other = chosen.images.result()
    assert other == 'b' and isinstance(failed, ImageError)
    assert 'ZeroDivisionError' in str(failed) and 'report this' in str(failed)
