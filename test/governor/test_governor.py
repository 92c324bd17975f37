"""The governor: every frame accounted for, urgent frames first, broken images alone."""

import collections
import concurrent.futures
import functools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3dnn_ros.capacity import Capacity, InstanceCapacity
from s3dnn_ros.counters import Counters
from s3dnn_ros.errors import ImageError, ParameterError, RingError
from s3dnn_ros.governor.batch import Image
from s3dnn_ros.governor.cameras import addition, removal
from s3dnn_ros.governor.governor import Governor, frame_bytes, slot_size
from s3dnn_ros.governor.opening import Opening
from s3dnn_ros.governor.stamps import BEHIND_S, RESTART_S
from s3dnn_ros.images.pixels import ENCODINGS, Pixels
from s3dnn_ros.images.raw import view_raw
from s3dnn_ros.scheduling.fusion import HOPELESS_FRAMES
from s3dnn_ros.settings import CameraSettings, GovernorSettings
from s3dnn_ros.settings.parameters import read, values_of
from s3dnn_ros.transport.slots import HeapSlots, SlotSize

START_S = 1000.0
LEASE_S = 2.0
# The sequence of a batch that no front end ever reaches.
EVERYTHING = 2 ** 60
SLOTS = 2
SECOND_NS = 1_000_000_000


class FakeMemory(HeapSlots):
    """Slots whose memory can run out."""

    exhausted = False

    def acquire(self, now_s):
        if self.exhausted:
            raise RingError('shared memory is full')
        return super().acquire(now_s)


class OpenerByHand(concurrent.futures.Executor):
    """The other thread: it does nothing before it is told to."""

    def __init__(self):
        self.work = []

    def submit(self, call, images):
        self.work.append((concurrent.futures.Future(), call, images))
        return self.work[-1][0]

    def run(self):
        while self.work:
            future, call, images = self.work.pop(0)
            future.set_result(call(images))


class Bench:
    """A governor with a clock to turn, cameras to trigger and an executor that may answer."""

    def __init__(self, settings, spec, times_s=None, slots=SLOTS, **specs):
        self.now_s = START_S
        self.settings = settings
        self.counters = Counters()
        specs = {name: specs.get(name, spec) for name in settings.instances}
        self.pools = {name: FakeMemory(slots, SlotSize(8, frame_bytes(spec)))
                      for name, spec in specs.items()}
        self.opener = OpenerByHand()
        self.rung = 0
        self.governor = Governor(settings, specs, self.pools, self.counters, times_s,
                                 opening=Opening(self.opener, self._ring))
        self.times_s = times_s or {}
        self.drops_late = False
        self.told = {}      # beside what `tell` is given
        self.batches = []

    def _ring(self):
        self.rung += 1

    def image(self, camera='front', *, stamp_s=None, error=None, value=0, view=None, slow=False):
        """Offer an image of one grey value, taken now unless told otherwise."""
        def open_pixels():
            if error is not None:
                raise error
            if view is not None:
                return view_raw(*view)
            return Pixels(np.full((6, 8, 3), value, np.uint8), ENCODINGS['bgr8'])

        stamp_ns = round((self.now_s if stamp_s is None else stamp_s) * SECOND_NS)
        self.governor.offer(
            Image(camera, f'{camera}_optical', stamp_ns, self.now_s, open_pixels, slow),
            self.now_s)

    def tell(self, **changes):
        """Have an executor tell that it has everything, and can take more at once."""
        instances = []
        for name in self.pools:
            run_s = tuple(map(self.times_s[name], range(1, 9))) if name in self.times_s else ()
            values = {'run_s': run_s, 'measured': (True,) * len(run_s), 'taken': {0: EVERYTHING}}
            instances.append(InstanceCapacity(name, **{**values, **self.told, **changes}))
        self.governor.tell(Capacity('executor', False, self.drops_late, tuple(instances)),
                           self.now_s)

    def poll(self, listening=True):
        polled = []
        while True:
            self.tell()
            batches = self.governor.poll(self.now_s, lambda instance: listening)
            for batch in batches:
                self.governor.sent(batch, self.now_s)
            if not batches:
                self.batches += polled
                return [[frame.camera for frame in batch.frames] for batch in polled]
            polled += batches

    def step(self, seconds=0.1):
        self.now_s += seconds

    def change(self, changes):
        """Change settings by flat name."""
        self.settings = read(GovernorSettings, {**values_of(self.settings), **changes})
        self.governor.configure(self.settings)

    def release_all(self):
        for batch in self.batches:
            self.pools[batch.instance].release(batch.slot)

    def drain(self):
        """Bring out everything that is still inside."""
        for pool in self.pools.values():
            pool.exhausted = False
        for _ in range(10):
            self.release_all()
            self.poll()
            self.opener.run()
            self.step(10.0)

    def count(self, camera='front', instance='net'):
        return next(count for count in self.counters.snapshot()
                    if (count.camera, count.instance) == (camera, instance))

    def dropped(self, camera='front', instance='net'):
        return dict(self.count(camera, instance).dropped)


@pytest.fixture(scope='session')
def bench(governor_settings, make_spec):
    """Return a builder of benches from flat settings."""
    def build(cameras=('front',), instances=('net',), specs=None, times_s=None, slots=SLOTS,
              **values):
        return Bench(governor_settings(cameras, instances, **values), make_spec(), times_s,
                     slots, **(specs or {}))
    return build


def pixels_of(batch):
    return batch.slot.pixels[:int(np.prod(batch.shape))].reshape(batch.shape)


# one frame

