"""The lifecycle, again and again: nothing is lost, nothing leaks."""

import gc
import threading

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.lifecycle import TransitionCallbackReturn
from ros_world import NS_PER_S, ns_of, time_msg

pytestmark = pytest.mark.ros

SUCCESS = TransitionCallbackReturn.SUCCESS
# Long enough for a frame to come through many times over.
QUIET_S = 0.3


@pytest.mark.parametrize('composed', [False, True])
@pytest.mark.parametrize('kind', ['governor', 'executor'])
def test_deactivate_and_activate(world, kind, composed):
    nodes = dict(zip(('governor', 'executor'), world.system(composed=composed)))
    world.round_trip('front')
    for _ in range(2):
        assert nodes[kind].trigger_deactivate() == SUCCESS
        world.results['front'].clear()
        publisher = world._publishers['front/image_raw']
        publisher.publish(_image(world, 'front'))
        world.spin_for(QUIET_S)
        assert not world.results['front']
        assert nodes[kind].trigger_activate() == SUCCESS
        world.round_trip('front')
        world.round_trip('rear')


@pytest.mark.parametrize('index', [0, 1], ids=['governor', 'executor'])
def test_no_collection_walks_what_a_configured_node_has_loaded(world, index):
    node = world.system()[index]
    gc.unfreeze()
    for step in ('deactivate', 'cleanup', 'configure'):
        assert getattr(node, f'trigger_{step}')() == SUCCESS
        assert bool(gc.get_freeze_count()) == (step == 'configure')


@pytest.mark.parametrize('composed', [False, True])
def test_cleanup_and_configure_again(world, composed):
    governor, executor = world.system(composed=composed)
    names = topics(world)
    threads = ours()
    for _ in range(3):
        world.round_trip('front')
        for node in (governor, executor):
            assert node.trigger_deactivate() == SUCCESS
            assert node.trigger_cleanup() == SUCCESS
        assert not world.segments()
        assert not ours()
        world.wait_for(lambda: not any(
            world.observer.count_publishers(f'{world.namespace}/detections/{camera}')
            for camera in ('front', 'rear')), 'the topics to go')
        for node in (executor, governor):
            assert node.trigger_configure() == SUCCESS
            assert node.trigger_activate() == SUCCESS
        world.wait_for(lambda: topics(world) == names, 'the same topics again')
        assert ours() <= threads | {'s3dnn-post_0', 's3dnn-engine_0'}
    world.round_trip('rear')
    if not composed:
        assert len(world.segments()) == 1


def test_a_composed_executor_that_is_cleaned_up_does_not_stop_the_governor(world):
    _, executor = world.system(composed=True)
    world.round_trip('front')
    executor.trigger_deactivate()
    executor.trigger_cleanup()
    stamps = [world.send('front') for _ in range(3)]
    world.wait_for(lambda: world.count('governor', 'front').frames == 4)
    assert executor.autostart()
    # the governor looks for a listener when something arrives
    world.round_trip('rear')
    world.check(world.result('front', stamps[-1]))


def test_counters_begin_again_after_cleanup(world):
    governor, executor = world.system()
    world.round_trip('front')
    world.wait_for(lambda: world.count('governor', 'front').published == 1
                   and world.count('executor', 'front').published == 1)
    for node in (governor, executor):
        node.trigger_deactivate()
        node.trigger_cleanup()
    world.stats.clear()
    for node in (executor, governor):
        assert node.autostart()
    # what was sent before the cleanup may still come
    world.wait_for(lambda: len(world.stats) == 2
                   and world.count('governor', 'front').frames == 0)
    msg = world.round_trip('front')
    assert msg.sequence == 1
    world.wait_for(lambda: world.count('executor', 'front').published == 1)


def test_shutdown_from_every_state(world):
    for steps in ((), ('configure',), ('configure', 'activate')):
        governor = world.governor(start=False)
        for step in steps:
            assert getattr(governor, f'trigger_{step}')() == SUCCESS
        assert governor.trigger_shutdown() == SUCCESS
        assert not world.segments()
        world.remove(governor)


