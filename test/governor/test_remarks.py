"""What users are told of groups and instances: once, and whenever they ask."""

import types

import pytest

from s3dnn_ros.governor.outlook import SILENT_S
from s3dnn_ros.governor.remarks import Remarks

DEADLINE_S = 0.1


class FakeOutlook:
    """An executor of 'net' that may be away, silent, slow or not the only one."""

    def __init__(self, takes=True, silent_s=0.0, run_s=0.05, rival=''):
        self.values = types.SimpleNamespace(takes=takes, silent_s=silent_s, run_s=run_s,
                                            rival=rival)

    def takes(self, name):
        return self.values.takes

    def silent_s(self, name, now_s):
        return self.values.silent_s

    def rival_of(self, name, now_s):
        return self.values.rival

    def process_of(self, name):
        return 'first'

    def time_s(self, name, frames):
        return self.values.run_s


@pytest.mark.parametrize(('state', 'words'), [
    ({'takes': False}, 'no executor takes batches'),
    ({'silent_s': SILENT_S + 9.0}, 'has told nothing for'),
    ({'rival': 'second'}, 'two executors run'),
    ({'run_s': 0.2}, 'takes 200 ms from a frame'),
    ({'run_s': None}, ''), ({}, '')])
def test_an_instance_whose_frames_do_not_run_is_remarked_on(state, words):
    remark = Remarks({}, FakeOutlook(**state)).of_instance('net', DEADLINE_S, 0.0)
    assert words in remark and bool(remark) == bool(words)


def test_rivals_are_told_once_and_remarked_on_as_long_as_there_are_two():
    outlook = FakeOutlook(rival='second')
    remarks = Remarks({}, outlook)
    for _ in range(3):
        remarks.look_at_rivals(['net'], 0.0)
    assert len(remarks.news()) == 1 and remarks.news() == []
    assert 'second' in remarks.of_instance('net', DEADLINE_S, 0.0)
    outlook.values.rival = ''
    assert remarks.of_instance('net', DEADLINE_S, 0.0) == ''


def test_a_group_that_lacks_something_is_told_once_and_says_when_that_is_over():
    lacks = ['frames of rear never come', 'frames of rear never come', '']
    remarks = Remarks({'pair': types.SimpleNamespace(lack=lambda now_s: lacks.pop(0))},
                      FakeOutlook())
    remarks.look_at_groups(0.0)
    assert remarks.of_groups(1.0) == {'pair': "group 'pair': frames of rear never come"}
    assert remarks.news() == ["group 'pair': frames of rear never come"]
    assert remarks.of_groups(2.0) == {'pair': ''} and remarks.news() == []


def test_what_is_added_is_told_in_order():
    remarks = Remarks({}, FakeOutlook())
    remarks.add('one')
    remarks.add('two')
    assert remarks.news() == ['one', 'two'] and remarks.news() == []
