"""Rates: what is published is what arrives and what is lost, whatever the camera's own rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.governor.rates import WINDOW_S, Rates, loss_sentence

EXPORT = 'export FASTDDS_DEFAULT_PROFILES_FILE=/share/fastdds_images.xml'


def play(rates, arrived, lost=0, *, start_s=0.0, seconds=20):
    """Let so many images arrive and be lost each second; return the last reading."""
    for second in range(seconds):
        for _ in range(arrived):
            rates.arrived()
        if lost:
            rates.lost(lost)
        reading = rates.reading(start_s + second)
    return reading


@given(arrived=st.integers(0, 100), lost=st.integers(0, 100))
def test_the_published_rate_is_what_arrives_and_what_is_lost(arrived, lost):
    rate = play(Rates(knows_losses=True), arrived, lost)
    assert rate.arrived_hz == pytest.approx(arrived)
    assert rate.published_hz == pytest.approx(arrived + lost)
    assert rate.lost == 20 * lost


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=40))
def test_rates_that_vary_are_those_of_the_last_window(seconds):
    rates = Rates(knows_losses=True)
    rates.reading(0.0)
    for second, (arrived, lost) in enumerate(seconds, 1):
        for _ in range(arrived):
            rates.arrived()
        rates.lost(lost)
        rate = rates.reading(float(second))
    window = seconds[-round(WINDOW_S):]
    assert rate.arrived_hz == pytest.approx(sum(arrived for arrived, _ in window) / len(window))
    assert rate.published_hz - rate.arrived_hz == pytest.approx(
        sum(lost for _, lost in window) / len(window))


def test_all_images_lost_are_losses_too():
    rate = play(Rates(knows_losses=True), 0, 15)
    assert (rate.arrived_hz, rate.published_hz, rate.is_lossy) == (0.0, 15.0, True)


@pytest.mark.parametrize(('lost', 'is_lossy'), [(0, False), (1, False), (2, False), (3, True)])
def test_single_losses_are_not_worth_a_warning(lost, is_lossy):
    rates = Rates(knows_losses=True)
    play(rates, 25)
    for second in range(lost):
        rates.lost(1)
        reading = rates.reading(20.0 + second)
    assert (lost and reading.is_lossy) == is_lossy


def test_what_is_lost_all_at_once_is_no_lack_of_memory():
    rates = Rates(knows_losses=True)
    play(rates, 25)
    rates.lost(200)         # this process stood still
    assert not rates.reading(20.0).is_lossy
    assert not play(rates, 25, start_s=21.0).is_lossy


def test_losses_that_have_ended_are_forgotten_but_counted():
    rates = Rates(knows_losses=True)
    play(rates, 3, 12)
    rate = play(rates, 15, start_s=20.0)
    assert (rate.published_hz, rate.lost, rate.is_lossy) == (15.0, 240, False)


def test_without_reports_of_losses_nothing_is_claimed():
    rate = play(Rates(knows_losses=False), 15)
    assert (rate.arrived_hz, rate.published_hz, rate.lost, rate.is_lossy) == (
        15.0, None, None, False)


def test_two_readings_at_one_time_are_the_same():
    rates = Rates(knows_losses=True)
    assert play(rates, 15, 3) == rates.reading(19.0)


def test_simulated_time_that_starts_again_begins_a_new_window():
    rates = Rates(knows_losses=True)
    play(rates, 15, start_s=1000.0)
    assert rates.reading(0.0).arrived_hz == 0.0
    assert play(rates, 10, start_s=1.0).arrived_hz == pytest.approx(10.0)


def test_the_sentence_tells_how_many_and_the_line_that_helps():
    rate = play(Rates(knows_losses=True), 3, 12)
    sentence = loss_sentence('front', rate, EXPORT)
    assert sentence.startswith("camera 'front': 12.0 of its 15.0 images/s are lost on the way")
    assert f'`{EXPORT}`' in sentence and 'before the camera driver starts' in sentence
    assert 'export' not in loss_sentence('front', rate, '')
