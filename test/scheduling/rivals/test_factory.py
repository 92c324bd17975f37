"""Rivals are made by name, beside our own policies, and executors do not offer them."""

import pytest

from s3dnn_ros.scheduling import POLICIES, make_scheduler
from s3dnn_ros.scheduling.rivals import KNOWN, RIVALS, make_known


@pytest.mark.parametrize('name', KNOWN)
def test_all_are_made_by_name(name):
    assert type(make_known(name)) is KNOWN[name]


@pytest.mark.parametrize('name', RIVALS)
def test_executors_do_not_know_rivals(name):
    assert name not in POLICIES
    with pytest.raises(ValueError, match='unknown'):
        make_scheduler(name)


def test_an_unknown_name():
    with pytest.raises(ValueError, match='unknown'):
        make_known('lifo')
