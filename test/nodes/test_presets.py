"""Presets in a node: from a file, and changed between two configurations."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

from s3dnn_ros.nodes.monitor_node import MonitorNode

pytestmark = pytest.mark.ros

SUCCESS = TransitionCallbackReturn.SUCCESS


def scheduling(node):
    return node.settings.scheduling.fusion, node.settings.scheduling.capacity


def test_what_a_file_gives_stays_beside_a_preset(world):
    node = world.executor(start=False, preset='throughput', cpu_workers=3)
    assert (node.settings.scheduling.capacity, node.settings.cpu_workers) == (3.0, 3)
    assert node.get_parameter('capacity').value == 3.0


def test_another_preset_holds_from_the_next_configure_on(world):
    node = world.executor(start=False, preset='latency')
    assert scheduling(node) == (False, 1.0)
    world.accept('executor', 'preset', 'throughput')
    assert node.trigger_configure() == SUCCESS
    assert scheduling(node) == (True, 3.0)
    assert node.get_parameter('capacity').value == 3.0
    assert 'takes effect at configure' in world.set('executor', 'preset', 'latency').reason
    assert node.trigger_cleanup() == SUCCESS
    world.accept('executor', 'capacity', 2.0)
    world.accept('executor', 'preset', 'none')
    assert node.trigger_configure() == SUCCESS
    # what somebody has set is no default any more
    assert scheduling(node) == (True, 2.0)


def test_a_preset_holds_on_when_a_camera_comes(world):
    governor, _ = world.system(preset='throughput')
    name = f'instances.{world.instance}.max_fusion_delay_ms'
    governor.change({'camera_names': ['front', 'rear', 'left']})
    assert set(governor.settings.cameras) == {'front', 'rear', 'left'}
    assert governor.get_parameter(name).value == 10.0
    assert governor.settings.instances[world.instance].max_fusion_delay_ms == 10.0
    world.round_trip('front')


def test_an_unknown_preset_is_refused_with_those_there_are(world):
    world.executor(start=False)
    reason = world.set('executor', 'preset', 'fast').reason
    assert "parameter 'preset' is 'fast'; expected one of none, latency, throughput" in reason


def test_a_preset_that_does_not_go_with_what_was_set_is_refused_and_the_old_one_stays(world):
    node = world.executor(start=False, scheduler='fifo')
    world.accept('executor', 'preset', 'energy')
    assert node.trigger_configure() != SUCCESS
    world.wait_for(lambda: world.said("parameter 'scheduler' is 'fifo'; a cohort decides"))
    assert node.get_parameter('cohort').value is False
    world.accept('executor', 'preset', 'none')
    assert node.trigger_configure() == SUCCESS
    assert scheduling(node) == (True, 1.0)


def test_a_monitor_that_is_given_a_preset_for_all_nodes_is_not_told_that_it_is_unknown(world):
    world.add(MonitorNode(**world.options(world.parameters(preset='latency', table=False))))
    world.executor(start=False)
    assert not world.said("parameter 'preset' is unknown")