def test_a_frame_becomes_a_batch_with_its_pixels_and_description(bench):
    governor = bench()
    governor.image(value=70)
    governor.poll()
    (batch,) = governor.batches
    (frame,) = batch.frames
    assert batch.shape == (1, 4, 4, 3)
    assert (pixels_of(batch) == 70).all()
    assert (batch.instance, batch.model) == ('net', 'tiny')
    assert (frame.camera, frame.frame_id) == ('front', 'front_optical')
    assert (frame.width, frame.height) == (8, 6)
    assert frame.stamp_ns == round(START_S * SECOND_NS)
    assert frame.received_s == START_S
    assert frame.transform.to_source([[4, 4, 4, 4]], 8, 6)[0].tolist() == [8, 6, 8, 6]


def test_batches_and_frames_are_numbered(bench):
    governor = bench()
    for _ in range(3):
        governor.image()
        governor.poll()
        governor.release_all()
        governor.step()
    assert [batch.sequence for batch in governor.batches] == [1, 2, 3]
    assert [batch.frames[0].sequence for batch in governor.batches] == [1, 2, 3]


def test_a_dropped_frame_leaves_a_gap_in_the_numbers(bench):
    governor = bench()
    governor.governor.refuse('front', ImageError('encoding', 'unknown'))
    governor.image()
    governor.poll()
    assert governor.batches[0].frames[0].sequence == 2


@pytest.mark.parametrize('deadline_ms, expected_s', [(40.0, 0.040), (0.0, 0.250)])
def test_the_deadline_is_the_instances_or_else_the_models(
        bench, make_spec, deadline_ms, expected_s):
    governor = bench(specs={'net': make_spec(deadline_ms=250.0)},
                     instances__net__deadline_ms=deadline_ms)
    governor.image(stamp_s=START_S - 0.010)
    governor.poll()
    assert governor.batches[0].frames[0].deadline_s == pytest.approx(START_S - 0.010 + expected_s)


@given(deadline_ms=st.integers(1, 100), alone_ms=st.integers(1, 100), allowed=st.booleans(),
       own=st.booleans())
def test_a_deadline_shorter_than_the_network_alone_is_refused_unless_it_is_allowed(
        bench, make_spec, deadline_ms, alone_ms, allowed, own):
    values = {} if own else {'instances__net__deadline_ms': float(deadline_ms)}
    options = dict(values, instances__net__allow_infeasible=allowed,
                   specs={'net': make_spec(deadline_ms=deadline_ms if own else 1000.0)},
                   times_s={'net': lambda size: size * alone_ms / 1e3})
    if deadline_ms >= alone_ms:
        assert bench(**options).governor.notes == []
        return
    numbers = f'a deadline of {deadline_ms} ms is shorter than the {alone_ms} ms'
    if allowed:
        (note,) = bench(**options).governor.notes
        assert "'net'" in note and numbers in note
        return
    with pytest.raises(ParameterError) as caught:
        bench(**options)
    for part in (f"'instances.net.deadline_ms' is {0.0 if own else float(deadline_ms)}", numbers,
                 'tiny', 'instances.net.allow_infeasible: true'):
        assert part in str(caught.value)


def test_a_change_to_a_deadline_that_cannot_be_met_is_refused_as_a_whole(
        bench, governor_settings):
    governor = bench(times_s={'net': lambda size: 0.020}, instances__net__deadline_ms=100.0)
    with pytest.raises(ParameterError, match='10 ms is shorter than the 20 ms'):
        governor.governor.configure(governor_settings(
            instances__net__deadline_ms=10.0, cameras__front__max_rate_hz=0.1))
    for _ in range(2):      # neither the deadline nor the rate has changed
        governor.image(stamp_s=governor.now_s)
        governor.poll()
        governor.release_all()
        governor.step(0.5)
    assert [batch.frames[0].deadline_s for batch in governor.batches] == pytest.approx(
        [START_S + 0.1, START_S + 0.6])


def test_a_frame_sent_after_its_deadline_is_missed(bench):
    governor = bench(instances__net__deadline_ms=50.0)
    for age_s in (0.04, 0.06):
        governor.image(stamp_s=governor.now_s - age_s)
        governor.poll()
        governor.release_all()
        governor.step()
    assert (governor.count().published, governor.count().missed) == (2, 1)
    assert governor.count().latency_ms.p50 == pytest.approx(50.0, abs=0.01)


# clocks

OFFSETS_S = (37.0, -BEHIND_S - 1.0, -10800.0)


@pytest.mark.parametrize('offset_s', OFFSETS_S)
def test_a_frame_of_another_clock_has_its_deadline_from_arrival(bench, offset_s):
    governor = bench(instances__net__deadline_ms=50.0)
    for wait_s in (0.04, 0.06):
        governor.image(stamp_s=governor.now_s + offset_s)
        received_s = governor.now_s
        governor.step(wait_s)
        governor.poll()
        governor.release_all()
        frame = governor.batches[-1].frames[0]
        assert (frame.taken_s, frame.deadline_s) == (received_s, received_s + 0.05)
        assert frame.stamp_ns == round((received_s + offset_s) * SECOND_NS)
    assert (governor.count().published, governor.count().missed) == (2, 1)
    assert governor.count().latency_ms.p50 == pytest.approx(50.0, abs=0.01)


