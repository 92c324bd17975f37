"""Instances are replaced when the new ones are loaded, or not at all."""

import dataclasses
import queue
import threading

import pytest

from s3dnn_ros.errors import ModelError, RestartError
from s3dnn_ros.runtime import reloader as reloader_module
from s3dnn_ros.runtime.job import Instance
from s3dnn_ros.runtime.reloader import Reloader

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed


class Bench:
    """Instances `one` and `two`, and loads that wait until the test lets them go."""

    def __init__(self, settings):
        self.settings = settings
        self.instances = {name: self.make(name, settings) for name in settings.instances}
        self.errors = []
        self.may_load = threading.Event()
        self.may_load.set()
        self.changes = []
        self.ended = queue.Queue()
        self.reloader = Reloader(self.instances, self.load, lambda: self.changes.append(
            dict(self.instances)))

    @staticmethod
    def make(name, settings):
        return Instance(name, None, object(), object(), settings.instances[name])

    def load(self, specs, settings):
        assert self.may_load.wait(WAIT_S)
        if self.errors:
            raise self.errors.pop(0)
        return {name: self.make(name, settings) for name in specs}

    def begin(self, *names, settings=None):
        self.reloader.begin(dict.fromkeys(names), settings or self.settings, self.ended.put)

    def outcome(self):
        return self.ended.get(timeout=WAIT_S)


@pytest.fixture
def bench(executor_settings):
    made = Bench(executor_settings(('one', 'two')))
    yield made
    made.may_load.set()
    made.reloader.close()


def test_the_old_serves_until_the_new_is_loaded(bench):
    old = dict(bench.instances)
    bench.may_load.clear()
    bench.begin('one')
    assert bench.instances == old and bench.reloader.former('one') is None
    bench.may_load.set()
    assert bench.outcome() is None
    assert bench.instances['one'] is not old['one'] and bench.instances['two'] is old['two']
    assert bench.changes == [bench.instances]
    assert bench.reloader.former('one') is old['one']
    assert bench.reloader.former('two') is None


def test_a_failed_load_keeps_the_old(bench):
    old, error = dict(bench.instances), ModelError('x.onnx', 'is broken')
    bench.errors = [error]
    bench.begin('one', 'two')
    assert bench.outcome() is error
    assert bench.instances == old and not bench.changes
    bench.begin('one', 'two')
    assert bench.outcome() is None
    assert not set(map(id, bench.instances.values())) & set(map(id, old.values()))


def test_live_settings_that_changed_meanwhile_are_kept(bench, executor_settings):
    later = executor_settings(('one', 'two'), instances__one__model='other')
    bench.may_load.clear()
    bench.begin('one', settings=later)
    bench.instances['one'].settings = dataclasses.replace(
        bench.instances['one'].settings, score_threshold=0.9)
    bench.may_load.set()
    assert bench.outcome() is None
    assert bench.instances['one'].settings.score_threshold == 0.9
    assert bench.instances['one'].settings.model == 'other'


def test_the_former_is_gone_before_the_next_is_loaded(bench, monkeypatch):
    monkeypatch.setattr(reloader_module, 'FORMER_S', 0.05)
    bench.begin('one')
    assert bench.outcome() is None
    loaded = bench.instances['one']
    formers = []
    load, bench.reloader._load = bench.reloader._load, lambda *arguments: (
        formers.append(bench.reloader.former('one')), load(*arguments))[1]
    bench.begin('one')
    assert bench.outcome() is None
    assert formers == [None]
    assert bench.reloader.former('one') is loaded


def test_what_was_only_asked_for_is_refused_at_the_end(bench):
    bench.may_load.clear()
    bench.begin('one')
    bench.begin('two')
    closing = threading.Thread(target=bench.reloader.close)
    closing.start()
    assert bench.reloader._closing.wait(WAIT_S)
    bench.may_load.set()
    closing.join(WAIT_S)
    assert bench.outcome() is None
    assert isinstance(bench.outcome(), RestartError)
