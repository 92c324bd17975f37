"""Outputs become the boxes they stand for, and nothing else becomes a box."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.decoders import decoder_names, make_decoder

WIDTH, HEIGHT = 64, 32
CLASSES = 3
BINS = 11
# Sizes of the NanoDet grids for strides 8, 16 and 32.
CELLS = {8: 32, 16: 8, 32: 2}
# Of these, the network has left out overlaps.
FINAL = ('yolo_final', 'rtdetr', 'detr')


def decode(decoder, outputs, score=0.5, iou=0.5, limit=100):
    return decoder.decode(outputs, score, iou, limit)


def nanodet_outputs(images=1):
    outputs = {}
    for stride, cells in CELLS.items():
        outputs[f'cls_{stride}'] = np.zeros((images, cells, CLASSES), np.float32)
        outputs[f'reg_{stride}'] = np.zeros((images, cells, 4 * BINS), np.float32)
    return outputs


def yolo_rows(*rows, count=20):
    """Return [1, boxes, 5 + classes] with (x, y, w, h, objectness, class, score) rows."""
    output = np.zeros((1, count, 5 + CLASSES), np.float32)
    for index, (*box, objectness, class_id, score) in enumerate(rows):
        output[0, index, :5] = [*box, objectness]
        output[0, index, 5 + class_id] = score
    return output


def iou_of(a, b):
    overlap = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return overlap / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap)


def test_nanodet_reads_distances_from_the_centre_of_a_cell():
    outputs = nanodet_outputs(images=2)
    # Cell (column 2, row 1) of the 16-pixel grid has its centre at (40, 24).
    cell = 1 * 4 + 2
    outputs['cls_16'][1, cell, 2] = 0.75
    for edge, distance in enumerate((1, 0, 1, 0)):
        outputs['reg_16'][1, cell, edge * BINS + distance] = 50.0
    # Halfway between two bins is halfway between their distances.
    outputs['reg_16'][1, cell, BINS + 1] = 50.0
    nothing, found = decode(make_decoder('nanodet', WIDTH, HEIGHT), outputs)
    assert len(nothing) == 0
    np.testing.assert_allclose(found.xyxy, [[24, 16, 56, 24]], 1e-5)
    assert found.scores.tolist() == [0.75]
    assert found.class_ids.tolist() == [2]


def test_one_joined_nanodet_output_reads_like_six():
    rng = np.random.default_rng(0)
    outputs = {
        name: rng.random(array.shape, np.float32) for name, array in nanodet_outputs(3).items()
    }
    joined = np.concatenate([
        np.concatenate((outputs[f'cls_{stride}'], outputs[f'reg_{stride}']), axis=2)
        for stride in CELLS
    ], axis=1)
    decoder = make_decoder('nanodet', WIDTH, HEIGHT)
    assert decoder.check({'output': joined.shape}) == CLASSES
    for one, six in zip(decode(decoder, {'output': joined}, 0.9), decode(decoder, outputs, 0.9)):
        assert len(one) > 0
        np.testing.assert_array_equal(one.xyxy, six.xyxy)


def test_yolov5_multiplies_objectness_and_class():
    output = yolo_rows((32, 16, 20, 10, 0.9, 1, 0.8), (10, 10, 4, 4, 0.6, 0, 0.6))
    found, = decode(make_decoder('yolov5', WIDTH, HEIGHT), {'output0': output})
    np.testing.assert_allclose(found.xyxy, [[22, 11, 42, 21]])
    np.testing.assert_allclose(found.scores, [0.72], 1e-6)
    assert found.class_ids.tolist() == [1]


def test_yolov8_reads_the_transposed_layout():
    rows = yolo_rows((32, 16, 20, 10, 0, 1, 0.8), (10, 10, 4, 4, 0, 2, 0.6))
    output = np.delete(rows, 4, axis=2).transpose(0, 2, 1)
    found, = decode(make_decoder('yolov8', WIDTH, HEIGHT), {'output0': output})
    np.testing.assert_allclose(found.xyxy, [[22, 11, 42, 21], [8, 8, 12, 12]])
    assert found.class_ids.tolist() == [1, 2]


def test_yolox_boxes_lie_in_their_cells():
    output = np.zeros((1, sum(CELLS.values()), 5 + CLASSES), np.float32)
    # column 1, row 0 of the grid of 32 pixels: centre 32 + 0.25 × 32, 16 × 8 pixels
    output[0, -1] = [0.25, 0.5, np.log(0.5), np.log(0.25), 0.8, 0, 0.9, 0]
    # column 2, row 1 of the grid of 8 pixels
    output[0, 8 + 2] = [0.0, 0.0, 0.0, 1000.0, 0.9, 0.9, 0, 0]
    decoder = make_decoder('yolox', WIDTH, HEIGHT)
    found, = decode(decoder, {'output': output})
    np.testing.assert_allclose(found.xyxy, [[32, 12, 48, 20]])
    assert found.scores == pytest.approx([0.72]) and found.class_ids.tolist() == [1]
    assert decoder.check({'output': output.shape}) == CLASSES


def test_yolox_needs_a_row_for_each_cell():
    with pytest.raises(ModelError, match=r'42, 5'):
        make_decoder('yolox', WIDTH, HEIGHT).check({'output': (1, 41, 8)})
    decoder = make_decoder('yolox', WIDTH, HEIGHT, strides=[8, 16, 32, 64])
    assert decoder.check({'output': ('N', 43, 8)}) == CLASSES


def test_final_boxes_keep_their_overlaps():
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, :3] = [(10, 10, 30, 30, 0.9, 0), (11, 10, 30, 30, 0.8, 0), (30, 2, 60, 20, 0.4, 2)]
    found, = decode(make_decoder('yolo_final', WIDTH, HEIGHT), {'output0': rows}, score=0.3)
    np.testing.assert_allclose(found.xyxy, rows[0, :3, :4])
    assert found.class_ids.tolist() == [0, 0, 2]
    limited, = decode(make_decoder('yolo_final', WIDTH, HEIGHT), {'output0': rows}, 0.3, limit=1)
    assert limited.scores == pytest.approx([0.9])


def test_rtdetr_boxes_are_shares_of_the_input():
    rows = np.full((1, 300, 4 + CLASSES), 0.01, np.float32)
    rows[0, 0] = 0.5, 0.5, 0.25, 0.5, 0.1, 0.9, 0.1
    found, = decode(make_decoder('rtdetr', WIDTH, HEIGHT), {'output0': rows})
    np.testing.assert_allclose(found.xyxy, [[24, 8, 40, 24]])
    assert found.class_ids.tolist() == [1]


def test_detr_has_a_class_for_no_object_where_it_ends_in_a_softmax():
    logits = np.zeros((1, 4, CLASSES + 1), np.float32)
    logits[0, :, 3] = 9.0
    logits[0, 2] = 0.0, 6.0, 0.0, 3.0
    outputs = {'logits': logits, 'pred_boxes': np.full((1, 4, 4), 0.5, np.float32)}
    found, = decode(make_decoder('detr', WIDTH, HEIGHT, activation='softmax'), outputs)
    assert found.class_ids.tolist() == [1]
    assert found.scores == pytest.approx([np.exp(6) / (np.exp(6) + np.exp(3) + 2)])
    np.testing.assert_allclose(found.xyxy, [[16, 8, 48, 24]])
    with pytest.raises(ModelError, match=r'activation.*sigmoid'):
        make_decoder('detr', WIDTH, HEIGHT, activation='relu')


def rows_of_task(task, rest, final):
    """Return outputs with one box (20, 10, 24, 12 by centre and size) and what a task adds."""
    if final:
        box = [20, 10, 24, 12] if task == 'obb' else [8, 4, 32, 16]
        rows = np.zeros((1, 9, 6 + len(rest)), np.float32)
        rows[0, 3] = [*box, 0.9, 1, *rest]
        return 'yolo_final', {'output0': rows}
    rows = np.zeros((1, 60, 4 + CLASSES + len(rest)), np.float32)
    rows[0, 3] = [20, 10, 24, 12, 0.0, 0.9, 0.0, *rest]
    return 'yolov8', {'output0': np.ascontiguousarray(rows.transpose(0, 2, 1))}


@pytest.mark.parametrize('final', [False, True])
@pytest.mark.parametrize('values', [2, 3])
def test_pose_gives_keypoints(final, values):
    points = [[10.0, 5.0, 0.75], [np.nan, 5.0, 0.5], [70.0, -3.0, 0.25]]
    name, outputs = rows_of_task(
        'pose', [value for point in points for value in point[:values]], final)
    decoder = make_decoder(name, WIDTH, HEIGHT, task='pose', keypoints=3, keypoint_values=values)
    assert decoder.check({key: array.shape for key, array in outputs.items()}) == (
        0 if final else CLASSES)
    found, = decode(decoder, outputs)
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.xyxy, [[8, 4, 32, 16]])
    scores = [0.75, 0.0, 0.25] if values == 3 else [1.0, 0.0, 1.0]
    np.testing.assert_allclose(found.keypoints, [[
        [10, 5, scores[0]], [0, 0, 0], [70, -3, scores[2]]]])
    nothing, = decode(decoder, outputs, score=0.95)
    assert nothing.keypoints.shape == (0, 3, 3)


@pytest.mark.parametrize('final', [False, True])
@hypothesis.given(seed=st.integers(0, 2 ** 16), fine=st.sampled_from([1, 2, 4]))
def test_a_mask_is_that_of_the_prototypes_under_its_box(final, seed, fine):
    rng = np.random.default_rng(seed)
    # a disc, by two prototypes that add up to it
    y, x = (np.mgrid[:HEIGHT * fine // 4, :WIDTH * fine // 4] + 0.5) * 4 / fine
    disc = 6.0 - np.hypot(x - 20, y - 10)
    other = rng.normal(size=disc.shape)
    prototypes = np.stack((disc - other, 2.0 * other))[np.newaxis].astype(np.float32)
    name, outputs = rows_of_task('segment', [1.0, 0.5], final)
    outputs['protos'] = prototypes
    decoder = make_decoder(name, WIDTH, HEIGHT, task='segment', prototypes='protos')
    assert decoder.reads(outputs) == ('output0', 'protos')
    found, = decode(decoder, outputs)
    mask, = found.masks
    assert mask.dtype == np.uint8 and mask.shape == (3 * fine, 6 * fine)
    assert set(np.unique(mask)) <= {0, 255}
    # of the box's own points, those in the disc are on the object
    rows, columns = mask.shape
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot(8 + (x + 0.5) * 24 / columns - 20, 4 + (y + 0.5) * 12 / rows - 10)
    sure = abs(inside - 6.0) > 2.0 / fine
    np.testing.assert_array_equal((mask > 0)[sure], (inside < 6.0)[sure])


def test_a_mask_at_the_edge_of_the_image_and_one_of_less_than_a_pixel():
    rows = np.zeros((1, 9, 7), np.float32)
    rows[0, :3] = [(-9, -9, 12, 9, 0.9, 0, 1), (60, 28, 90, 90, 0.8, 0, 1),
                   (3, 3, 3.2, 3.1, 0.7, 0, -1)]
    decoder = make_decoder('yolo_final', WIDTH, HEIGHT, task='segment')
    found, = decode(decoder, {'output0': rows, 'output1': np.ones((1, 1, 8, 16), np.float32)})
    assert [mask.shape for mask in found.masks] == [(3, 3), (1, 1), (1, 1)]
    assert [mask.all() for mask in found.masks] == [True, True, False]


@pytest.mark.parametrize('final', [False, True])
def test_oriented_boxes_have_an_angle_and_what_is_around_them(final):
    name, outputs = rows_of_task('obb', [np.pi / 2], final)
    decoder = make_decoder(name, WIDTH, HEIGHT, task='obb')
    found, = decode(decoder, outputs)
    np.testing.assert_allclose(found.oriented, [[20, 10, 24, 12, np.pi / 2]], 1e-6)
    # it stands upright, and reaches over the edge
    np.testing.assert_allclose(found.xyxy, [[14, 0, 26, 22]], atol=1e-5)
    assert found.class_ids.tolist() == [1]
    nothing, = decode(decoder, outputs, score=0.95)
    assert nothing.oriented.shape == (0, 5)


def test_oriented_boxes_are_suppressed_by_their_own_overlap():
    """Two thin ones that cross overlap little, whatever is around them."""
    rows = np.zeros((1, 60, 4 + CLASSES + 1), np.float32)
    rows[0, :3] = [(32, 16, 28, 2, 0.9, 0, 0, 0.78), (32, 16, 28, 2, 0.8, 0, 0, -0.78),
                   (32, 16, 28, 2, 0.7, 0, 0, 0.8)]
    decoder = make_decoder('yolov8', WIDTH, HEIGHT, task='obb')
    found, = decode(decoder, {'y': rows.transpose(0, 2, 1)})
    assert found.scores == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize(('name', 'options', 'shapes', 'told'), [
    ('yolov8', {'task': 'segment'}, {'output0': (1, 116, 8400)}, 'output1 [N, prototypes'),
    ('yolov8', {'task': 'segment'}, {'output0': (1, 116, 8400), 'output1': (1, 32, 160)},
     'output1 [N, prototypes'),
    ('yolov8', {'task': 'pose'}, {'y': (1, 55, 8400)}, '[N, 4 + classes + pose, boxes]'),
    ('yolov8', {'task': 'obb'}, {'y': (1, 5, 8400)}, '[N, 4 + classes + obb, boxes]'),
    ('yolo_final', {'task': 'pose', 'keypoints': 5}, {'y': (1, 300, 57)}, '[N, boxes, 6 + pose]'),
    ('yolo_final', {}, {'y': (1, 300, 38)}, '[N, boxes, 6]'),
    ('detr', {}, {'logits': (1, 300, 80), 'boxes': (1, 300, 4)}, 'pred_boxes [N, boxes, 4]'),
    ('detr', {}, {'logits': (1, 300, 80), 'pred_boxes': (1, 200, 4)}, 'pred_boxes [1, 200, 4]'),
    ('rtdetr', {}, {'y': (1, 300, 4)}, '[N, boxes, 4 + classes]'),
    ('detr', {}, {'logits': (1, 9, 3), 'pred_boxes': (1, 0, 4)}, 'pred_boxes [1, 0, 4]'),
    ('detr', {}, {'logits': (1, 9, 0), 'pred_boxes': (1, 9, 4)}, 'logits [1, 9, 0]'),
    ('detr', {'activation': 'softmax'}, {'logits': (1, 9, 1), 'pred_boxes': (1, 9, 4)},
     'logits [1, 9, 1]'),
])
def test_outputs_that_are_not_those_of_a_task_are_told(name, options, shapes, told):
    with pytest.raises(ModelError) as caught:
        make_decoder(name, 640, 640, **options).check(shapes)
    assert told in str(caught.value)


def test_a_task_or_keypoints_that_there_are_not():
    with pytest.raises(ModelError, match=r"task is 'segments'.*segment, pose"):
        make_decoder('yolov8', WIDTH, HEIGHT, task='segments')
    for options in ({'keypoints': 0}, {'keypoint_values': 4}):
        with pytest.raises(ModelError, match='2 or 3'):
            make_decoder('yolo_final', WIDTH, HEIGHT, task='pose', **options)


def test_a_named_output_is_taken_among_several():
    output = yolo_rows((32, 16, 20, 10, 0.9, 1, 0.8))
    decoder = make_decoder('yolov5', WIDTH, HEIGHT, output='y')
    found, = decode(decoder, {'masks': np.zeros((1, 2)), 'y': output})
    assert len(found) == 1


def test_ssd_scores_per_class_leave_the_background_out():
    outputs = {
        'boxes': np.array([[[0.25, 0.25, 0.5, 0.5], [0, 0, 1, 1]]], np.float32),
        'scores': np.array([[[0.1, 0.0, 0.9], [0.99, 0.01, 0.0]]], np.float32),
    }
    found, = decode(make_decoder('ssd', WIDTH, HEIGHT), outputs)
    np.testing.assert_allclose(found.xyxy, [[16, 8, 32, 16]])
    assert found.class_ids.tolist() == [1]


def test_ssd_reads_pixels_rows_first_and_classes_of_their_own():
    outputs = {
        'detection_boxes': np.array([[[8, 16, 16, 32], [1, 1, 2, 2]]], np.float32),
        'detection_scores': np.array([[0.9, 0.8]], np.float32),
        'detection_classes': np.array([[3, 0]], np.float32),
    }
    decoder = make_decoder(
        'ssd', WIDTH, HEIGHT, boxes='detection_boxes', scores='detection_scores',
        classes='detection_classes', normalised=False, order='yxyx')
    found, = decode(decoder, outputs)
    np.testing.assert_allclose(found.xyxy, [[16, 8, 32, 16]])
    assert found.class_ids.tolist() == [2]


def test_classification_gives_the_best_classes_around_the_whole_image():
    scores = np.array([[0.1, 0.6, 0.3], [np.nan, 0.2, 0.7]], np.float32)
    first, second = decode(
        make_decoder('classification', WIDTH, HEIGHT, top_k=2), {'y': scores}, score=0.25)
    assert first.class_ids.tolist() == [1, 2]
    assert second.class_ids.tolist() == [2]
    np.testing.assert_array_equal(first.xyxy, [[0, 0, WIDTH, HEIGHT]] * 2)


def test_classification_turns_logits_into_scores():
    decoder = make_decoder('classification', WIDTH, HEIGHT, softmax=True)
    found, = decode(decoder, {'y': np.array([[[[1000.0]], [[1001.0]]]], np.float32)})
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-1))], 1e-5)


def test_overlaps_are_suppressed_within_a_class_only():
    box = (32, 16, 20, 10)
    output = yolo_rows((*box, 1, 0, 0.9), (*box, 1, 0, 0.8), (*box, 1, 1, 0.7))
    found, = decode(make_decoder('yolov5', WIDTH, HEIGHT), {'y': output})
    assert found.class_ids.tolist() == [0, 1]


def test_the_best_boxes_survive_the_limit():
    output = yolo_rows(*((6 * index + 3, 16, 4, 4, 1, 0, 0.5 + index / 20) for index in range(9)))
    found, = decode(make_decoder('yolov5', WIDTH, HEIGHT), {'y': output}, limit=3)
    np.testing.assert_allclose(found.scores, [0.9, 0.85, 0.8], 1e-6)


def test_a_threshold_of_zero_does_not_stall():
    outputs = {
        name: np.random.default_rng(0).random(array.shape, np.float32)
        for name, array in nanodet_outputs().items()
    }
    found, = decode(make_decoder('nanodet', WIDTH, HEIGHT), outputs, score=0.0, iou=1.0)
    assert len(found) == 100


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('name', decoder_names())
def test_scores_that_are_no_numbers_never_become_boxes(name, bad):
    options, outputs = outputs_of(name, 0.75)
    for array in outputs.values():
        array[...] = bad
    with np.errstate(all='ignore'):
        found, = decode(make_decoder(name, WIDTH, HEIGHT, **options), outputs, score=0.0)
    assert len(found) == 0


def outputs_of(name, score):
    """Return a decoder's options and outputs with one box of a score, and others of 0."""
    if name == 'nanodet':
        outputs = nanodet_outputs()
        outputs['cls_8'][0, 3, 1] = score
        return {}, outputs
    if name == 'ssd':
        scores = np.zeros((1, 20, 1 + CLASSES), np.float32)
        scores[0, 4, 2] = score
        return {}, {'boxes': np.tile(np.float32([0.1, 0.1, 0.5, 0.5]), (1, 20, 1)),
                    'scores': scores}
    if name == 'classification':
        return {'output': 'y'}, {'y': np.array([[0.0, score, 0.0]], np.float32)}
    if name == 'detr':
        logits = np.full((1, 20, CLASSES), -20.0, np.float32)
        logits[0, 4, 1] = np.log(score / (1.0 - score)) if score < 1.0 else score
        return {}, {'logits': logits, 'pred_boxes': np.full((1, 20, 4), 0.5, np.float32)}
    if name == 'yolo_final':
        rows = np.zeros((1, 20, 6), np.float32)
        rows[0, 7] = [10, 5, 40, 25, score, 1]
        return {'output': 'y'}, {'y': rows}
    if name == 'yolox':
        rows = yolo_rows((2, 1, 0, 0, 1.0, 1, score), count=sum(CELLS.values()))
        return {'output': 'y'}, {'y': rows}
    rows = yolo_rows((32, 16, 20, 10, 1.0, 1, score))
    if name == 'rtdetr':
        rows = np.delete(rows, 4, axis=2)
        rows[..., :4] /= [WIDTH, HEIGHT, WIDTH, HEIGHT]
    if name == 'yolov8':
        rows = np.delete(rows, 4, axis=2).transpose(0, 2, 1)
    return {'output': 'y'}, {'y': np.ascontiguousarray(rows)}