def overload(bench, offset_s, profile):
    """Play two cameras of 30 fps to a network that takes 25 ms: 40 of their 60 frames fit."""
    governor = bench(('good', 'other'), times_s=profile, slots=1,
                     instances__net__deadline_ms=200.0)
    offsets_s, free_s = {'good': 0.0, 'other': offset_s}, START_S
    shots = sorted((START_S + index / 30 + phase_s, camera) for index in range(300)
                   for camera, phase_s in (('good', 0.0), ('other', 0.011)))
    for at_s, camera in shots:
        while free_s <= at_s:
            governor.now_s = max(governor.now_s, free_s)
            governor.release_all()
            if not governor.poll():
                break
            free_s = governor.now_s + 0.025
        governor.now_s = at_s
        governor.image(camera, stamp_s=at_s + offsets_s[camera])
    return governor


@pytest.mark.parametrize('profile', [None, {'net': lambda size: 0.025 * size}],
                         ids=['no profile', 'profile'])
@pytest.mark.parametrize('offset_s', OFFSETS_S)
def test_a_clock_of_its_own_neither_takes_nor_loses_the_device(bench, offset_s, profile):
    right, other = (overload(bench, offset, profile) for offset in (0.0, offset_s))
    for camera in ('good', 'other'):
        assert other.count(camera).published == pytest.approx(
            right.count(camera).published, rel=0.1)
    assert right.count('good').published + right.count('other').published < 450
    (sentence,) = other.governor.news()
    assert "camera 'other'" in sentence and f'{abs(offset_s):.1f} s' in sentence
    assert other.governor.clock_remark('other') and not other.governor.clock_remark('good')
    assert right.governor.news() == [] and not right.governor.clock_remark('other')


def test_a_group_that_is_never_complete_is_told_once(bench):
    governor = bench(('a', 'b'), group_names=['pair'], groups__pair__cameras=['a', 'b'])
    told = []
    for _ in range(100):
        governor.image('a')
        governor.image('b', stamp_s=governor.now_s + 0.2)
        governor.poll()
        governor.release_all()
        told += governor.governor.news()
        governor.step()
    (sentence,) = [text for text in told if 'group' in text]
    assert sentence.startswith("group 'pair': no moment was complete in the last 2 s")
    assert governor.governor.group_remarks(governor.now_s)['pair'].startswith("group 'pair'")
    governor.step(60.0)
    assert governor.governor.group_remarks(governor.now_s) == {'pair': ''}


# what is dropped

@pytest.mark.parametrize('back_s', [0.0, 0.001, RESTART_S])
def test_a_stamp_that_does_not_advance_is_dropped_with_a_reason(bench, back_s):
    governor = bench()
    governor.image(stamp_s=500.0)
    governor.image(stamp_s=500.0 - back_s)
    assert governor.dropped() == {'stamp': 1}
    assert "camera 'front'" in governor.count().last_error


def test_a_stamp_far_back_is_a_restart(bench):
    governor = bench()
    for stamp_s in (500.0, 100.0, 100.1):
        governor.image(stamp_s=stamp_s)
        governor.poll()
        governor.release_all()
    assert governor.count().published == 3


def test_frames_beyond_the_rate_are_dropped(bench):
    governor = bench(cameras__front__max_rate_hz=10.0)
    for _ in range(30):
        governor.image()
        governor.poll()
        governor.release_all()
        governor.step(0.0334)
    assert governor.count().published == 10
    assert governor.dropped() == {'rate': 20}


def test_a_camera_at_its_limit_loses_nothing_to_jitter(bench):
    governor = bench(cameras__front__max_rate_hz=10.0)
    for jitter_s in (0.005, -0.005) * 5:
        governor.image()
        governor.poll()
        governor.release_all()
        governor.step(0.1 + jitter_s)
    assert governor.count().published == 10


def test_a_rate_limit_survives_a_clock_that_is_set_back(bench):
    governor = bench(cameras__front__max_rate_hz=10.0)
    governor.image()
    governor.poll()
    governor.release_all()
    governor.now_s -= 500.0       # a bag that starts again, with use_sim_time
    governor.image()
    governor.poll()
    assert governor.count().published == 2


def test_an_image_that_cannot_be_opened_is_counted_with_its_reason(bench):
    governor = bench()
    governor.image(error=ImageError('data', 'cut short'))
    assert governor.poll() == []
    assert governor.dropped() == {'data': 1}
    assert governor.count().last_error == "camera 'front': cut short"


def test_broken_images_do_not_use_up_slots(bench):
    governor = bench()
    for _ in range(3 * SLOTS):
        governor.image(error=ImageError('data', 'cut short'))
        governor.poll()
        governor.step()
    governor.image()
    assert governor.poll() == [['front']]


@pytest.mark.parametrize('broken', [0, 1, 2])
def test_a_broken_image_does_not_hurt_the_others_in_its_batch(bench, broken):
    cameras = ('a', 'b', 'c')
    governor = bench(cameras, instances__net__max_batch=3)
    for index, camera in enumerate(cameras):
        error = ImageError('data', 'cut short') if index == broken else None
        governor.image(camera, value=10 + index, error=error)
    governor.poll()
    (batch,) = governor.batches
    good = [index for index in range(3) if index != broken]
    assert [frame.camera for frame in batch.frames] == [cameras[index] for index in good]
    assert batch.shape[0] == 2
    assert pixels_of(batch)[:, 0, 0, 0].tolist() == [10 + index for index in good]
    assert governor.dropped(cameras[broken]) == {'data': 1}


@pytest.mark.parametrize('view', [
    ('yuv422', 3, 2, 6, bytes(12)), ('mono16', 3, 2, 7, bytes(14))],
    ids=['yuv422 of odd width', 'mono16 of odd step'])
def test_an_odd_image_does_not_stop_the_governor(bench, view):
    governor = bench()
    governor.image(view=view)
    governor.poll()
    assert governor.count().published + governor.count().dropped_total == 1


