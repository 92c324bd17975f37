"""ROS messages to plain data and back: the only place that knows message fields."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point
from std_msgs.msg import Header

from s3dnn_ros.capacity import Capacity, InstanceCapacity
from s3dnn_ros.cohort import MemberState
from s3dnn_ros.counters import CameraCount, Percentiles
from s3dnn_ros.msg import (
    Camera,
    Cameras,
    CameraStats,
    Detection,
    Detections,
    ExecutorStats,
    InstanceState,
    Keypoint,
    OrientedBox,
    StageStats,
)
from s3dnn_ros.msg import Capacity as CapacityMsg
from s3dnn_ros.msg import FrameBatch as FrameBatchMsg
from s3dnn_ros.msg import FrameInfo as FrameInfoMsg
from s3dnn_ros.msg import InstanceCapacity as InstanceCapacityMsg
from s3dnn_ros.transport.frames import FrameInfo, Transform

NS_PER_S = 1_000_000_000
# What a Time message can hold.
FIRST_NS, LAST_NS = -2 ** 31 * NS_PER_S, 2 ** 31 * NS_PER_S - 1
# A message's own default, 0, would be a place.
NOWHERE = Point(x=math.nan, y=math.nan, z=math.nan)


def time_msg(seconds):
    """Return a Time message."""
    return time_msg_ns(round(seconds * NS_PER_S))


def time_msg_ns(nanoseconds):
    """Return a Time message; exact, or the nearest that a message can hold."""
    nanoseconds = min(max(nanoseconds, FIRST_NS), LAST_NS)
    return Time(sec=nanoseconds // NS_PER_S, nanosec=nanoseconds % NS_PER_S)


def ns_of(stamp):
    """Return a Time message as whole nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def s_of(stamp):
    """Return a Time message in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def header_of(frame: FrameInfo):
    """Return the header of the image that the frame came from."""
    return Header(stamp=time_msg_ns(frame.stamp_ns), frame_id=frame.frame_id)


def batch_to_msg(batch, front_end, epoch, sent_s, *, segment='', data=b''):
    """Return the message for a governor's Batch, by reference or, with `data`, inline."""
    return FrameBatchMsg(
        front_end=front_end, epoch=epoch, sequence=batch.sequence, instance=batch.instance,
        executor=batch.executor, model=batch.model,
        frames=[_frame_to_msg(frame) for frame in batch.frames],
        deadline=time_msg(min(frame.deadline_s for frame in batch.frames)), sent=time_msg(sent_s),
        max_batch=batch.max_batch, run_late=batch.run_late,
        shape=list(batch.shape), segment=segment, slot=batch.slot.index,
        ticket=batch.slot.ticket, data=data)


def frames_of(msg: FrameBatchMsg):
    """Return the frames of a batch message."""
    return tuple(
        FrameInfo(
            frame.camera, frame.header.frame_id, ns_of(frame.header.stamp), frame.sequence,
            frame.width, frame.height,
            Transform(frame.scale_x, frame.scale_y, frame.offset_x, frame.offset_y),
            s_of(frame.received), s_of(frame.deadline),
            # front ends that leave it out mean the stamp
            s_of(frame.taken) or None)
        for frame in msg.frames)


def detections_msg(result, published_s):
    """Return the Detections of a FrameResult."""
    frame = result.frame
    return Detections(
        header=header_of(frame), camera=frame.camera, instance=result.instance,
        model=result.model, sequence=frame.sequence, width=frame.width, height=frame.height,
        detections=[_detection(found, label_of(result, found.class_id), track)
                    for found, track in zip(result.boxes, result.tracks)],
        deadline=time_msg(frame.deadline_s), missed=published_s > frame.deadline_s,
        latency_ms=1e3 * (published_s - frame.taken_s),
        transport_ms=1e3 * (frame.received_s - frame.taken_s),
        governor_ms=1e3 * (result.sent_s - frame.received_s),
        handover_ms=1e3 * (result.arrived_s - result.sent_s),
        queue_ms=1e3 * (result.started_s - result.arrived_s),
        engine_ms=1e3 * (result.ended_s - result.started_s),
        finish_ms=1e3 * (published_s - result.ended_s),
        batch=result.batch, variants=result.variants, unit=result.unit,
        configuration=result.configuration)


def _detection(found, label, track):
    left, top, right, bottom = found.box
    msg = Detection(class_id=found.class_id, label=label, score=found.score, x=left, y=top,
                    width=right - left, height=bottom - top, track=track,
                    distance=math.nan, position=NOWHERE)
    if found.oriented is not None:
        x, y, width, height, angle = found.oriented
        msg.oriented = [OrientedBox(x=x, y=y, width=width, height=height, angle=angle)]
    if found.keypoints is not None:
        msg.keypoints = [Keypoint(x=x, y=y, score=score) for x, y, score in found.keypoints]
    if found.mask is not None:
        msg.mask_height, msg.mask_width = found.mask.shape
        msg.mask.frombytes(found.mask.tobytes())
    return msg