UNREAD = {'loss': np.array(np.nan), 'masks': np.full((1, 4, 8, 8), np.inf), 'none': np.zeros(0)}


@pytest.mark.parametrize('name', decoder_names())
def test_it_says_which_outputs_it_reads_and_where_their_scores_are(name):
    options, outputs = outputs_of(name, 0.75)
    decoder = make_decoder(name, WIDTH, HEIGHT, **options)
    read = decoder.reads({**UNREAD, **outputs})
    assert set(read) == set(outputs)
    scores = decoder.scores(outputs)
    assert name == 'detr' or max(array.max() for array in scores.values()) <= 1.0
    assert all(np.shares_memory(array, outputs[key]) for key, array in scores.items())
    decoder.check({key: array.shape for key, array in {**UNREAD, **outputs}.items()})
    found, = decode(decoder, {key: outputs[key] for key in read})
    assert found.scores == pytest.approx([0.75]) and found.class_ids.tolist() == [1]


# of logits, any number is one
@pytest.mark.parametrize('name', sorted({*decoder_names()} - {'detr'}))
@pytest.mark.parametrize('score', [1.0005, 1.01, 57.0])
def test_a_score_above_1_is_none(name, score):
    """But for what half precision may round up."""
    options, outputs = outputs_of(name, score)
    decoder = make_decoder(name, WIDTH, HEIGHT, **options)
    if score < 1.001:
        assert len(decode(decoder, outputs)[0]) == 1
        return
    with pytest.raises(ModelError, match=f'a score of {score:g}, and scores are from 0 to 1'):
        decode(decoder, outputs)