def test_without_memory_the_waiting_frames_are_dropped_and_the_reason_told(bench):
    governor = bench()
    governor.pools['net'].exhausted = True
    governor.image()
    assert governor.poll() == []
    assert governor.dropped() == {'memory': 1}
    assert governor.count().last_error == 'shared memory is full'
    governor.pools['net'].exhausted = False
    governor.step()
    governor.image()
    assert governor.poll() == [['front']]


# fusion and back pressure

def test_frames_are_fused_up_to_the_smaller_of_setting_and_model(bench, make_spec):
    cameras = ('a', 'b', 'c', 'd')
    governor = bench(cameras, specs={'net': make_spec(max_batch=2)},
                     instances__net__max_batch=4)
    for camera in cameras:
        governor.image(camera)
    assert governor.poll() == [['a', 'b'], ['c', 'd']]


@pytest.mark.parametrize('largest, batches', [
    (2, [['a', 'b'], ['c', 'd']]), (3, [['a', 'b', 'c'], ['d']]), (9, [['a', 'b', 'c', 'd']])])
def test_no_more_frames_are_fused_than_the_executor_says_its_network_takes(
        bench, largest, batches):
    governor = bench(('a', 'b', 'c', 'd'), instances__net__max_batch=4)
    for camera in 'abcd':
        governor.image(camera)
    governor.told['largest'] = largest
    assert governor.poll() == batches
    # and as many as before, once another one has taken over
    governor.release_all()
    governor.step()
    for camera in 'abcd':
        governor.image(camera)
    governor.told.clear()
    assert governor.poll() == [['a', 'b', 'c', 'd']]


def test_frames_leave_in_the_order_of_their_deadlines(bench):
    governor = bench(('a', 'b', 'c'), instances__net__max_batch=2)
    for camera, age_s in (('a', 0.01), ('b', 0.03), ('c', 0.02)):
        governor.image(camera, stamp_s=START_S - age_s)
    assert governor.poll() == [['b', 'c'], ['a']]


def test_a_frame_waits_for_others_to_fuse_with_as_long_as_allowed(bench):
    governor = bench(('a', 'b'), instances__net__max_batch=2,
                     instances__net__max_fusion_delay_ms=30.0)
    governor.image('a')
    assert governor.poll() == []
    assert governor.governor.next_wake_s(governor.now_s) == pytest.approx(START_S + 0.030)
    governor.step(0.031)
    assert governor.poll() == [['a']]
    governor.image('a')
    governor.image('b')
    assert governor.poll() == [['b', 'a']]      # a has had a run already


def test_with_a_profile_frames_are_fused_only_while_the_earliest_deadline_holds(bench):
    cameras = ('a', 'b', 'c')
    governor = bench(cameras, times_s={'net': lambda size: 0.020 + 0.010 * size},
                     instances__net__max_batch=3, instances__net__deadline_ms=100.0)
    for age_s, batches in ((0.04, [['a', 'b', 'c']]), (0.055, [['a', 'b'], ['c']]),
                           (0.065, [['a'], ['b', 'c']]), (0.075, [['b', 'c', 'a']])):
        for camera in cameras:
            governor.image(camera, stamp_s=governor.now_s - (age_s if camera == 'a' else 0.0))
        assert governor.poll() == batches
        governor.release_all()
        governor.step(1.0)


def test_with_a_profile_no_frame_waits_for_a_camera_that_is_silent(bench):
    governor = bench(('a', 'b'), times_s={'net': lambda size: 0.020 + 0.010 * size},
                     instances__net__max_batch=2, instances__net__deadline_ms=500.0,
                     instances__net__max_fusion_delay_ms=50.0)
    for _ in range(3):
        governor.image('a')
        governor.step(0.020)
        governor.image('b')
        governor.poll()
        governor.release_all()
        governor.step(0.080)
    governor.image('a')
    assert governor.poll() == []
    # b is due 20 ms from now, and a tenth of its period may be jitter
    assert governor.governor.next_wake_s(governor.now_s) == pytest.approx(
        governor.now_s + 0.030, abs=1e-6)
    governor.step(0.031)
    assert governor.poll() == [['a']]
    governor.step(0.069)
    governor.image('a')
    assert governor.poll() == [['a']]


def test_while_all_slots_are_out_only_the_newest_frame_waits(bench):
    governor = bench()
    for value in range(SLOTS + 3):
        governor.image(value=value)
        governor.poll()
        governor.step(0.01)
    assert len(governor.batches) == SLOTS
    assert governor.dropped() == {'replaced': 2}
    assert governor.governor.next_wake_s(governor.now_s) > governor.now_s
    governor.release_all()
    governor.poll()
    assert (pixels_of(governor.batches[-1]) == SLOTS + 2).all()


def test_while_nobody_listens_the_newest_frame_waits(bench):
    governor = bench()
    for value in range(3):
        governor.image(value=value)
        assert governor.poll(listening=False) == []
        governor.step(0.01)
    assert governor.poll() == [['front']]
    assert (pixels_of(governor.batches[0]) == 2).all()
    assert governor.dropped() == {'replaced': 2}


def test_a_batch_that_nobody_finished_is_withdrawn_and_its_slot_used_again(bench):
    governor = bench(slot_lease_ms=1000 * LEASE_S)
    for _ in range(SLOTS):
        governor.image()
        governor.poll()
        governor.step()
    governor.step(2 * LEASE_S)
    governor.image()
    assert governor.poll() == [['front']]
    assert governor.dropped() == {'lease': SLOTS}
    assert governor.count().published == 1
    assert 'within 2000 ms (slot_lease_ms' in governor.count().last_error


