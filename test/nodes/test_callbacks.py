"""No message, request or timer ends a node: what a callback raises is counted and dropped."""

import array
import math

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters
from s3dnn_ros.msg import Camera, Cameras, Capacity, InstanceCapacity
from sensor_msgs.msg import Image as ImageMsg

from s3dnn_ros.nodes.camera_follower import MOST_FRONT_ENDS
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.settings.cameras import MOST_CAMERAS

pytestmark = pytest.mark.ros

INT32, UINT32 = 2 ** 31 - 1, 2 ** 32 - 1


class Stumbles:
    """Raises in the place of a method, as long as it is on."""

    def __init__(self, monkeypatch, owner, name, error):
        self.on = True
        self.calls = 0
        self._error, self._method = error, getattr(owner, name)
        monkeypatch.setattr(owner, name, self)

    def __call__(self, *args, **options):
        if not self.on:
            return self._method(*args, **options)
        self.calls += 1
        raise self._error


def request(world, node, name, kind, **fields):
    """Return the response of a node's service."""
    client = world.observer.create_client(kind, f'{world.namespace}/{node}/{name}')
    world.wait_for(client.service_is_ready, f'{node}/{name}')
    future = client.call_async(kind.Request(**fields))
    world.wait_for(future.done, f'{node}/{name} to answer')
    return future.result()


def statuses(world, node):
    """Return what the node says of its callbacks."""
    return [status for status in world.statuses
            if status.name == f'{world.namespace}/{node}: callbacks']


def test_a_message_whose_callback_raises_is_dropped(world, monkeypatch):
    governor, _ = world.system()
    world.round_trip('front')
    world.wait_for(lambda: statuses(world, 'governor'))
    assert statuses(world, 'governor')[-1].level == DiagnosticStatus.OK
    stumbles = Stumbles(monkeypatch, governor._governor, 'offer', RuntimeError('a bad day'))
    for count in (1, 2):
        world.send('front')
        world.wait_for(lambda count=count: stumbles.calls == count)
    words = ('front/image_raw is dropped', 'RuntimeError: a bad day')
    world.wait_for(lambda: world.diagnosed(*words))
    status = world.diagnosed(*words)
    assert status.level == DiagnosticStatus.WARN
    world.wait_for(lambda: {item.key: item.value for item in statuses(world, 'governor')[-1].values
                            }['dropped'] == '2')
    world.wait_for(lambda: statuses(world, 'governor')[-1].level == DiagnosticStatus.OK)
    assert len([text for text in world.logs if 'a bad day' in text]) == 1
    stumbles.on = False
    world.round_trip('front')
    world.round_trip('rear')


def test_a_timer_whose_callback_raises_goes_on(world, monkeypatch):
    governor, _ = world.system()
    stumbles = Stumbles(monkeypatch, governor, 'publish_stats', ZeroDivisionError())
    world.wait_for(lambda: stumbles.calls >= 2)
    stumbles.on = False
    world.wait_for(lambda: world.diagnosed('a shot of a timer is dropped', 'ZeroDivisionError'))
    world.round_trip('front')


def test_a_request_whose_callback_raises_is_answered(world):
    world.system()
    impossible = ParameterMsg(name='ring_slots', value=ParameterValue(type=77))
    response = request(world, 'governor', 'set_parameters', SetParameters,
                       parameters=[impossible])
    assert not response.results
    world.wait_for(lambda: world.said('set_parameters is dropped', '77'))
    world.round_trip('front')


def test_a_change_of_state_that_raises_is_answered(world, monkeypatch):
    """As rclpy of Humble does for a transition that is not possible now."""
    governor, _ = world.system()
    Stumbles(monkeypatch, governor, '_LifecycleNodeMixin__change_state',
             RuntimeError('no such transition'))
    response = request(world, 'governor', 'change_state', ChangeState)
    assert not response.success
    world.wait_for(lambda: world.said('change_state is dropped', 'no such transition'))
    world.round_trip('front')


