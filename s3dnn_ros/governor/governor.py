"""From images to batches: accept → synchronise → fuse → open → fit.

Knows no ROS: the node hands images over with `offer()` and sends the batches
that `poll()` returns. Not thread-safe; one thread owns it. It may let another one open
images meanwhile.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Callable, Dict, List, Mapping, Optional

from s3dnn_ros.capacity import Capacity
from s3dnn_ros.counters import Counters
from s3dnn_ros.errors import ImageError, ParameterError, RingError
from s3dnn_ros.governor.batch import Batch, Image
from s3dnn_ros.governor.opening import Opening
from s3dnn_ros.governor.outlook import Outlook
from s3dnn_ros.governor.remarks import Remarks
from s3dnn_ros.governor.stamps import NS_PER_S, Stamps, clock_sentence
from s3dnn_ros.governor.synchroniser import Stamped, Synchroniser
from s3dnn_ros.governor.under_way import UnderWay
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.scheduling.fusion import FusionQueue, WaitingFrame
from s3dnn_ros.scheduling.turns import Turns, all_in_time
from s3dnn_ros.transport.frames import FrameInfo
from s3dnn_ros.transport.slots import SlotPool, SlotSize

# While every slot is under way, releases are looked for at this period.
STARVED_POLL_S = 0.005
# A slot is not taken back before so many times the time in which its results should be there.
LEAST_LEASE = 4.0
REMOVED = 'it was removed before its frame could run'


@dataclasses.dataclass
class _Camera:
    stamps: Stamps = dataclasses.field(default_factory=Stamps)
    last_taken_s: float = float('-inf')
    sequence: int = 0


def frame_bytes(spec) -> int:
    """Return how much memory a frame takes as the network's input."""
    return spec.height * spec.width * 3


def slot_size(settings, name, spec) -> SlotSize:
    """Return the room that the largest batch of an instance needs: one frame of each camera."""
    return SlotSize(max(1, min(_most_frames(settings.instances[name], spec),
                               len(settings.cameras_of(name)))), frame_bytes(spec))