def test_with_nothing_inside_there_is_no_need_to_wake(bench):
    governor = bench()
    assert governor.governor.next_wake_s(START_S) is None
    governor.image()
    governor.poll()
    assert governor.governor.next_wake_s(START_S) is None


# groups and several instances

def pair(bench, **values):
    return bench(('a', 'b'), group_names=['pair'], groups__pair__cameras=['a', 'b'],
                 groups__pair__max_wait_ms=40.0, instances__net__max_batch=2, **values)


def test_frames_of_a_group_travel_together(bench):
    governor = pair(bench)
    governor.image('a', stamp_s=START_S)
    assert governor.poll() == []
    assert governor.governor.next_wake_s(START_S) == pytest.approx(START_S + 0.040)
    governor.image('b', stamp_s=START_S + 0.005)
    assert governor.poll() == [['a', 'b']]


def test_a_frame_without_its_companion_goes_on_after_the_wait(bench):
    governor = pair(bench)
    governor.image('a')
    governor.step(0.041)
    assert governor.poll() == [['a']]


def test_closing_accounts_for_what_is_inside(bench):
    governor = pair(bench)
    governor.image('a')               # waits in its group
    governor.poll()
    other = bench()
    other.image()                     # waits for an executor
    other.poll(listening=False)
    governor.governor.close()
    other.governor.close()
    assert other.dropped() == {'shutdown': 1}
    assert governor.dropped('a') == {'shutdown': 1}


def test_every_instance_gets_the_frames_of_its_cameras(bench, make_spec):
    governor = bench(('a', 'b'), ('all', 'some'), instances__some__cameras=['b'],
                     instances__all__max_batch=2,
                     specs={'some': make_spec(name='large', width=6, height=2)})
    governor.image('a', value=1)
    governor.image('b', value=2)
    assert governor.poll() == [['a', 'b'], ['b']]
    everything, some = governor.batches
    assert (everything.model, some.model) == ('tiny', 'large')
    assert some.shape == (1, 2, 6, 3)
    assert (pixels_of(some) == 2).all()
    assert {(count.camera, count.instance): count.published
            for count in governor.counters.snapshot()} == {
        ('a', 'all'): 1, ('b', 'all'): 1, ('b', 'some'): 1}


def test_an_instance_without_slots_does_not_hold_up_the_others(bench):
    governor = bench(instances=('dead', 'live'))
    for _ in range(3 * SLOTS):
        governor.image()
        governor.poll()
        for batch in governor.batches:
            if batch.instance == 'live':
                governor.pools['live'].release(batch.slot)
        governor.step(0.01)
    assert governor.count(instance='live').published == 3 * SLOTS
    assert governor.count(instance='dead').published == SLOTS


def test_live_settings_take_effect_with_the_next_frame(bench, governor_settings):
    governor = bench(('a', 'b'))
    governor.governor.configure(governor_settings(
        ('a', 'b'), instances__net__deadline_ms=7.0, instances__net__max_batch=2))
    governor.image('a')
    governor.image('b')
    assert governor.poll() == [['a', 'b']]
    deadlines = [frame.deadline_s for frame in governor.batches[0].frames]
    assert deadlines == pytest.approx([START_S + 0.007] * 2)


# conservation

CAMERAS = ('a', 'b', 'c')
EVENTS = st.lists(st.one_of(
    st.tuples(st.just('image'), st.sampled_from(CAMERAS),
              st.sampled_from([0.0, 0.0, 0.0, -0.01, -0.5, -60.0])),
    st.tuples(st.just('slow'), st.sampled_from(CAMERAS), st.just(0.0)),
    st.tuples(st.just('broken'), st.sampled_from(CAMERAS), st.booleans()),
    st.tuples(st.just('refuse'), st.sampled_from(CAMERAS)),
    st.tuples(st.just('step'), st.sampled_from([0.001, 0.02, 0.06, 3.0])),
    st.tuples(st.just('poll'), st.booleans()),
    st.tuples(st.just('memory'), st.booleans()),
    st.just(('open',)),
    st.just(('release',)),
), max_size=50)


def play(governor, events):
    """Play events on a bench; return how many images each camera has sent."""
    sent, value = collections.Counter(), 0
    for kind, *arguments in events:
        if kind in ('image', 'slow'):
            camera, shift_s = arguments
            value += 1
            governor.image(camera, stamp_s=governor.now_s + shift_s, value=value % 256,
                           slow=kind == 'slow')
            sent[camera] += 1
        elif kind == 'broken':
            governor.image(arguments[0], error=ImageError('data', 'cut short'),
                           slow=arguments[1])
            sent[arguments[0]] += 1
        elif kind == 'refuse':
            governor.governor.refuse(arguments[0], ImageError('size', 'too large'))
            sent[arguments[0]] += 1
        elif kind == 'step':
            governor.step(*arguments)
        elif kind == 'poll':
            governor.poll(*arguments)
        elif kind == 'memory':
            for pool in governor.pools.values():
                pool.exhausted = arguments[0]
        elif kind == 'open':
            governor.opener.run()
        else:
            governor.release_all()
    return sent


def crowd(bench):
    return bench(
        CAMERAS, ('fused', 'single'), group_names=['pair'],
        groups__pair__cameras=['a', 'b'], instances__fused__max_batch=3,
        instances__fused__max_fusion_delay_ms=30.0, instances__single__cameras=['b', 'c'],
        cameras__c__max_rate_hz=20.0, slot_lease_ms=1000 * LEASE_S)


