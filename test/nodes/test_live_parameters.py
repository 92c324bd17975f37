"""Parameters while the nodes run: live ones take effect, others and bad values are refused."""

import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_world import ns_of

pytestmark = pytest.mark.ros

SUCCESS = TransitionCallbackReturn.SUCCESS


@pytest.mark.parametrize(('node', 'name', 'value', 'words'), [
    ('governor', 'instances.{}.deadline_ms', 60001.0, ('from 0.0 to 60000.0',)),
    ('governor', 'instances.{}.deadline_ms', 'soon', ('a number from 0.0 to 60000.0',)),
    ('governor', 'cameras.front.max_rate_hz', -1.0, ('from 0.0 to 1000.0',)),
    ('governor', 'slot_lease_ms', 1.0, ('from 10.0 to 60000.0',)),
    ('executor', 'instances.{}.score_threshold', 1.5, ('from 0.0 to 1.0',)),
    ('executor', 'instances.{}.max_detections', 2.5, ('a whole number from 1 to 10000',)),
    ('executor', 'late_policy', 'panic', ('one of run, drop',)),
    ('executor', 'overlay', 1, ('true or false',)),
])
def test_out_of_range_is_refused_and_the_old_value_stays(world, node, name, value, words):
    nodes = dict(zip(('governor', 'executor'), world.system()))
    name = name.format(world.instance)
    old = nodes[node].get_parameter(name).value
    settings = nodes[node].settings
    result = world.set(node, name, value)
    assert not result.successful
    for word in (f"parameter '{name}' is {value!r}", *words):
        assert word in result.reason
    assert nodes[node].get_parameter(name).value == old
    assert nodes[node].settings == settings
    world.round_trip('front')


@pytest.mark.parametrize(('node', 'name', 'owner'), [
    ('governor', 'instances.{}.score_threshold', 'executor'),
    ('governor', 'late_policy', 'executor'), ('executor', 'ring_slots', 'governor'),
    ('executor', 'instances.{}.deadline_ms', 'governor'), ('governor', 'fps', 'replay'),
])
def test_a_parameter_of_another_node_is_refused_with_that_node(world, node, name, owner):
    world.system()
    name = name.format(world.instance)
    result = world.set(node, name, 0.5)
    assert not result.successful
    assert f"parameter '{name}' belongs to the {owner}: " in result.reason
    assert f'ros2 param set {world.namespace}/{owner} {name} ' in result.reason
    world.round_trip('front')


@pytest.mark.parametrize(('name', 'nearest'), [
    ('late_polcy', 'late_policy'), ('instances.{}.score_treshold', 'instances.{}.score_threshold'),
    ('instances.nobody.score_threshold', 'instances.{}.score_threshold'),
    ('use_sim_tim', 'use_sim_time'), ('', ''),
])
def test_an_unknown_parameter_is_refused_with_the_nearest(world, name, nearest):
    world.executor()
    name, nearest = name.format(world.instance), nearest.format(world.instance)
    result = world.set('executor', name, 1)
    assert not result.successful
    assert f"parameter '{name}' is unknown; did you mean '{nearest}" in result.reason


def test_a_set_with_one_that_is_refused_changes_nothing(world):
    governor, _ = world.system()
    names = ('slot_lease_ms', 'max_image_side', 'late_policy')
    old = governor.settings
    result = governor.set_parameters_atomically([
        Parameter('slot_lease_ms', value=100), Parameter('late_policy', value='drop')])
    assert not result.successful and 'belongs to the executor' in result.reason
    assert governor.settings == old and governor.get_parameter('slot_lease_ms').value == 2000.0
    first, second, third = governor.set_parameters([
        Parameter(name, value=100) for name in names])
    assert first.successful and second.successful and not third.successful
    assert governor.settings.slot_lease_ms == 100.0
    assert type(governor.get_parameter('slot_lease_ms').value) is float


def test_parameters_of_rclpy_itself_are_its_own(world):
    world.governor()
    assert not world.set('governor', 'use_sim_time', 'yes').successful
    world.accept('governor', 'use_sim_time', False)


