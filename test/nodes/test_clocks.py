"""Stamps of another clock, groups that never meet and bags that loop, through the real nodes."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from ros_world import NS_PER_S, PERIOD_NS

pytestmark = pytest.mark.ros

DEADLINE_MS = 20000.0
PAIR = {'group_names': ['pair'], 'groups': {'pair': {
    'cameras': ['front', 'rear'], 'max_skew_ms': 20.0, 'max_wait_ms': 20.0}}}


def send_until(world, predicate, what, offset_ns=0):
    """Trigger both cameras until the predicate holds; the rear one's stamps are apart."""
    def tried():
        stamp_ns = world.next_stamp_ns('front')
        world.send('front', stamp_ns=stamp_ns)
        world.send('rear', stamp_ns=stamp_ns + offset_ns)
        world.spin_for(0.05)
        return predicate()

    return world.wait_for(tried, what)


@pytest.mark.parametrize(('offset_s', 'words'), [
    (37, '37.0 s ahead of'), (-10800, '10800.0 s behind')])
def test_a_camera_of_another_clock_is_told_once_and_counts_from_arrival(
        world, monkeypatch, offset_s, words):
    monkeypatch.setattr('s3dnn_ros.governor.stamps.WINDOW_S', 0.3)
    world.system(instances={world.instance: {'deadline_ms': DEADLINE_MS}})
    offset_ns = offset_s * NS_PER_S
    status = send_until(world, lambda: world.diagnosed("camera 'rear'", words), 'a diagnosis',
                        offset_ns)
    assert (status.hardware_id, status.level) == ('rear', b'\1')
    assert 'chrony' in status.message
    send_until(world, lambda: len(world.results['rear']) > 20, 'more results', offset_ns)
    world.wait_for(lambda: world.said("camera 'rear'", words), 'a warning')
    assert len([text for text in world.logs if 'its stamps are' in text]) == 1
    for msg in world.results['rear']:
        assert msg.transport_ms == 0.0
        assert 0.0 < msg.latency_ms < DEADLINE_MS and not msg.missed
    for name in ('governor', 'executor'):
        count = world.count(name, 'rear', world.instance if name == 'governor' else '')
        assert count.latency_p99_ms >= 0.0
    assert world.diagnosed("camera 'front'") is None


@pytest.mark.parametrize(('offset_s', 'words'), [
    (37, "stamps of 'front' and 'rear' are 37.0 s apart, more than max_skew_ms (20)"),
    (None, "no usable frame of 'rear' arrives")])
def test_a_group_that_is_never_complete_is_told_once(world, monkeypatch, offset_s, words):
    for name in ('INCOMPLETE_S', 'SILENT_S'):
        monkeypatch.setattr(f's3dnn_ros.governor.group_watch.{name}', 0.5)
    world.system(**PAIR)

    def diagnosed():
        return world.diagnosed("group 'pair': no moment was complete", words)

    if offset_s is None:
        world.publisher('rear')
        status = world.wait_for(lambda: world.round_trip('front') and diagnosed(), words)
    else:
        status = send_until(world, diagnosed, words, offset_s * NS_PER_S)
    assert (status.hardware_id, status.level) == ('pair', b'\1')
    world.wait_for(lambda: world.said("group 'pair'", words), 'a warning')
    # the cameras meet again
    world.statuses.clear()
    send_until(world, lambda: any(status.hardware_id == 'pair' and status.level == b'\0'
                                  for status in world.statuses), 'the group to be complete')
    assert len([text for text in world.logs if "group 'pair'" in text]) == 1


def test_a_bag_of_half_a_second_loops(world):
    # however busy the machine is, no frame is late
    world.system(instances={world.instance: {'deadline_ms': 30000.0}})
    start_ns, loops, frames = world.next_stamp_ns('front') - NS_PER_S, 4, 5
    for sent in range(loops * frames):
        world.send('front', stamp_ns=start_ns + PERIOD_NS * (sent % frames))
        world.wait_for(lambda sent=sent: len(world.results['front']) >= sent + 1 - sent // frames,
                       'a result')
    assert len(world.results['front']) == loops * frames - (loops - 1)
    world.wait_for(lambda: world.dropped('governor', 'front', 'stamp') == loops - 1)


def test_a_camera_that_repeats_one_frame_is_refused(world):
    world.system()
    stamp_ns = world.send('front')
    world.result('front', stamp_ns)
    for _ in range(5):
        world.send('front', stamp_ns=stamp_ns)
    world.wait_for(lambda: world.dropped('governor', 'front', 'stamp') == 5)
    assert len(world.results['front']) == 1
