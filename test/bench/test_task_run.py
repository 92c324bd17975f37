"""Tasks with work on the CPU: split they share it, whole they run one after the other."""

import threading

import cv2
import numpy as np
import pytest

from s3dnn_ros.bench.load import Policy
from s3dnn_ros.bench.task_run import Contender, CpuWork, Task, TaskRun
from s3dnn_ros.models.spec import load_spec

SECONDS = 0.2
GREY = 128
SPLIT = Contender('split', Policy('packing', 'packing'))
WHOLE = Contender('whole', Policy('packing', 'packing'), whole=True)


class Work:
    """The work of a model whose image is there already; notes when it begins and ends."""

    def __init__(self, pixels):
        self.pixels = pixels
        self.log = []
        self.threads = set()
        self.broken = ''

    def before(self):
        self.log.append('before')
        self.threads.add(threading.current_thread().name)
        if self.broken == 'before':
            raise ValueError('no image')
        return self.pixels

    def behind(self, outputs):
        self.log.append('behind')
        if self.broken == 'behind':
            raise ValueError('no boxes')
        assert outputs['scores'].shape[0] == 1


@pytest.fixture
def work(prepared, tiny_model, monkeypatch):
    monkeypatch.setattr('s3dnn_ros.bench.task_run.SETTLE_S', 0.05)
    spec = load_spec(tiny_model)
    return Work(prepared.networks[tiny_model].stage(
        CpuWork(spec, prepared.networks[tiny_model], picture(8, 8)).fitted()))


def picture(width, height):
    return cv2.imencode('.jpg', np.full((height, width, 3), GREY, np.uint8))[1].tobytes()


def tasks(model, deadline_s=1.0, count=3):
    """Return tasks that all come at the same moments."""
    return [Task(f'{model}_{index}', model, 0.02, deadline_s, 0.0, index)
            for index in range(count)]


def record(prepared, work, contender, **options):
    model, = prepared.networks
    return TaskRun(prepared.rig, {model: work}, tasks(model, **options), contender,
                   workers=2).record(SECONDS)


@pytest.mark.parametrize('contender', [SPLIT, WHOLE], ids=lambda contender: contender.name)
def test_every_task_is_asked_and_answered(prepared, work, contender):
    found = record(prepared, work, contender)
    asked = {(one.client, one.stamp_s) for one in found.offered}
    answered = {(one.client, one.stamp_s) for one in found.answers}
    assert len({client for client, _ in answered}) == 3 and answered <= asked
    assert len(answered) == len(found.answers) == work.log.count('behind')
    assert all(one.stamp_s < one.ended_s for one in found.answers)
    assert {span.client for span in found.spans} == {client for client, _ in answered}
    assert found.end_s - found.begin_s == pytest.approx(SECONDS)


def test_whole_tasks_run_one_after_the_other_in_one_thread(prepared, work):
    found = record(prepared, work, WHOLE)
    log = work.log[:2 * len(found.answers)]
    assert log == ['before', 'behind'] * (len(log) // 2) and len(log) >= 6
    assert len(work.threads) == 1


def test_split_tasks_do_not_wait_for_each_other(prepared, work):
    """An image is made while another one is."""
    both = threading.Barrier(2)
    made, work.before = work.before, lambda: (both.wait(20.0), made())[1]
    record(prepared, work, SPLIT, count=2)
    assert len(work.threads) == 2


@pytest.mark.parametrize('contender', [SPLIT, WHOLE], ids=lambda contender: contender.name)
def test_what_is_late_costs_no_work(prepared, work, contender):
    found = record(prepared, work, contender, deadline_s=-0.001)
    assert found.offered and not found.answers and not work.log


@pytest.mark.parametrize('contender', [SPLIT, WHOLE], ids=lambda contender: contender.name)
@pytest.mark.parametrize('broken, said', [('before', 'no image'), ('behind', 'no boxes')])
def test_work_that_fails_fails_the_run(prepared, work, contender, broken, said):
    work.broken = broken
    with pytest.raises(RuntimeError, match=said):
        record(prepared, work, contender)


def test_the_work_is_that_of_the_model(prepared, tiny_model):
    spec, network = load_spec(tiny_model), prepared.networks[tiny_model]
    work = CpuWork(spec, network, picture(16, 8))
    pixels = work.fitted()
    assert pixels.shape == (1, spec.height, spec.width, 3)
    assert abs(pixels.astype(int) - GREY).max() <= 2
    work.behind(network.run(work.before()))
