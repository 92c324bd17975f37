"""What results say about where they were measured."""

from s3dnn_ros.lab.environment import environment


def test_a_copy_that_is_told_where_it_comes_from_says_so(monkeypatch):
    monkeypatch.setenv('S3DNN_COMMIT', 'abc1234')
    assert environment()['commit'] == 'abc1234'


def test_otherwise_the_history_tells(monkeypatch):
    monkeypatch.delenv('S3DNN_COMMIT', raising=False)
    assert environment()['commit']
