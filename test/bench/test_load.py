"""Loads on ONNX Runtime: what is offered, answered and traced."""

import pytest

from s3dnn_ros.bench.load import Client, Policy

SECONDS = 0.3
PERIOD_S = 0.02
FIFO = Policy('fifo', 'fifo')
SUPERVISED = Policy('supervised', 'supervised')


def periodic(name='a', **changes):
    values = dict(model='tiny', deadline_s=1.0, period_s=PERIOD_S)
    return Client(name, **{**values, **changes})


def test_a_period_makes_a_rate(prepared):
    measured = prepared.run([periodic('a'), periodic('b')], FIFO, SECONDS)
    assert measured.offered_hz == pytest.approx(2 / PERIOD_S, rel=0.2)
    assert measured.missed_share == 0.0
    assert measured.work_share == pytest.approx(
        measured.finished_hz * prepared.alone_s['tiny'])
    assert measured.gpu_busy_share is None


def test_without_a_period_the_answer_is_the_next_request(prepared):
    measured = prepared.run([periodic(period_s=0.0)], FIFO, SECONDS)
    assert measured.finished_hz > 4 / PERIOD_S


def test_frames_that_a_client_collects_count_by_their_own_stamps(prepared):
    policy = Policy('application batching', 'streams', frames=4)
    record = prepared.rig.run([periodic()], policy).record(SECONDS)
    measured = record.measured(prepared.alone_s)
    assert measured.batch == 4.0
    assert measured.offered_hz == pytest.approx(1 / PERIOD_S, rel=0.3)
    first = record.answers[:4]
    assert [after.stamp_s - before.stamp_s for before, after in zip(first, first[1:])] \
        == pytest.approx([PERIOD_S] * 3)
    assert measured.missed_share == 0.0
    # the oldest waits for three more, the newest for none
    late = prepared.run([periodic(deadline_s=2.5 * PERIOD_S)], policy, SECONDS)
    assert late.missed_share == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize('policy', [FIFO, SUPERVISED])
def test_a_trace_has_a_span_of_every_answer(prepared, policy):
    record = prepared.rig.run([periodic('a'), periodic('b')], policy, trace=True).record(SECONDS)
    spans = {(span.client, span.deadline_s) for span in record.spans}
    assert {(answer.client, answer.deadline_s) for answer in record.answers} <= spans
    assert all(span.submitted_s < span.completed_s for span in record.spans)


def test_without_a_trace_there_are_no_spans(prepared):
    assert not prepared.rig.run([periodic()], FIFO).record(SECONDS).spans


def test_a_failing_engine_ends_the_run_with_its_error(prepared, monkeypatch):
    network = prepared.networks['tiny']
    run = prepared.rig.run([periodic()], FIFO)

    def broken(segment, tensors, variant):
        raise ValueError('out of order')

    monkeypatch.setattr(network, 'step', broken)
    with pytest.raises(RuntimeError, match='out of order'):
        run.record(SECONDS)