@pytest.mark.parametrize('number', [0, 1, 77, 255])
def test_an_impossible_change_of_state_is_refused(world, number):
    world.system()
    change = ChangeState.Request()
    change.transition.id = number
    assert not request(world, 'executor', 'change_state', ChangeState,
                       transition=change.transition).success
    world.round_trip('front')


def test_while_ros_shuts_down_nothing_is_said(world, monkeypatch):
    governor = world.governor()
    with governor._guard('a message is dropped'):
        raise RuntimeError('heard')
    monkeypatch.setattr(type(governor.context), 'ok', lambda self: False)
    with governor._guard('a message is dropped'):
        raise RuntimeError('not heard')
    monkeypatch.undo()
    assert governor.callbacks_status().message == 'a message is dropped: RuntimeError: heard'


def test_what_is_no_error_ends_the_node_all_the_same(world):
    with pytest.raises(KeyboardInterrupt), world.governor()._guard('a message is dropped'):
        raise KeyboardInterrupt


@pytest.mark.parametrize('changes', [
    dict(width=UINT32, height=UINT32), dict(width=0), dict(height=0, step=0),
    dict(step=UINT32), dict(step=0), dict(encoding=''), dict(encoding='bgr8' * 1000),
    dict(encoding='mono16', is_bigendian=255), dict(data=array.array('B')),
    dict(encoding='bayer_rggb8', width=1, height=1, step=1, data=array.array('B', b'1')),
], ids=lambda changes: ' '.join(changes))
@pytest.mark.parametrize('composed', [False, True])
def test_hostile_images(world, changes, composed):
    governor, _ = world.system(composed=composed)
    world.round_trip('rear')
    msg = ImageMsg(height=64, width=64, encoding='bgr8', step=192)
    for name, value in dict({'data': array.array('B', bytes(64 * 192))}, **changes).items():
        setattr(msg, name, value)
    world.publisher('front').publish(msg)
    world.wait_for(lambda: world.count('governor', 'front').frames == 1)
    world.round_trip('rear')
    assert governor.callbacks_status().level == DiagnosticStatus.OK


@pytest.mark.parametrize(('sec', 'nanosec'), [
    (INT32, UINT32), (INT32, 999_999_999), (-INT32 - 1, 0), (-1, UINT32), (0, 0), (0, 1)])
@pytest.mark.parametrize('composed', [False, True])
def test_stamps_at_the_ends_of_time(world, sec, nanosec, composed):
    """Nothing is dropped for what a message cannot hold: the nearest moment is told."""
    governor, executor = world.system(composed=composed)
    msg = ImageMsg(height=64, width=64, encoding='bgr8', step=192)
    msg.data.frombytes(world.mark('front').image().tobytes())
    msg.header.stamp.sec, msg.header.stamp.nanosec = sec, nanosec
    world.publisher('front').publish(msg)
    world.check(world.wait_for(lambda: world.results['front'] and world.results['front'][0]))
    world.round_trip('rear')
    for node in (governor, executor):
        assert node.callbacks_status().level == DiagnosticStatus.OK


@pytest.mark.parametrize('data', [
    b'', b'\xff\xd8\xff\xd9', b'\xff\xd8' + b'\xff\xc0\0\0' * 8 + b'\xff\xd9',
    b'\x89PNG' + bytes(40), b'GIF89a' + b'\xff' * 20, b'P6\n-1 5\n255\n', b'BM' + bytes(60),
    b'v/1\x01' + bytes(30)], ids=lambda data: repr(data[:6]))
def test_hostile_compressed_images(world, data):
    governor, _ = world.system(cameras={'front': {'transport': 'compressed'}})
    world.send_compressed('front', data)
    world.wait_for(lambda: sum(world.dropped('governor', 'front', reason)
                               for reason in ('encoding', 'data', 'size')) == 1)
    world.round_trip('rear')
    assert governor.callbacks_status().level == DiagnosticStatus.OK