@given(EVENTS)
@example([('image', 'a', 0.0), ('image', 'a', -60.0)])
def test_every_frame_is_published_or_dropped_in_the_end(bench, events):
    governor = crowd(bench)
    sent = play(governor, events)
    for count in governor.counters.snapshot():
        assert count.frames - count.published - count.dropped_total >= 0
    governor.drain()
    for count in governor.counters.snapshot():
        assert count.frames == sent[count.camera]
        assert count.frames == count.published + count.dropped_total, count
    assert governor.governor.next_wake_s(governor.now_s) is None


@given(EVENTS)
def test_batches_are_never_too_large_and_never_hold_a_camera_twice(bench, events):
    governor = crowd(bench)
    play(governor, events)
    for batch in governor.batches:
        cameras = [frame.camera for frame in batch.frames]
        assert len(set(cameras)) == len(cameras) == batch.shape[0]
        assert len(cameras) <= (3 if batch.instance == 'fused' else 1)
        assert set(cameras) <= set(governor.settings.cameras_of(batch.instance))
        deadlines = [frame.deadline_s for frame in batch.frames]
        assert deadlines == sorted(deadlines)


@given(EVENTS)
def test_frames_of_a_camera_stay_in_order_and_few_images_wait_to_be_opened(bench, events):
    governor = crowd(bench)
    for event in events:
        play(governor, [event])
        assert len(governor.opener.work) <= len(governor.pools)
    governor.drain()
    sequences = collections.defaultdict(list)
    for batch in governor.batches:
        for frame in batch.frames:
            sequences[batch.instance, frame.camera].append(frame.sequence)
    for numbers in sequences.values():
        assert numbers == sorted(set(numbers))


# images that another thread opens

def test_while_images_are_opened_others_go_on_and_the_newest_waits(bench):
    governor = bench(('front', 'rear'), ('net', 'other'), instances__net__cameras=['front'],
                     instances__other__cameras=['rear'])
    governor.image('front', value=1, slow=True)
    for value in (2, 3, 4):
        assert governor.poll() == ([] if value == 2 else [['rear']])
        governor.step()
        governor.image('front', value=value, slow=True)
        governor.image('rear')
        governor.release_all()
    assert governor.dropped() == {'replaced': 2} and governor.rung == 0
    governor.opener.run()
    assert governor.rung == 1
    assert governor.governor.next_wake_s(governor.now_s) is not None
    assert governor.poll() == [['front'], ['rear']]
    governor.opener.run()
    assert governor.poll() == [['front']]
    fronts = [batch for batch in governor.batches if batch.instance == 'net']
    assert [pixels_of(batch)[0, 0, 0, 0] for batch in fronts] == [1, 4]


def test_the_time_to_open_images_is_part_of_the_preparation(bench):
    governor = bench()
    governor.image(slow=True)
    governor.poll()
    governor.step(0.03)
    governor.opener.run()
    governor.poll()
    assert governor.batches[0].chosen_s == START_S


def test_an_image_that_cannot_be_opened_by_the_other_thread_is_counted(bench):
    governor = bench(('front', 'rear'), instances__net__max_batch=2)
    governor.image('front', error=ImageError('data', 'cut short'), slow=True)
    governor.image('rear', slow=True)
    governor.poll()
    governor.opener.run()
    assert governor.poll() == [['rear']]
    assert governor.dropped() == {'data': 1}
    assert 'cut short' in governor.count().last_error


@pytest.mark.parametrize(('happens', 'reason'), [
    ('nothing', ''), ('removal', ''), ('no memory', 'memory'), ('nobody listens', 'executor'),
    ('an end', 'shutdown')])
def test_what_happens_while_images_are_opened_is_accounted_for(bench, happens, reason):
    governor = bench(('front', 'rear'))
    governor.image('front', slow=True)
    governor.poll()
    governor.opener.run()
    if happens == 'removal':
        governor.change(removal(governor.settings, 'front'))
    governor.pools['net'].exhausted = happens == 'no memory'
    if happens == 'an end':
        governor.governor.close()
    else:
        governor.poll(listening=happens != 'nobody listens')
    count = governor.count()
    assert dict(count.dropped) == ({reason: 1} if reason else {})
    assert count.published == (0 if reason else 1)


# what executors can take

RUN_S = 0.04


def told(governor, *names, process='executor', wait_s=0.0, taken=EVERYTHING, serial=True,
         drops_late=True, priority=0, run_s=RUN_S):
    """Have an executor tell what it can take."""
    governor.governor.tell(Capacity(process, serial, drops_late, tuple(
        InstanceCapacity(name, priority=priority if name == 'urgent' else 0, wait_s=wait_s,
                         run_s=(run_s, 2 * run_s), measured=(True, True), taken={0: taken})
        for name in names or governor.pools)), governor.now_s)


def polled(governor):
    """Return the cameras of the batches that go now, without another word of an executor."""
    batches = governor.governor.poll(governor.now_s)
    for batch in batches:
        governor.governor.sent(batch, governor.now_s)
    governor.batches += batches
    return [(batch.instance, *(frame.camera for frame in batch.frames)) for batch in batches]


def test_without_a_word_of_an_executor_nothing_is_sent(bench):
    governor = bench()
    governor.image()
    assert polled(governor) == []
    assert governor.governor.next_wake_s(governor.now_s) is None


def test_a_frame_is_chosen_when_the_device_is_about_to_be_free(bench):
    governor = bench()
    told(governor, wait_s=0.03)
    governor.image(value=1)
    assert polled(governor) == []
    assert governor.governor.next_wake_s(governor.now_s) == pytest.approx(START_S + 0.03)
    governor.step(0.02)
    governor.image(value=2)
    governor.step(0.01)
    assert polled(governor) == [('net', 'front')]
    assert (pixels_of(governor.batches[0]) == 2).all()
    assert governor.dropped() == {'replaced': 1}