def test_a_bad_class_does_not_hide_the_good_one_beside_it():
    output = yolo_rows((32, 16, 20, 10, 1, 1, 0.8))
    output[0, 0, 5] = np.nan
    found, = decode(make_decoder('yolov5', WIDTH, HEIGHT), {'y': output})
    assert found.class_ids.tolist() == [1]


@hypothesis.given(
    name=st.sampled_from(sorted({*decoder_names()} - {'classification'})),
    seed=st.integers(0, 2 ** 16),
    images=st.integers(1, 3),
    score=st.floats(0.3, 1.0),
    iou=st.floats(0.0, 1.0),
    limit=st.integers(0, 20),
)
@hypothesis.settings(deadline=None, max_examples=60)
def test_what_every_detector_promises(name, seed, images, score, iou, limit):
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(-10, 70, (images, 20, 4))
    scores = rng.random((images, 20, CLASSES))
    if name == 'nanodet':
        outputs = {key: rng.random(value.shape) for key, value in nanodet_outputs(images).items()}
    elif name == 'yolox':
        outputs = {'y': rng.random((images, sum(CELLS.values()), 5 + CLASSES))}
    elif name == 'yolo_final':
        outputs = {'y': np.concatenate((boxes, scores[..., :1], scores[..., 1:2] * 9), axis=2)}
    elif name == 'rtdetr':
        outputs = {'y': np.concatenate((boxes / 64, scores), axis=2)}
    elif name == 'detr':
        outputs = {'logits': 9.0 * scores - 5.0, 'pred_boxes': boxes / 64}
    elif name == 'ssd':
        outputs = {'boxes': boxes / 64, 'scores': scores}
    elif name == 'yolov5':
        outputs = {'y': np.concatenate((boxes, np.ones((images, 20, 1)), scores), axis=2)}
    else:
        outputs = {'y': np.concatenate((boxes, scores), axis=2).transpose(0, 2, 1)}
    outputs = {key: value.astype(np.float32) for key, value in outputs.items()}
    decoder = make_decoder(name, WIDTH, HEIGHT)
    found = decode(decoder, outputs, score, iou, limit)
    assert len(found) == images
    for image, result in enumerate(found):
        assert result.xyxy.shape == (len(result), 4) and len(result) <= limit
        assert (result.xyxy.dtype, result.scores.dtype, result.class_ids.dtype) == (
            np.float32, np.float32, np.int32)
        assert (np.diff(result.scores) <= 0).all() and (result.scores >= np.float32(score)).all()
        assert (result.xyxy >= 0).all() and (result.xyxy <= [WIDTH, HEIGHT] * 2).all()
        for first in range(len(result)):
            for second in range(first):
                if name not in FINAL and result.class_ids[first] == result.class_ids[second]:
                    assert iou_of(result.xyxy[first], result.xyxy[second]) <= iou + 1e-4
        alone, = decode(
            decoder, {key: value[image:image + 1] for key, value in outputs.items()},
            score, iou, limit)
        np.testing.assert_array_equal(alone.xyxy, result.xyxy)


