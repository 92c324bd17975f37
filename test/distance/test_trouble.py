"""A trouble is told once, when it has lasted."""

from s3dnn_ros.distance.trouble import LastingTrouble


def test_what_passes_is_not_told():
    trouble = LastingTrouble(2.0)
    assert not trouble.is_new('info', 'none has come', 0.0)
    assert trouble.sentence == 'none has come'
    trouble.over()
    assert trouble.sentence == ''
    assert not trouble.is_new('info', 'none has come', 5.0)


def test_what_lasts_is_told_once_for_each_reason():
    trouble = LastingTrouble(2.0)
    told = [trouble.is_new(reason, '', now_s) for reason, now_s in (
        ('info', 0.0), ('skew', 1.9), ('info', 2.0), ('info', 3.0), ('skew', 3.0), ('skew', 9.0))]
    assert told == [False, False, True, False, True, False]
    trouble.over()
    assert [trouble.is_new('info', '', now_s) for now_s in (10.0, 20.0)] == [False, False]