def test_when_time_goes_back_a_free_device_is_still_free(bench):
    """In simulated time, as a bag begins again; its executor tells nothing new by itself."""
    governor = bench()
    governor.tell()
    governor.step(-100.0)
    governor.image()
    assert len(governor.governor.poll(governor.now_s)) == 1


def test_the_next_frame_waits_for_word_of_the_last(bench):
    governor = bench(('a', 'b'))
    told(governor)
    for camera in ('a', 'b'):
        governor.image(camera)
    assert polled(governor) == [('net', 'a')]
    governor.step(0.2)
    assert polled(governor) == []
    told(governor)
    assert polled(governor) == []           # it has become late meanwhile
    assert governor.dropped('b') == {'late': 1}
    governor.image('b')
    assert polled(governor) == [('net', 'b')]


def test_what_cannot_be_in_time_any_more_is_dropped_before_it_is_opened(bench):
    governor = bench(instances__net__deadline_ms=100.0)
    told(governor, wait_s=0.07)
    governor.image(error=AssertionError('it was opened'))
    governor.step(0.07)
    assert polled(governor) == []
    assert governor.dropped() == {'late': 1}
    assert 'deadline could not be met' in governor.count().last_error


@pytest.mark.parametrize('drops_late', [True, False])
def test_what_was_too_late_when_it_came_runs_and_so_does_everything_by_policy(bench, drops_late):
    governor = bench(('a', 'b'), instances__net__deadline_ms=100.0)
    told(governor, drops_late=drops_late)
    for _ in range(HOPELESS_FRAMES):
        governor.step(0.1)
        governor.image('a', stamp_s=governor.now_s - 1.0)
    governor.image('b')
    for _ in range(2):
        polled(governor)
        told(governor, drops_late=drops_late)
    late = {batch.frames[0].camera: batch.run_late for batch in governor.batches}
    assert late == {'a': True, 'b': not drops_late}


def test_batches_tell_how_many_frames_may_share_their_run(bench):
    governor = bench(instances__net__max_batch=3)
    told(governor)
    governor.image()
    polled(governor)
    assert governor.batches[0].max_batch == 3


def test_instances_on_one_device_take_turns(bench):
    governor = bench(('a', 'b'), ('net', 'other'), instances__net__deadline_ms=500.0,
                     instances__other__deadline_ms=500.0)
    ran = collections.Counter()
    for _ in range(80):
        # every camera sends anew before its turn comes
        for camera in ('a', 'b'):
            governor.image(camera)
        told(governor)
        batches = polled(governor)
        assert len(batches) == 1
        ran.update(batches)
        governor.step(RUN_S)
        governor.release_all()
    assert set(ran.values()) == {20}


def test_the_instance_with_the_higher_priority_goes_first(bench):
    governor = bench(('a',), ('net', 'urgent'), instances__net__deadline_ms=100.0,
                     instances__urgent__deadline_ms=500.0)
    for _ in range(3):
        governor.image('a')
        told(governor, priority=1)
        assert polled(governor) == [('urgent', 'a')]
        governor.step()
        governor.release_all()


def test_what_an_executor_had_that_is_gone_is_counted_and_its_slots_are_free_at_once(bench):
    governor = bench()
    for _ in range(SLOTS):
        told(governor)
        governor.image()
        polled(governor)
        governor.step(0.01)
    told(governor, process='another')
    assert governor.dropped() == {'executor': SLOTS}
    assert 'another one runs' in governor.count().last_error
    governor.image()
    assert polled(governor) == [('net', 'front')]


def test_a_second_executor_of_one_instance_is_told_once(bench):
    governor = bench()
    for process in ('one', 'two', 'one', 'two', 'one'):
        told(governor, process=process)
        governor.image()
        polled(governor)
        governor.step(0.01)
    assert {batch.executor for batch in governor.batches[1:]} == {'two'}
    sentence, = governor.governor.news()
    assert "two executors run instance 'net': two" in sentence and 'stop one of them' in sentence
    assert governor.governor.instance_remarks(governor.now_s) == {'net': sentence}
    governor.step(10.0)
    assert 'two executors' not in governor.governor.instance_remarks(governor.now_s)['net']


def test_an_executor_that_says_it_has_more_free_than_it_has_fills_its_slots_at_most(bench):
    governor = bench(('a',), ('net', 'other'))
    for _ in range(5 * SLOTS):
        governor.image('a')
        told(governor, 'net', process='liar')
        told(governor, 'other', process='honest')
        polled(governor)
        for batch in governor.batches:
            if batch.instance == 'other':
                governor.pools['other'].release(batch.slot)
        governor.step(0.1)
    ran = collections.Counter(batch.instance for batch in governor.batches)
    assert ran == {'net': SLOTS, 'other': 5 * SLOTS}


def test_word_of_an_instance_that_is_gone_changes_nothing(bench):
    governor = bench()
    told(governor, 'net', 'ghost')
    told(governor, 'ghost', process='another')
    governor.image()
    assert polled(governor) == [('net', 'front')]


def test_an_executor_that_stopped_gets_nothing_until_it_speaks_again(bench):
    governor = bench()
    told(governor)
    governor.image()
    assert polled(governor) == [('net', 'front')]
    for _ in range(40):
        governor.step(0.1)
        governor.image()
        assert polled(governor) == []
    told(governor)
    assert polled(governor) == [('net', 'front')]
    assert governor.dropped()['replaced'] >= 38