@pytest.mark.parametrize(('name', 'shapes', 'told'), [
    ('nanodet', {'y': (1, 7, 80)}, 'cls_8 [N, 32, classes]'),
    ('nanodet', {'cls_8': (1, 32, 3), 'reg_8': (1, 32, 44)}, 'reg_32'),
    ('nanodet', {'y': (1, 42, 44)}, 'classes + 44'),
    ('nanodet', {}, 'no outputs'),
    ('yolov5', {'y': (1, 7)}, '[N, boxes, 5 + classes]'),
    ('yolov5', {'y': (1, 7, 5)}, 'y [1, 7, 5]'),
    ('yolov5', {'y': (1, 7, 8), 'z': (1, 7, 8)}, 'one output'),
    ('yolov8', {'y': (1, 8400, 84)}, 'more boxes than classes'),
    ('yolov8', {'y': ('N', 84)}, 'y [N, 84]'),
    ('ssd', {'boxes': (1, 9, 4)}, 'scores [N, n, classes]'),
    ('ssd', {'boxes': (1, 9, 4), 'scores': (1, 8, 4)}, 'scores [1, 8, 4]'),
    ('classification', {'y': (1, 10, 7, 7)}, '[N, classes]'),
])
def test_outputs_that_do_not_fit_are_told_with_what_was_expected(name, shapes, told):
    decoder = make_decoder(name, WIDTH, HEIGHT)
    with pytest.raises(ModelError) as caught:
        decoder.check(shapes)
    assert told in str(caught.value)
    with pytest.raises(ModelError):
        decode(decoder, {key: np.zeros([1, *shape[1:]]) for key, shape in shapes.items()})


