"""What `ros2 param dump` writes of a node makes the same node again."""

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from rclpy.parameter import Parameter, parameter_value_to_python

from s3dnn_ros.nodes.executor_node import ExecutorNode
from s3dnn_ros.nodes.governor_node import GovernorNode
from s3dnn_ros.nodes.monitor_node import MonitorNode
from s3dnn_ros.nodes.replay_node import ReplayNode
from s3dnn_ros.settings import NODES
from s3dnn_ros.settings.parameters import declarations, name_lists

pytestmark = pytest.mark.ros

KINDS = {'governor': GovernorNode, 'executor': ExecutorNode, 'replay': ReplayNode,
         'monitor': MonitorNode}
# of every kind of value, one that is not the default; and those that YAML could mistake
CHANGES = {
    'governor': {
        'camera_names': ['front', 'rear'], 'instance_names': ['one', 'two'],
        'group_names': ['pair'], 'groups': {'pair': {'cameras': ['front', 'rear'],
                                                     'max_skew_ms': 1e-5}},
        'instances': {'one': {'model': '1.5', 'deadline_ms': 60, 'cameras': ['rear']},
                      'two': {'model': 'yes', 'allow_infeasible': True, 'profile': ''}},
        'cameras': {'front': {'topic': '/no', 'max_rate_hz': 30}},
        'model_directories': ['/a: b', '~', ''], 'ring_slots': 3, 'use_sim_time': True},
    'executor': {
        'camera_names': ['front'], 'instance_names': ['one'],
        'instances': {'one': {'model': 'mü "x" #\nline', 'priority': -3}},
        'platform_knobs': [], 'cohort': True, 'scheduler': 'edf', 'platform': 'sm_partition',
        'platform_partitions': ['8', '0'], 'cohort_threshold': -0.5},
    'replay': {
        'camera_names': ['front'], 'sources': {'front': {'file': 'asset:street', 'phase_ms': 3}},
        'duration_s': 1e6},
    'monitor': {'camera_names': ['front'], 'table': False, 'output_directory': '/tmp/x y'},
}


def call(world, node, name, kind, **request):
    """Return the response of one of a node's parameter services."""
    client = world.observer.create_client(kind, f'{world.namespace}/{node}/{name}')
    world.wait_for(client.service_is_ready, f'{node}/{name}')
    future = client.call_async(kind.Request(**request))
    world.wait_for(future.done, f'{node}/{name} to answer')
    return future.result()


def dump(world, node):
    """Return what `ros2 param dump` writes, as text."""
    names = sorted(call(world, node, 'list_parameters', ListParameters).result.names)
    values = call(world, node, 'get_parameters', GetParameters, names=names).values
    tree = {}
    for name, value in zip(names, values):
        *branches, leaf = name.split('.')
        branch = tree
        for part in branches:
            branch = branch.setdefault(part, {})
        value = parameter_value_to_python(value)
        branch[leaf] = value if value is None or isinstance(value, (bool, int, float, str)) \
            else list(value)
    return yaml.dump({f'{world.namespace}/{node}': {'ros__parameters': tree}},
                     default_flow_style=False)


def from_file(world, node, text):
    """Return a node with the parameters in a file of this text."""
    path = world.tmp_path / f'{node}.yaml'
    path.write_text(text)
    return world.add(KINDS[node](
        context=world.context, namespace=world.namespace,
        cli_args=['--ros-args', '--params-file', str(path)]), start=False)


@pytest.mark.parametrize('changed', [False, True], ids=['defaults', 'changed'])
@pytest.mark.parametrize('node', KINDS)
def test_a_dump_is_a_parameter_file(world, node, changed):
    first = from_file(world, node, yaml.safe_dump({'/**': {
        'ros__parameters': CHANGES[node] if changed else {'autostart': True}}}))
    settings, text = first.settings, dump(world, node)
    world.remove(first)
    second = from_file(world, node, text)
    assert second.settings == settings
    assert dump(world, node) == text
    if not changed:
        assert settings == NODES[node]()


def test_a_dump_of_what_was_set_while_the_node_runs(world):
    executor = world.executor()
    name = f'instances.{world.instance}.score_threshold'
    world.accept('executor', name, 1)
    world.accept('executor', 'late_policy', 'drop')
    text, settings = dump(world, 'executor'), executor.settings
    world.remove(executor)
    assert from_file(world, 'executor', text).settings == settings
    assert settings.instances[world.instance].score_threshold == 1.0


@pytest.mark.parametrize('empty', [Parameter.Type.STRING_ARRAY, Parameter.Type.BYTE_ARRAY,
                                   Parameter.Type.BOOL_ARRAY, Parameter.Type.INTEGER_ARRAY])
def test_an_empty_list_stays_a_list_of_strings(world, empty):
    """`ros2 param set NODE NAME '[]'` takes it for booleans."""
    node = world.executor(start=False, platform_knobs=['gpu'])
    node.set_parameters([Parameter('platform_knobs', empty, [])])
    for name in ('platform_knobs', 'platform_partitions'):
        assert node.get_parameter(name).type_ == Parameter.Type.STRING_ARRAY
        assert node.get_parameter(name).value == []


def test_every_parameter_is_described_with_type_and_range(world):
    types = {bool: ParameterType.PARAMETER_BOOL, int: ParameterType.PARAMETER_INTEGER,
             float: ParameterType.PARAMETER_DOUBLE, str: ParameterType.PARAMETER_STRING}
    lists_of = {str: ParameterType.PARAMETER_STRING_ARRAY,
                float: ParameterType.PARAMETER_DOUBLE_ARRAY}
    world.executor(start=False, camera_names=['front'])
    lists = {'camera_names': ['front'], 'instance_names': [world.instance]}
    expected = {item.name: item for item in (*name_lists(NODES['executor']),
                                             *declarations(NODES['executor'], lists))}
    found = call(world, 'executor', 'describe_parameters', DescribeParameters,
                 names=list(expected)).descriptors
    assert [item.name for item in found] == list(expected)
    for item in found:
        declaration = expected[item.name]
        is_list = declaration.type is tuple
        assert item.type == (lists_of[declaration.items] if is_list else types[declaration.type])
        assert item.description == declaration.description
        ranges = [(one.from_value, one.to_value, one.step)
                  for one in (*item.integer_range, *item.floating_point_range)]
        low, high = declaration.low, declaration.high
        assert ranges == ([] if low is None or is_list else [(low, high, 0)])
        assert bool(item.integer_range) == (low is not None and declaration.type is int)