def test_a_camera_that_stops_for_a_minute_costs_the_others_nothing(bench):
    governor = bench(('a', 'b'), instances__net__deadline_ms=500.0)

    def shares(cameras, seconds):
        before = len(governor.batches)
        for _ in range(round(seconds / RUN_S)):
            for camera in cameras:
                governor.image(camera)
            told(governor)
            polled(governor)
            governor.release_all()
            governor.step(RUN_S)
        return collections.Counter(batch.frames[0].camera for batch in governor.batches[before:])

    assert shares('ab', 4.0) == {'a': 50, 'b': 50}
    assert shares('a', 60.0) == {'a': 1500}
    assert abs(shares('ab', 4.0)['a'] - 50) <= 2


def test_slots_are_as_large_as_the_batch_and_grow_with_it(governor_settings, make_spec):
    def settings(max_batch):
        return governor_settings(cameras, instances__net__max_batch=max_batch)

    cameras, spec = ('a', 'b', 'c'), make_spec()
    pool = HeapSlots(SLOTS, SlotSize(1, frame_bytes(spec)))
    governor = Governor(settings(1), {'net': spec}, {'net': pool}, Counters())
    for now_s, max_batch in enumerate((1, 2, 1, 3)):
        governor.configure(settings(max_batch))
        governor.tell(Capacity('executor', True, False, (
            InstanceCapacity('net', run_s=(0.04, 0.05, 0.06), measured=(True,) * 3,
                             taken={0: EVERYTHING}),)), now_s)
        for camera in cameras:
            governor.offer(Image(camera, '', now_s * SECOND_NS, now_s, functools.partial(
                Pixels, np.full((6, 8, 3), max_batch, np.uint8), ENCODINGS['bgr8'])), now_s)
        batch, = governor.poll(now_s)
        governor.sent(batch, now_s)
        assert len(batch.frames) == max_batch
        assert (pixels_of(batch) == max_batch).all()
        assert pool.release(batch.slot)


# cameras that come and go

@given(st.lists(st.tuples(st.sampled_from(['image', 'add', 'remove', 'poll', 'step', 'release']),
                          st.sampled_from(['front', 'rear', 'side'])), max_size=40),
       st.booleans(), st.integers(1, 3))
def test_cameras_that_come_and_go_leave_the_others_alone(bench, events, grouped, max_batch):
    """Frames of a camera that stays are run or replaced, and all accounts balance."""
    values = {'group_names': ['pair'], 'groups__pair__cameras': ['front', 'rear']} \
        if grouped else {}
    governor = bench(('front', 'rear'), instances__net__max_batch=max_batch, **values)
    for event, camera in events:
        there = camera in governor.settings.cameras
        if event == 'image' and there:
            governor.image(camera)
        elif event == 'add' and not there:
            group = 'pair' if grouped else ''
            governor.change(addition(governor.settings, camera, CameraSettings(), group))
        elif event == 'remove' and there and camera != 'front':
            governor.change(removal(governor.settings, camera))
        elif event == 'poll':
            governor.poll()
        elif event == 'step':
            governor.step(0.01)
        elif event == 'release':
            governor.release_all()
    governor.image('front')
    governor.drain()
    for count in governor.counters.snapshot():
        assert count.frames == count.published + count.dropped_total
    front = governor.count('front')
    assert front.published >= 1
    assert set(dict(front.dropped)) <= {'replaced', 'stamp'}
    numbers = [frame.sequence for batch in governor.batches for frame in batch.frames
               if frame.camera == 'front']
    assert numbers == sorted(set(numbers))


def test_what_waits_of_a_camera_that_goes_is_counted(bench):
    governor = bench(('front', 'rear'))
    for camera in ('front', 'rear'):
        governor.image(camera)
    governor.change(removal(governor.settings, 'rear'))
    assert governor.dropped('rear') == {'removed': 1}
    assert 'removed' in governor.count('rear').last_error
    assert governor.poll() == [['front']]


def test_a_group_does_not_wait_for_a_camera_that_is_gone(bench):
    governor = bench(('front', 'rear'), group_names=['pair'],
                     groups__pair__cameras=['front', 'rear'], groups__pair__max_wait_ms=50.0)
    governor.image('front')
    assert governor.poll() == []
    governor.change(removal(governor.settings, 'rear'))
    assert governor.poll() == [['front']]


def test_a_governor_may_start_without_cameras(bench):
    governor = bench(())
    assert governor.poll() == []
    governor.change(addition(governor.settings, 'front', CameraSettings()))
    assert governor.count('front').frames == 0
    governor.image('front')
    assert governor.poll() == [['front']]


def test_only_what_executors_tell_of_our_instances_is_kept(bench):
    run = bench()
    for number in range(100):
        run.governor.tell(Capacity(f'process {number}', True, True, (
            InstanceCapacity(f'foreign {number}', run_s=(0.04,)),)), run.now_s)
    assert not run.governor._outlook._executors
    run.image()
    assert run.poll() == [['front']]
    assert set(run.governor._outlook._executors) == {'executor'}


@pytest.mark.parametrize('max_batch, of_model, cameras, frames', [
    (1, 0, 16, 1), (8, 0, 16, 8), (8, 4, 16, 4), (8, 0, 3, 3), (1, 8, 16, 1)])
def test_a_slot_has_room_for_the_largest_batch_and_no_more(
        governor_settings, make_spec, max_batch, of_model, cameras, frames):
    spec = make_spec(max_batch=of_model)
    settings = governor_settings([f'c{number}' for number in range(cameras)],
                                 instances__net__max_batch=max_batch)
    assert slot_size(settings, 'net', spec) == SlotSize(frames, frame_bytes(spec))