def test_destroying_an_active_node_frees_everything(world):
    governor, executor = world.system()
    world.round_trip('front')
    world.remove(governor)
    assert not world.segments()
    world.remove(executor)
    assert not ours()


def test_a_lifecycle_manager_drives_a_node_that_does_not_start_itself(world):
    """Over the services, as nav2's manager would."""
    world.executor()
    governor = world.governor(start=False, autostart=False)
    assert governor.settings.autostart is False
    change = world.observer.create_client(ChangeState, f'{world.namespace}/governor/change_state')
    state = world.observer.create_client(GetState, f'{world.namespace}/governor/get_state')

    def call(client, request):
        world.wait_for(client.service_is_ready)
        future = client.call_async(request)
        world.wait_for(future.done)
        return future.result()

    def step(transition):
        return call(change, ChangeState.Request(transition=Transition(id=transition))).success

    def now():
        return call(state, GetState.Request()).current_state.id

    assert now() == State.PRIMARY_STATE_UNCONFIGURED
    assert not world.segments()
    assert step(Transition.TRANSITION_CONFIGURE)
    assert now() == State.PRIMARY_STATE_INACTIVE
    assert len(world.segments()) == 1
    assert not world.observer.count_subscribers(f'{world.namespace}/front/image_raw')
    assert step(Transition.TRANSITION_ACTIVATE)
    assert now() == State.PRIMARY_STATE_ACTIVE
    world.round_trip('front')
    assert step(Transition.TRANSITION_DEACTIVATE)
    assert step(Transition.TRANSITION_CLEANUP)
    assert not world.segments()


def test_simulated_time(world):
    rosgraph_msgs = pytest.importorskip('rosgraph_msgs.msg', reason='rosgraph_msgs is missing')
    clock = rosgraph_msgs.Clock
    start_s = 1000
    values = world.parameters(use_sim_time=True, instances={world.instance: {
        'deadline_ms': 100.0}})
    publisher = world.observer.create_publisher(clock, '/clock', 10)
    executor = world.executor(values)
    governor = world.governor(values)

    def set_time(time_ns):
        world.wait_for(lambda: publisher.get_subscription_count() >= 2)
        publisher.publish(clock(clock=time_msg(time_ns)))
        world.wait_for(lambda: all(node.get_clock().now().nanoseconds == time_ns
                                   for node in (governor, executor)))

    set_time(start_s * NS_PER_S)
    msg = world.round_trip('front', stamp_ns=start_s * NS_PER_S)
    assert abs(msg.latency_ms) < 1e-3 and not msg.missed
    set_time((start_s + 5) * NS_PER_S)
    world.send('front', stamp_ns=(start_s + 4) * NS_PER_S)
    late = world.result('front', (start_s + 4) * NS_PER_S)
    assert late.missed and late.latency_ms == pytest.approx(1000.0, abs=1.0)
    on_time = world.round_trip('rear', stamp_ns=(start_s + 5) * NS_PER_S)
    assert not on_time.missed
    deadline_ns = on_time.deadline.sec * NS_PER_S + on_time.deadline.nanosec
    assert deadline_ns - ns_of(on_time) == pytest.approx(100_000_000, abs=1000)
    set_time((start_s + 6) * NS_PER_S)
    world.wait_for(lambda: 'governor' in world.stats
                   and world.stats['governor'].stamp.sec >= start_s + 5)


def ours():
    """Return the names of the package's threads that live."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith('s3dnn')}


def topics(world):
    return sorted(name for name, _ in world.observer.get_topic_names_and_types()
                  if name.startswith(world.namespace))


def _image(world, camera):
    from sensor_msgs.msg import Image
    from tiny import encode

    image = world.mark(camera).image()
    data, step = encode(image, 'bgr8')
    msg = Image(height=64, width=64, encoding='bgr8', step=step)
    msg.header.stamp = time_msg(world.next_stamp_ns(camera))
    msg.data.frombytes(data)
    return msg
