"""Rivals are made by name, beside our own policies, and executors do not offer them."""

import inspect
import types

import pytest

from s3dnn_ros.scheduling import POLICIES, make_scheduler
from s3dnn_ros.scheduling.rivals import KNOWN, RIVALS, lead_of, make_known


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


@pytest.mark.parametrize('name', KNOWN)
def test_the_lead_is_the_engines_for_all_that_take_one(name):
    lead = lead_of(name, types.SimpleNamespace(lead_s=0.25))
    assert lead == ({'lead_s': 0.25} if 'lead_s' in inspect.signature(KNOWN[name]).parameters
                    else {})
    make_known(name, **lead)