class Governor:
    """Turns the images of all cameras into batches for all instances.

    Parameters
    ----------
    settings : GovernorSettings
    specs : mapping of instance name to ModelSpec
    pools : mapping of instance name to SlotPool
    counters : Counters
    times_s : mapping of instance name to callable
        The time of one run by its number of frames, for instances with a profile; as long as no
        executor has told another one.
    outlook : Outlook
        What executors can take; without any word of theirs nothing is sent.
    opening : Opening
        Where images are opened; its thread, if it has one, has ended before `close`.

    Raises
    ------
    ParameterError
        A deadline cannot be met by the profile, and `allow_infeasible` is not set.

    """

    def __init__(self, settings, specs, pools: Mapping[str, SlotPool], counters: Counters,
                 times_s: Optional[Mapping[str, Callable[[int], float]]] = None,
                 outlook: Optional[Outlook] = None,
                 opening: Optional[Opening] = None):
        self.notes: List[str] = []      # what the user may want to know
        self._specs = dict(specs)
        self._pools = dict(pools)
        self._times_s = dict(times_s or {})
        self._counters = counters
        self._cameras: Dict[str, _Camera] = {}
        self._groups = {name: Synchroniser((), 0.0, 0.0) for name in settings.groups}
        self._queues: Dict[str, FusionQueue] = {
            name: FusionQueue((), 1, 0.0, self._times_s.get(name), name=name)
            for name in settings.instances}
        self._outlook = outlook or Outlook()
        self._remarks = Remarks(self._groups, self._outlook)
        self._under_way = UnderWay(self._pools, counters)
        self._turns: Dict[str, Turns] = {}      # by device
        self._watchers: Dict[str, List[str]] = {}       # by camera
        self._opening = opening or Opening()
        self._sequence = 0
        self.configure(settings)

    def configure(self, settings):
        """Take over changed settings; of those that are not live, only cameras may come and go.

        Raises ParameterError, and takes nothing over, for a deadline that cannot be met.
        """
        deadlines_ms = {name: instance.deadline_ms or self._specs[name].deadline_ms
                        for name, instance in settings.instances.items()}
        self.notes = list(filter(None, (
            self._infeasible(name, settings.instances[name], deadline_ms)
            for name, deadline_ms in deadlines_ms.items())))
        self._watch(settings)
        self._settings = settings
        self._group_of = {}
        self._deadline_s = {name: deadline_ms / 1e3 for name, deadline_ms in deadlines_ms.items()}
        for name, group in settings.groups.items():
            synchroniser = self._groups[name]
            synchroniser.max_skew_s = group.max_skew_ms / 1e3
            synchroniser.max_wait_s = group.max_wait_ms / 1e3
            self._group_of.update(dict.fromkeys(group.cameras, synchroniser))
        weights = {name: camera.weight for name, camera in settings.cameras.items()}
        for name, instance in settings.instances.items():
            self._queues[name].weights = weights
            self._queues[name].max_batch = self._max_batch(name)
            self._queues[name].max_delay_s = instance.max_fusion_delay_ms / 1e3
            self._pools[name].grow(slot_size(settings, name, self._specs[name]))

    def change_model(self, name, spec):
        """Prepare the frames of an instance for another model; `configure` must follow.

        Its profile is not known here: what executors tell of it counts.
        """
        self._specs[name] = spec
        self._times_s.pop(name, None)

    def offer(self, image: Image, now_s):
        """Take an image in, or drop it and count why."""
        camera = self._arrive(image.camera)
        reading = camera.stamps.read(image.stamp_ns, image.received_s)
        offset_s = camera.stamps.news()
        if offset_s is not None:
            self._remarks.add(clock_sentence(image.camera, offset_s))
        if reading.refusal or self._is_too_soon(camera, image):
            self._drop(image.camera, 'stamp' if reading.refusal else 'rate', reading.refusal)
            return
        camera.last_taken_s = image.received_s
        synchroniser = self._group_of.get(image.camera)
        stamped = Stamped(image.camera, image.stamp_ns / NS_PER_S,
                          (image, camera.sequence, reading.taken_s))
        moments = synchroniser.offer(stamped, now_s) if synchroniser else [[stamped]]
        self._enqueue(moments, now_s)

    def refuse(self, camera, error: ImageError):
        """Count an image that could not even be opened."""
        self._arrive(camera)
        self._drop(camera, error.reason, str(error))

    def tell(self, capacity: Capacity, now_s):
        """Take over what an executor tells of itself, as far as it is of our instances."""
        ours = tuple(item for item in capacity.instances if item.instance in self._queues)
        for name in self._outlook.tell(dataclasses.replace(capacity, instances=ours), now_s):
            self._under_way.executor_ended(name)
        for name, queue in self._queues.items():
            queue.max_batch = self._max_batch(name)
            if self._outlook.takes(name):
                self._meet(name, queue)
        self._remarks.look_at_rivals(self._queues, now_s)

    def poll(self, now_s, listening: Callable[[str], bool] = lambda instance: True
             ) -> List[Batch]:
        """Return the batches to send now.

        While nobody is `listening` for an instance, or no executor can take it,
        only the newest frame of each of its cameras waits. While the images of a batch are
        opened, no other batch of the instance is chosen, so that frames stay in order.
        """
        for synchroniser in self._groups.values():
            self._enqueue(synchroniser.poll(now_s), now_s)
        self._remarks.look_at_groups(now_s)
        if self._under_way.is_time_to_look(now_s):
            self._under_way.withdraw_overdue(
                {name: self._lease_s(name) for name in self._queues}, now_s)
        batches, full = self._fill_opened(listening, now_s), set()
        while True:
            name = self._next_instance(now_s, lambda name: (
                name not in full and name not in self._opening and listening(name)))
            if name is None:
                return batches
            slot = self._acquire(name, now_s)
            if slot is None:
                full.add(name)
                continue
            queue = self._queues[name]
            run_late = (queue.is_hopeless(queue.first(now_s))
                        or not self._outlook.drops_late(name))
            chosen = self._opening.start(queue.take(now_s), run_late, now_s)
            if chosen.images.done():
                batches += self._fill(name, slot, chosen, now_s)
            else:
                # it may take long; a slot that is out for long is taken back
                self._pools[name].abandon(slot)
                self._opening.wait(name, chosen)

    def next_wake_s(self, now_s, listening: Callable[[str], bool] = lambda instance: True
                    ) -> Optional[float]:
        """Return when `poll` should be called next if nothing comes before."""
        due = [synchroniser.next_due_s() for synchroniser in self._groups.values()]
        due += [self._open_s(name, now_s) for name in self._queues
                if name not in self._opening and listening(name)]
        due += [now_s for _ in self._opening.ended()]
        # what is due and still here waits for a slot
        return min((time_s if time_s > now_s else now_s + STARVED_POLL_S
                    for time_s in due if time_s is not None), default=None)

    def news(self) -> List[str]:
        """Return what the user should be told now; each sentence once."""
        return self._remarks.news()

    def clock_remark(self, camera) -> str:
        """Say that the camera's stamps are of another clock; empty if they are not."""
        offset_s = self._cameras[camera].stamps.offset_s
        return '' if offset_s is None else clock_sentence(camera, offset_s)

    def group_remarks(self, now_s) -> Dict[str, str]:
        """Say of each group why none of its moments is complete; empty if some are."""
        return self._remarks.of_groups(now_s)

    def instance_remarks(self, now_s) -> Dict[str, str]:
        """Say of each instance why its frames do not run, or not in time; empty if they do."""
        return {name: self._remarks.of_instance(name, self._deadline_s[name], now_s)
                for name in self._queues}

    def close(self):
        """Drop what waits and free the memory."""
        for synchroniser in self._groups.values():
            for stamped in synchroniser.discard():
                self._drop(stamped.camera, 'shutdown', '')
        for name, queue in self._queues.items():
            for request in (*self._opening.discard(name), *queue.discard()):
                self._counters.dropped(request.camera, name, reason='shutdown')
            self._pools[name].close()

    def _infeasible(self, name, instance, deadline_ms):
        """Return what is to be said of a deadline that cannot be met, if it may be so."""
        # rounded, so that a deadline of just this time is none that is shorter
        alone_ms = round(1e3 * self._times_s[name](1), 6) if name in self._times_s else 0.0
        if deadline_ms >= alone_ms:
            return ''
        found = (f'a deadline of {deadline_ms:g} ms is shorter than the {alone_ms:g} ms that '
                 f'{self._specs[name].name} takes alone by its profile')
        if not instance.allow_infeasible:
            raise ParameterError(
                f'instances.{name}.deadline_ms', instance.deadline_ms,
                f'{found}: allow more time, take a faster model, or set '
                f'instances.{name}.allow_infeasible: true')
        return f"instance '{name}' runs although {found}"

    def _max_batch(self, name) -> int:
        most = _most_frames(self._settings.instances[name], self._specs[name])
        return min(most, self._outlook.largest(name) or most)

    def _watch(self, settings):
        """Let cameras come and go; what waits of those that go is dropped."""
        for name, group in settings.groups.items():
            for stamped in self._groups[name].watch(group.cameras):
                self._drop(stamped.camera, 'removed', REMOVED)
        for camera in settings.cameras.keys() - self._watchers.keys():
            # one that comes back goes on with its numbers
            before = self._cameras.get(camera, _Camera())
            self._cameras[camera] = _Camera(sequence=before.sequence)
        self._watchers = {camera: [] for camera in settings.cameras}
        for name, queue in self._queues.items():
            cameras = settings.cameras_of(name)
            for request in queue.watch(cameras):
                self._counters.dropped(request.camera, name, reason='removed',
                                       sentence=f"camera '{request.camera}': {REMOVED}")
            for camera in cameras:
                self._watchers[camera].append(name)
                self._counters.expect(camera, name)

    def _arrive(self, name):
        for instance in self._watchers[name]:
            self._counters.arrived(name, instance)
        camera = self._cameras[name]
        camera.sequence += 1
        return camera

    def _is_too_soon(self, camera, image):
        max_rate_hz = self._settings.cameras[image.camera].max_rate_hz
        # a tenth of a period of tolerance, so that jitter does not halve the rate
        return bool(max_rate_hz) and (
            0.0 <= image.received_s - camera.last_taken_s < 0.9 / max_rate_hz)

    def _enqueue(self, moments, now_s):
        for moment in moments:
            for stamped in moment:
                for name in self._watchers[stamped.camera]:
                    deadline_s = stamped.item[2] + self._deadline_s[name]
                    frame = WaitingFrame(stamped.camera, deadline_s, now_s, stamped.item)
                    if self._queues[name].put(frame):
                        self._counters.dropped(stamped.camera, name, reason='replaced')

    def _meet(self, name, queue):
        """Have an instance take turns with those on the same device, in the times known now."""
        device = self._outlook.device(name) or f'{name} alone'
        queue.share(self._turns.setdefault(device, Turns()))
        known = self._outlook.time_s(name, 1)
        queue.time_s = (functools.partial(self._outlook.time_s, name) if known
                        else self._times_s.get(name))
        queue.apart_s = functools.partial(self._outlook.apart_s, name) if known else None
        queue.margin_s = self._outlook.margin_s(name)
        queue.in_time = self._outlook.in_time(name)

    def _open_s(self, name, now_s) -> Optional[float]:
        """Return from when on a batch of this instance should be chosen; None: not yet known."""
        queue = self._queues[name]
        opens_s = self._outlook.opens_s(name, now_s) if queue else None
        if opens_s is None:
            return None
        return max(queue.due_s(), opens_s, queue.held_until_s(max(now_s, opens_s)))

    def _is_open(self, name, now_s) -> bool:
        open_s = self._open_s(name, now_s)
        return open_s is not None and open_s <= now_s

    def _next_instance(self, now_s, listening) -> Optional[str]:
        """Return the instance whose batch is to be chosen now."""
        ready = []
        for name in filter(listening, self._queues):
            if self._is_open(name, now_s) and (not self._give_up_lost(name, now_s)
                                               or self._is_open(name, now_s)):
                ready.append(name)
        if len(ready) < 2:
            return next(iter(ready), None)
        leader = max(ready, key=self._outlook.priority)
        turns = self._queues[leader].turns
        ready = [name for name in ready if self._queues[name].turns is turns
                 and self._outlook.priority(name) == self._outlook.priority(leader)]
        queues = [self._queues[name] for name in ready]
        firsts = {queue.name: queue.first(now_s) for queue in queues}
        if all(queue.time_s for queue in queues) and all_in_time(
                [need for queue in queues for need in queue.needs()], now_s):
            return min(ready, key=lambda name: firsts[name].deadline_s)
        return min(ready, key=lambda name: self._queues[name].rank(firsts[name]))

    def _give_up_lost(self, name, now_s) -> bool:
        """Drop the frames that cannot be in time any more, or have them run if nobody loses by it.

        Which of the two is the executor's policy. Tells whether there were any.
        """
        if not self._outlook.drops_late(name):
            return self._queues[name].set_lost_aside(now_s)
        lost = self._queues[name].remove_lost(now_s)
        for request in lost:
            self._counters.dropped(
                request.camera, name, reason='late',
                sentence=f"instance '{name}': the deadline could not be met any more when its "
                         'turn came')
        return bool(lost)

    def _acquire(self, name, now_s):
        try:
            return self._pools[name].acquire(now_s)
        except RingError as error:
            for request in (*self._opening.discard(name), *self._queues[name].discard()):
                self._counters.dropped(request.camera, name, reason='memory',
                                       sentence=str(error))
            return None

    def _fill_opened(self, listening, now_s) -> List[Batch]:
        """Return the batches whose images were opened meanwhile."""
        batches = []
        for name in self._opening.ended():
            if not listening(name) or not self._outlook.takes(name):
                for request in self._opening.discard(name):
                    self._counters.dropped(
                        request.camera, name, reason='executor',
                        sentence=f"instance '{name}': its executor left while images were opened")
                continue
            slot = self._acquire(name, now_s)
            if slot is not None:
                batches += self._fill(name, slot, self._opening.take(name), now_s)
        return batches

    def _fill(self, name, slot, chosen, now_s) -> List[Batch]:
        spec = self._specs[name]
        size = frame_bytes(spec)
        frames = []
        for request, pixels in zip(chosen.requests, chosen.images.result()):
            image, sequence, taken_s = request.item
            start = len(frames) * size
            target = slot.pixels[start:start + size].reshape(spec.height, spec.width, 3)
            if isinstance(pixels, ImageError):
                self._counters.dropped(image.camera, name, reason=pixels.reason,
                                       sentence=f"camera '{image.camera}': {pixels}")
                continue
            transform = fit(pixels, target, colour=spec.colour, resize=spec.resize, pad=spec.pad)
            frames.append(FrameInfo(image.camera, image.frame_id, image.stamp_ns, sequence,
                                    pixels.width, pixels.height, transform, image.received_s,
                                    request.deadline_s, taken_s))
        if not frames:
            self._pools[name].abandon(slot)
            return []
        self._sequence += 1
        self._outlook.sent(name, self._sequence, len(frames), now_s)
        return [Batch(self._sequence, name, self._outlook.process_of(name), spec.name,
                      tuple(frames), slot, (len(frames), spec.height, spec.width, 3),
                      self._queues[name].max_batch, chosen.run_late, chosen.chosen_s)]

    def sent(self, batch: Batch, now_s):
        """Count the frames of a batch as handed on."""
        self._outlook.prepared(batch.instance, now_s - batch.chosen_s)
        self._under_way.sent(batch, now_s)

    def _lease_s(self, name):
        """Return after what time a slot of an instance is taken back."""
        return max(self._settings.slot_lease_ms / 1e3, self._deadline_s[name],
                   LEAST_LEASE * (self._outlook.time_s(name, 1) or 0.0))

    def _drop(self, camera, reason, sentence):
        for instance in self._watchers[camera]:
            self._counters.dropped(camera, instance, reason=reason,
                                   sentence=sentence and f"camera '{camera}': {sentence}")


def _most_frames(instance, spec):
    return min(instance.max_batch, spec.max_batch or instance.max_batch)