def test_sizes_that_are_not_known_yet_pass_the_check():
    assert make_decoder('yolov8', WIDTH, HEIGHT).check({'y': ('N', 84, None)}) == 80
    assert make_decoder('yolov5', WIDTH, HEIGHT).check({'y': (None, None, 'C')}) == 0
    shapes = {name: ('N', *array.shape[1:]) for name, array in nanodet_outputs().items()}
    assert make_decoder('nanodet', WIDTH, HEIGHT).check(shapes) == CLASSES


def test_an_unknown_decoder_lists_the_known_ones():
    with pytest.raises(ModelError, match=', '.join(decoder_names())):
        make_decoder('yolov4', WIDTH, HEIGHT)


@pytest.mark.parametrize(('name', 'options', 'told'), [
    ('nanodet', {'stride': 8}, "did you mean 'strides'"),
    ('nanodet', {'bins': 1}, 'at least 2'),
    ('nanodet', {'strides': 8}, "option 'strides' is 8; expected a list"),
    ('nanodet', {'strides': [0]}, 'strides must be at least 1'),
    ('nanodet', {'bins': 10 ** 30}, 'whole number from 0 to'),
    ('nanodet', {'centre': float('nan')}, "option 'centre' is nan; expected a number"),
    ('yolov8', {'output': {}}, 'expected text'),
    ('ssd', {'background': True}, 'expected a whole number'),
    ('ssd', {'normalised': 'no'}, 'expected true or false'),
    ('ssd', {'order': 'xywh'}, 'xyxy, yxyx'),
    ('classification', {'top_k': 0}, '1 or more'),
    ('yolov8', {'width': 3}, 'no option'),
])
def test_options_that_cannot_be_used_are_refused(name, options, told):
    with pytest.raises(ModelError) as caught:
        make_decoder(name, WIDTH, HEIGHT, **options)
    assert told in str(caught.value)


def test_strides_that_take_more_memory_than_any_network_are_refused():
    make_decoder('nanodet', 4096, 4096, strides=[8, 16, 32])
    with pytest.raises(ModelError, match='more than 1000000 cells'):
        make_decoder('nanodet', 4096, 4096, strides=[8, 1])


@pytest.mark.parametrize(('name', 'shapes'), [
    ('yolov5', {'y': (2, 10, 0)}), ('yolov8', {'y': (2, 0, 10)}),
    ('classification', {'y': (2, 0)}), ('nanodet', {'y': (2, 42, 0)}),
    ('ssd', {'boxes': (2, 0, 4), 'scores': (2, 5, 3)}),
    ('ssd', {'boxes': (1, 5, 4), 'scores': (2, 5, 3)})])
def test_outputs_without_what_is_read_are_refused(name, shapes):
    outputs = {output: np.ones(shape, np.float32) for output, shape in shapes.items()}
    with pytest.raises(ModelError):
        make_decoder(name, WIDTH, HEIGHT).decode(outputs, 0.1, 0.5, 10)