HOSTILE_CAPACITIES = [
    dict(wait_ms=math.nan), dict(wait_ms=math.inf), dict(wait_ms=-math.inf),
    dict(run_ms=[math.nan]), dict(run_ms=[0.0]), dict(measured=[True, True]),
    dict(finish_ms=math.inf), dict(cameras=['front'], in_time=[math.nan]),
    dict(model='x' * 100_000)]


def test_hostile_capacities(world):
    """Each counts as a message that is dropped, and nothing else suffers."""
    governor, _ = world.system()
    world.round_trip('front')
    publisher = world.observer.create_publisher(Capacity, 'capacity', qos('latched', 100))
    world.wait_for(publisher.get_subscription_count)
    for number, changes in enumerate(HOSTILE_CAPACITIES):
        publisher.publish(Capacity(
            process=f'forged {number}',
            instances=[InstanceCapacity(**{**dict(instance=world.instance, run_ms=[5.0]),
                                           **changes})]))
        world.wait_for(lambda number=number: governor._dropped_calls == number + 1)
        world.round_trip('front')
    world.wait_for(lambda: world.diagnosed('capacity is dropped', "process 'forged"))
    assert len([text for text in world.logs if 'capacity is dropped' in text]) == 1
    world.round_trip('rear')


def test_a_flood_of_executors(world):
    governor, executor = world.system()
    world.round_trip('front')
    publisher = world.observer.create_publisher(Capacity, 'capacity', qos('latched', 1000))
    world.wait_for(publisher.get_subscription_count)
    for number in range(300):
        for instance in (world.instance, f'foreign {number}'):
            publisher.publish(Capacity(
                process=f'forged {number}',
                instances=[InstanceCapacity(instance=instance, run_ms=[5.0])]))
        world.spinner.spin_once(timeout_sec=0.0)
    world.wait_for(lambda: world.said('two executors run'))
    outlook = governor._governor._outlook
    assert len(outlook._executors) == 1
    assert len([text for text in world.logs if 'two executors run' in text]) == 1
    # the one that is there has its instance back when the others are silent
    world.wait_for(lambda: outlook.process_of(world.instance) == executor._process)
    world.round_trip('front')


HOSTILE_CAMERAS = [
    [Camera(name='{x}', transport='raw', qos='reliable', depth=1)],
    [Camera(name='x' * 100_000, transport='raw', qos='reliable', depth=1)],
    [Camera(name='fine', topic='{x}', transport='raw', qos='reliable', depth=1)],
    [Camera(name='fine', transport='x' * 100_000, qos='reliable', depth=1)],
    [Camera(name='fine', transport='raw', qos='reliable', depth=-1)],
    [Camera(name=f'c{number}', transport='raw', qos='reliable', depth=1)
     for number in range(MOST_CAMERAS)]]


def test_hostile_cameras(world):
    _, executor = world.system()
    publisher = world.observer.create_publisher(Cameras, 'cameras', qos('latched', 100))
    for number, cameras in enumerate(HOSTILE_CAMERAS):
        publisher.publish(Cameras(front_end=f'/{number}', cameras=cameras))
        world.wait_for(lambda number=number: executor._dropped_calls == number + 1)
    world.wait_for(lambda: world.diagnosed('cameras is dropped'))
    assert list(executor.settings.cameras) == ['front', 'rear']
    assert max(len(text) for text in world.logs) < 2200
    world.round_trip('front')


def test_a_flood_of_front_ends(world):
    _, executor = world.system()
    known = executor._front_ends.front_ends
    world.wait_for(lambda: known)
    publisher = world.observer.create_publisher(Cameras, 'cameras', qos('latched', 1))
    for number in range(MOST_FRONT_ENDS + 5):
        publisher.publish(Cameras(front_end=f'/{number}'))
        world.wait_for(lambda number=number: len(known) + executor._dropped_calls
                       == 2 + number)       # with the governor
    assert len(known) == MOST_FRONT_ENDS
    world.wait_for(lambda: world.diagnosed('cameras is dropped', 'others did before'))
    world.round_trip('front')