def test_a_combination_is_refused_as_a_set(world):
    governor, _ = world.system(group_names=['pair'], groups={'pair': {
        'cameras': ['front', 'rear'], 'max_wait_ms': 20.0}},
        instances={world.instance: {'deadline_ms': 100.0}})
    result = world.set('governor', 'groups.pair.max_wait_ms', 100.0)
    assert not result.successful
    assert "parameter 'groups.pair.max_wait_ms' is 100.0" in result.reason
    assert world.instance in result.reason
    assert governor.settings.groups['pair'].max_wait_ms == 20.0


@pytest.mark.parametrize(('node', 'name', 'value'), [
    ('governor', 'ring_slots', 2), ('governor', 'transport', 'inline'),
    ('governor', 'cameras.front.topic', 'elsewhere'), ('executor', 'engine_threads', 2),
    ('executor', 'instances.{}.model', 'mean'),
])
def test_what_is_not_live_is_refused_while_configured(world, node, name, value):
    nodes = dict(zip(('governor', 'executor'), world.system()))
    name = name.format(world.instance)
    old = nodes[node].get_parameter(name).value
    result = world.set(node, name, value)
    assert not result.successful
    assert f"parameter '{name}' takes effect at configure" in result.reason
    assert nodes[node].get_parameter(name).value == old
    world.round_trip('front')
    assert nodes[node].trigger_deactivate() == SUCCESS
    assert not world.set(node, name, value).successful
    assert nodes[node].trigger_cleanup() == SUCCESS
    world.accept(node, name, value)
    assert nodes[node].get_parameter(name).value == value


def test_what_is_not_live_is_used_at_the_next_configure(world):
    governor, _ = world.system()
    world.round_trip('front')
    governor.trigger_deactivate()
    governor.trigger_cleanup()
    world.accept('governor', 'cameras.front.topic', 'elsewhere')
    world.accept('governor', 'transport', 'inline')
    assert governor.autostart()
    assert not world.segments()
    world.publisher('front', topic='elsewhere')
    world._publishers['front/image_raw'] = world._publishers['elsewhere']
    world.round_trip('front')


def test_a_camera_that_is_added_at_the_next_configure(world):
    governor, _ = world.system(names=['front'])
    world.watch('rear')
    assert not world.set('governor', 'camera_names', ['front', 'rear']).successful
    governor.trigger_deactivate()
    governor.trigger_cleanup()
    world.accept('governor', 'camera_names', ['front', 'rear'])
    assert governor.autostart()
    world.round_trip('front')
    # nobody told the executor of this camera: its topic comes with its first result
    world.send('rear')
    world.wait_for(lambda: world.count('executor', 'rear').published == 1)
    world.round_trip('rear')


def test_deadline_ms(world):
    world.system()
    for deadline_ms in (200.0, 400.0):
        world.accept('governor', f'instances.{world.instance}.deadline_ms', deadline_ms)
        msg = world.round_trip('front')
        deadline_ns = msg.deadline.sec * 10 ** 9 + msg.deadline.nanosec
        assert deadline_ns - ns_of(msg) == pytest.approx(deadline_ms * 1e6, abs=1000)
    world.accept('governor', f'instances.{world.instance}.deadline_ms', 0.001)
    assert world.round_trip('front').missed


def test_score_threshold_and_max_detections(world):
    world.system()
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32, :, 0] = 200
    image[32:, :, 1] = 100

    def found():
        return len(world.result('front', world.send('front', image)).detections)

    assert found() == 8
    world.accept('executor', f'instances.{world.instance}.score_threshold', 0.3)
    assert found() == 16
    world.accept('executor', f'instances.{world.instance}.max_detections', 3)
    assert found() == 3
    world.accept('executor', f'instances.{world.instance}.score_threshold', 0.9)
    assert found() == 0


def test_max_rate_hz(world):
    world.system()
    world.round_trip('front')
    world.accept('governor', 'cameras.front.max_rate_hz', 0.01)
    world.send('front')
    world.wait_for(lambda: world.dropped('governor', 'front', 'rate') == 1)
    world.round_trip('rear')
    world.accept('governor', 'cameras.front.max_rate_hz', 0.0)
    world.round_trip('front')
    assert len(world.results['front']) == 2