def cameras_msg(front_end, cameras):
    """Return the message of a front end's CameraSettings by name."""
    return Cameras(front_end=front_end, cameras=[
        Camera(name=name, topic=camera.topic, transport=camera.transport, qos=camera.qos,
               depth=camera.depth, value_range=camera.value_range)
        for name, camera in cameras.items()])


def instance_state(state, stamp_s):
    """Return the InstanceState of a MemberState."""
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    return InstanceState(stamp=time_msg(stamp_s), **fields)


def member_state(msg):
    """Return the MemberState in an InstanceState."""
    return MemberState(**{field.name: getattr(msg, field.name)
                          for field in dataclasses.fields(MemberState)})


def id_of(instance, sequence, index, track):
    """Return the id of a detection in vision_msgs, which gives one to the same object only.

    It is INSTANCE/TRACK where the object is followed, and else INSTANCE/SEQUENCE/INDEX, which no
    two detections share.
    """
    return f'{instance}/{track}' if track else f'{instance}/{sequence}/{index}'


def detection_2d_array(result):
    """Return a vision_msgs/Detection2DArray of a FrameResult; needs vision_msgs.

    It has a place for the angle of an oriented box, and none for masks or keypoints.

    The id of a detection is that of `id_of`.
    """
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    header = header_of(result.frame)
    array = Detection2DArray(header=header)
    for index, (found, track) in enumerate(zip(result.boxes, result.tracks)):
        detection = Detection2D(header=header, id=id_of(
            result.instance, result.frame.sequence, index, track))
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = label_of(result, found.class_id)
        hypothesis.hypothesis.score = found.score
        detection.results.append(hypothesis)
        left, top, right, bottom = found.box
        x, y, width, height, angle = found.oriented or (
            (left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top, 0.0)
        detection.bbox.center.position.x, detection.bbox.center.position.y = x, y
        detection.bbox.center.theta = angle
        detection.bbox.size_x, detection.bbox.size_y = width, height
        array.detections.append(detection)
    return array


def boxes_of(msg):
    """Return the boxes in Detections, (n, 4): left, top, right, bottom in source pixels."""
    return [(item.x, item.y, item.x + item.width, item.y + item.height)
            for item in msg.detections]


def masks_of(msg):
    """Return the mask of each detection, uint8 (h, w), or None where there is none that fits.

    It has a byte for each of its pixels, and no more of them than the image.
    """
    most = msg.width * msg.height
    return [np.frombuffer(item.mask, np.uint8).reshape(item.mask_height, item.mask_width)
            if 0 < len(item.mask) == item.mask_height * item.mask_width <= most else None
            for item in msg.detections]


def set_positions(msg, positions):
    """Fill in where the objects of Detections are: (x, y, z) of each, in metres."""
    for detection, (x, y, z) in zip(msg.detections, positions):
        detection.position = Point(x=x, y=y, z=z)
        detection.distance = math.hypot(math.hypot(x, y), z)


def detection_3d_array(msg, camera):
    """Return a vision_msgs/Detection3DArray of Detections that are located; needs vision_msgs.

    What has no position is left out: consumers would take it for an object at the camera. The
    size is that of the box at the object's distance; how deep it is, nobody knows. The id is that
    of the detection in a Detection2DArray.
    """
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    array = Detection3DArray(header=msg.header)
    for index, item in enumerate(msg.detections):
        if math.isnan(item.distance):
            continue
        detection = Detection3D(header=msg.header, id=id_of(
            msg.instance, msg.sequence, index, item.track))
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = item.label
        hypothesis.hypothesis.score = item.score
        hypothesis.pose.pose.position = item.position
        detection.results.append(hypothesis)
        detection.bbox.center.position = item.position
        detection.bbox.size.x = item.width * item.position.z / camera.fx
        detection.bbox.size.y = item.height * item.position.z / camera.fy
        array.detections.append(detection)
    return array


def label_of(result, class_id):
    """Return the class's label, or its number where the model names none."""
    return result.labels[class_id] if class_id < len(result.labels) else str(class_id)


def stage_stats(node, stamp, counts, finished=False):
    """Return the counters of a node that passes frames on."""
    return StageStats(stamp=stamp, node=node, finished=finished,
                      cameras=[camera_stats(count) for count in counts])


def counts_of(msg):
    """Return the counters in a StageStats or ExecutorStats message."""
    return tuple(
        CameraCount(
            stats.camera, stats.instance, stats.frames, stats.published, stats.missed,
            tuple(zip(stats.dropped_reasons, stats.dropped_counts)), stats.last_error,
            Percentiles(stats.latency_p50_ms, stats.latency_p95_ms, stats.latency_p99_ms),
            stats.tracks, stats.tracks_lost, stats.tracks_found)
        for stats in msg.cameras)


def capacity_msg(capacity, now_s):
    """Return the message of a Capacity."""
    return CapacityMsg(
        stamp=time_msg(now_s), process=capacity.process, serial=capacity.serial,
        drops_late=capacity.drops_late,
        instances=[InstanceCapacityMsg(
            instance=item.instance, model=item.model, description=item.description,
            priority=item.priority, wait_ms=1e3 * item.wait_s,
            run_ms=[1e3 * run_s for run_s in item.run_s], measured=list(item.measured),
            margin_ms=1e3 * item.margin_s, handover_ms=1e3 * item.handover_s,
            finish_ms=1e3 * item.finish_s, results_ms=1e3 * item.results_s,
            largest=item.largest,
            epochs=list(item.taken), sequences=list(item.taken.values()),
            cameras=list(item.in_time), in_time=list(item.in_time.values()))
            for item in capacity.instances])


def capacity_of(msg):
    """Return a Capacity."""
    return Capacity(msg.process, msg.serial, msg.drops_late, tuple(
        InstanceCapacity(item.instance, item.model, item.description, item.priority,
                         item.wait_ms / 1e3,
                         tuple(run_ms / 1e3 for run_ms in item.run_ms), tuple(item.measured),
                         item.margin_ms / 1e3, item.handover_ms / 1e3, item.finish_ms / 1e3,
                         item.results_ms / 1e3,
                         dict(zip(item.epochs, item.sequences)),
                         dict(zip(item.cameras, item.in_time)), item.largest)
        for item in msg.instances))


def executor_stats(node, stamp, executor, scheduler, instances, busy_share):
    """Return the counters of an executor."""
    return ExecutorStats(
        stamp=stamp, node=node, engine=executor.engine.name, device=executor.engine.device,
        scheduler=scheduler, instances=[count.instance for count in instances],
        models=[count.model for count in instances],
        batches=[count.batches for count in instances],
        errors=[count.errors for count in instances],
        engine_p50_ms=[count.engine_ms.p50 for count in instances],
        engine_p99_ms=[count.engine_ms.p99 for count in instances],
        busy_share=busy_share, **_energy_stats(executor.energy, instances),
        **_cohort_stats(executor.cohort_client),
        cameras=[camera_stats(count) for count in executor.counters.snapshot()])


def _energy_stats(use, instances):
    return {
        'power_mw': use.power_mw, 'energy_j': use.energy_mj / 1e3,
        'energy_j_of_instances': [use.of_instances_mj.get(count.instance, math.nan) / 1e3
                                  for count in instances]}


def _cohort_stats(cohort_client):
    if cohort_client is None:
        return {}
    platform = cohort_client.platform
    return {
        'cohort_mode': cohort_client.cohort.coordinator.mode,
        'configuration': cohort_client.configuration,
        'transitions': platform.transitions if platform else 0,
        'transition_s': platform.transition_s if platform else 0.0,
        'states_ignored': sum(cohort_client.cohort.membership.ignored.values())}


def diagnostic(name, hardware_id, level, message, values):
    """Return a DiagnosticStatus; `values` maps keys to anything printable."""
    return DiagnosticStatus(
        name=name, hardware_id=hardware_id, level=level, message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])


def _frame_to_msg(frame):
    return FrameInfoMsg(
        header=header_of(frame), camera=frame.camera, sequence=frame.sequence,
        width=frame.width, height=frame.height, scale_x=frame.transform.scale_x,
        scale_y=frame.transform.scale_y, offset_x=float(frame.transform.offset_x),
        offset_y=float(frame.transform.offset_y), received=time_msg(frame.received_s),
        deadline=time_msg(frame.deadline_s), taken=time_msg(frame.taken_s))


def camera_stats(count):
    """Return one entry of the counters."""
    return CameraStats(
        camera=count.camera, instance=count.instance, frames=count.frames,
        published=count.published, missed=count.missed,
        dropped_reasons=[reason for reason, _ in count.dropped],
        dropped_counts=[number for _, number in count.dropped], last_error=count.last_error,
        latency_p50_ms=count.latency_ms.p50, latency_p95_ms=count.latency_ms.p95,
        latency_p99_ms=count.latency_ms.p99, tracks=count.tracks,
        tracks_lost=count.tracks_lost, tracks_found=count.tracks_found)
