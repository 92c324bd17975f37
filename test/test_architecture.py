"""The house's rules, held by a test: imports run downward, ROS stays in nodes/."""

import ast
from pathlib import Path

import pytest

from s3dnn_ros.commands.parameters import markdown

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 's3dnn_ros'
ROS = {'rclpy', 'sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'builtin_interfaces',
       'rcl_interfaces', 'lifecycle_msgs', 'vision_msgs', 'cv_bridge', 'message_filters',
       'launch', 'launch_ros'}
# each room may import from itself and from those after it
FLOORS = ['cli', 'commands', ('nodes', 'lab'), 'runtime', ('engines', 'governor'),
          'profiling', ('media', 'summary', 'drawing', 'middleware', 'respawn'), 'models',
          'settings', 'parameters',
          ('scheduling', 'cohort', 'platforms', 'frames', 'counters'),
          ('capacity', 'recent'), 'errors']
FLOOR_OF = {room: index for index, floor in enumerate(FLOORS)
            for room in ([floor] if isinstance(floor, str) else floor)}


def modules():
    return [path for path in sorted(PACKAGE.rglob('*.py'))
            if path.relative_to(PACKAGE).parts[0] not in ('msg', '__init__.py')]


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].replace('.py', '')


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize('path', modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward_and_ros_stays_in_nodes(path):
    room = room_of(path)
    assert room in FLOOR_OF, f'{room} has no floor in FLOORS'
    for name in imports_of(path):
        first, *rest = name.split('.')
        if first == 's3dnn_ros' and rest and rest[0] not in ('msg', 'srv'):
            assert FLOOR_OF[rest[0]] >= FLOOR_OF[room], f'{room} imports {name}'
            if FLOOR_OF[rest[0]] == FLOOR_OF[room]:
                assert rest[0] == room, f'{room} imports its neighbour {name}'
        if room != 'nodes':
            assert first not in ROS, f'{room} imports {name}'
            assert name not in ('s3dnn_ros.msg', 's3dnn_ros.srv'), f'{room} imports {name}'


def test_the_parameter_reference_is_current():
    reference = ROOT / 'docs' / 'parameters.md'
    if not reference.is_file():
        pytest.skip('docs/ is in the checkout only')
    assert reference.read_text() == markdown(), \
        'run: s3dnn parameters > docs/parameters.md'