def test_max_fusion_delay_ms(world):
    world.system(instances={world.instance: {
        'max_batch': 2, 'max_fusion_delay_ms': 10000.0, 'deadline_ms': 30000.0}})
    for name in ('front', 'rear'):
        world.publisher(name)
    stamps = {name: world.send(name) for name in ('front', 'rear')}
    assert [world.result(name, stamp).batch for name, stamp in stamps.items()] == [2, 2]
    world.accept('governor', f'instances.{world.instance}.max_fusion_delay_ms', 0.0)
    assert world.round_trip('front').batch == 1


def test_max_fusion_delay_ms_frees_a_frame_that_waits(world):
    world.system(instances={world.instance: {
        'max_batch': 2, 'max_fusion_delay_ms': 10000.0, 'deadline_ms': 60000.0}})
    stamp_ns = world.send('front')
    world.wait_for(lambda: world.count('governor', 'front').frames == 1)
    assert world.count('governor', 'front').published == 0
    world.accept('governor', f'instances.{world.instance}.max_fusion_delay_ms', 0.0)
    msg = world.result('front', stamp_ns)
    assert msg.governor_ms < 9000.0


def test_max_batch(world):
    world.system(instances={world.instance: {
        'max_batch': 1, 'max_fusion_delay_ms': 10000.0, 'deadline_ms': 30000.0}})
    assert world.round_trip('front').batch == 1
    world.accept('governor', f'instances.{world.instance}.max_batch', 2)
    world.publisher('rear')
    stamps = {name: world.send(name) for name in ('front', 'rear')}
    assert [world.result(name, stamp).batch for name, stamp in stamps.items()] == [2, 2]


def test_max_batch_may_grow_beyond_the_number_of_cameras(world):
    world.system(instances={world.instance: {'max_batch': 1}})
    world.accept('governor', f'instances.{world.instance}.max_batch', 64)
    for name in ('front', 'rear'):
        world.round_trip(name)


def test_late_policy(world, gate):
    """A frame that waits until it is too late; that of the other camera is held up in its run."""
    def send_two():
        gate.shut()
        seen = world.count('executor', 'front').frames
        world.send('front')
        world.wait_for(lambda: world.count('executor', 'front').frames > seen)
        stamp_ns = world.send('rear')
        world.wait_for(lambda: time.time_ns() > stamp_ns + 300_000_000)
        gate.open()
        return stamp_ns

    world.system(instances={world.instance: {'deadline_ms': 300.0}})
    for name in ('front', 'rear'):
        world.round_trip(name)
    send_two()
    world.wait_for(lambda: sum(world.dropped(node, 'rear', 'late')
                               for node in ('governor', 'executor')) == 1)
    world.wait_for(lambda: world.diagnosed('deadline could not be met', world.instance))
    world.accept('executor', 'late_policy', 'run')
    assert world.result('rear', send_two()).missed
    world.round_trip('rear')


def test_packing_threshold(world):
    _, executor = world.system(scheduler='packing')
    world.round_trip('front')
    world.accept('executor', 'packing_threshold', 0.5)
    assert executor.settings.scheduling.packing_threshold == 0.5
    world.round_trip('front')
    assert not world.set('executor', 'scheduler', 'edf').successful


def test_a_deadline_that_no_frame_can_meet_stops_nothing(world):
    world.system(instances={world.instance: {'deadline_ms': 0.01}})
    for name in ('front', 'rear', 'front'):
        assert world.round_trip(name).missed


def test_slot_lease_ms(world, gate):
    """The executor holds a batch for longer than the lease: both sides count it once."""
    world.system()
    world.round_trip('rear')
    gate.shut()
    world.accept('governor', 'slot_lease_ms', 50.0)
    world.send('front')
    world.wait_for(lambda: world.count('governor', 'front').published == 1
                   or world.dropped('governor', 'front', 'lease'))
    # a slot is taken back when the governor next looks: at the other camera's frame
    world.wait_for(lambda: world.send('rear')
                   and world.dropped('governor', 'front', 'lease') == 1)
    assert world.instance in world.count('governor', 'front').last_error
    # it is never shorter than the deadline
    assert 'within 1000 ms (slot_lease_ms' in world.count('governor', 'front').last_error
    gate.open()
    world.wait_for(lambda: world.dropped('executor', 'front', 'lease') == 1)
    assert not world.results['front']
    world.accept('governor', 'slot_lease_ms', 2000.0)
    world.round_trip('front')
    world.round_trip('rear')
