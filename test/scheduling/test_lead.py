"""The lead grows until a slow host is in time, and not beyond what is needed or allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.lead import MARGIN_S, MOST_LEADS, Lead

LEAST_S = 150e-6


@given(st.lists(st.floats(-1.0, 1.0)))
def test_it_stays_between_the_engines_and_a_multiple_of_it(margins_s):
    lead = Lead(LEAST_S)
    for margin_s in margins_s:
        lead.learn(margin_s)
        assert LEAST_S <= lead.seconds <= MOST_LEADS * LEAST_S


@pytest.mark.parametrize('takes_s', [20e-6, 120e-6, 300e-6])
def test_a_host_that_takes_its_time_is_given_it(takes_s):
    """The host hands over so long after it was woken; the end is heard of when it is expected."""
    lead = Lead(LEAST_S)
    for _ in range(300):
        lead.learn(lead.seconds - takes_s)
    assert lead.seconds == pytest.approx(max(LEAST_S, MARGIN_S + takes_s), rel=1e-3)


def test_a_segment_that_takes_ages_says_little_of_the_host():
    lead = Lead(LEAST_S)
    for _ in range(20):
        lead.learn(0.0)
    grown_s = lead.seconds
    lead.learn(1.0)
    assert lead.seconds > 0.9 * grown_s > LEAST_S


def test_an_engine_that_wants_no_lead_gets_none():
    lead = Lead(0.0)
    lead.learn(-1.0)
    assert lead.seconds == 0.0
