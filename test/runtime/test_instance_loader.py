"""Instances: their networks, cut, shared, warm, and with their variants."""

import time
import types

import pytest
from executor_bench import NOW_S, TWO

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.errors import EngineError, ModelError, ProfileError
from s3dnn_ros.models.graph import load_graph, with_image_input
from s3dnn_ros.models.segment_plan import cut_at, plan_path
from s3dnn_ros.models.variants import make_variants, variants_dir
from s3dnn_ros.profiling.table import ConfigurationRow, ProfileRow, profile_path
from s3dnn_ros.profiling.variant_table import VariantRow, VariantTable, variant_table_path


def segments_of(run):
    """Return the inputs of the segments that the engine got."""
    ((_, models, _, _, _),) = run.engine.loads
    return [[value.name for value in model.graph.input] for model in models[1:]]


def test_a_profile_tells_where_to_cut_and_how_long_it_takes(make_executor, make_batch, cuttable):
    cuttable.profile(('a',), ('c',))
    run = make_executor(TWO, spec=cuttable.spec)
    assert segments_of(run) == [['a'], ['c']]
    (note,) = run.executor.notes
    assert note == f"chain: profile {profile_path('chain', 'fake')}"
    expect = run.executor._instances['net'].queue.expect
    assert expect.run_s(1) == pytest.approx(0.3)
    work = expect.work('net', 1, 0.0, 0).successor
    assert (work.tb_ratio, work.utilization) == (0.5, 0.25)
    run.executor.accept(make_batch(model='chain'))
    for _ in range(3):
        run.engine.finish()
    assert len(run.published()) == 1


def test_a_network_that_nothing_can_interrupt_runs_in_one_segment(
        make_executor, make_batch, cuttable):
    cuttable.profile(('a',), ('c',))
    run = make_executor(spec=cuttable.spec)
    assert segments_of(run) == []
    expect = run.executor._instances['net'].queue.expect
    assert expect.run_s(1) == pytest.approx(0.3)
    assert expect.work('net', 1, 0.0, 0).successor is None
    run.executor.accept(make_batch(model='chain'))
    run.engine.finish()
    assert len(run.published()) == 1


@pytest.fixture
def in_variants(cuttable):
    """Return the chain in two segments, the second with a variant of twice the speed."""
    cuttable.profile(('a',))
    rows = [VariantRow(segment, ratio, 0, 1, 1.0, 1.0, speedup, fidelity, 1.0)
            for segment in (0, 1, None)
            for ratio, speedup, fidelity in ((1.0, 1.0, 1.0), (0.5, 2.0 if segment else 1.0, 0.9))]

    model = with_image_input(load_graph(cuttable.spec), cuttable.spec)
    make_variants(variants_dir('chain', 'fake'), cut_at(model, (('a',),), '', ''), (0.5,))

    def save(**changes):
        values = {'model': 'chain', 'model_sha256': cuttable.sha256, 'engine': 'fake',
                  'device': 'none', 'images': 'none', 'calibration': 'none',
                  'calibration_sha256': '', 'batch': 1, 'versions': {},
                  'cuts': (('a',),), 'rows': tuple(rows), **changes}
        VariantTable(**values).save(variant_table_path('chain', 'fake'))

    save()
    return types.SimpleNamespace(spec=cuttable.spec, save=save)


COHORT = {'cohort': True, 'scheduler': 'edf', 'cohort_horizon': 'slack'}


@pytest.mark.parametrize('took_s, variant', [(0.1, 0), (0.18, 1)])
def test_who_falls_behind_goes_on_in_a_faster_variant(
        make_executor, make_batch, make_frame, in_variants, took_s, variant):
    run = make_executor(spec=in_variants.spec, **COHORT)
    assert run.engine.networks['net'].variants == [1, 2]
    assert run.executor.notes[-1] == 'chain: 1 coarser variants of 2 segments'
    run.executor.accept(make_batch(make_frame(deadline_s=NOW_S + 0.25), model='chain'))
    # each takes 0.1 s by its profile, the second half of that in its variant
    run.engine.finish(took_s=took_s)
    assert run.engine.running()[0].variant == variant
    run.engine.finish()
    result, = run.published()
    assert result.variants == (0, variant) and result.configuration == ''


CONFIGURATIONS = tuple(ConfigurationRow(name, 1e3 + power_mw, (100.0, 100.0))
                       for power_mw, name in enumerate(('low', 'middle', 'high')))
FOLLOWER = {**COHORT, 'cohort_horizon': 'deadline', 'platform': 'follow'}


def test_results_tell_the_configuration_at_the_end_of_their_run(
        make_executor, make_batch, make_frame, cuttable):
    cuttable.profile(('a',), configurations=CONFIGURATIONS)
    run = make_executor(spec=cuttable.spec, cpu_workers=1, **FOLLOWER)
    run.may_publish.clear()         # the worker is busy with the first image
    for image, configuration in enumerate(('low', 'middle')):
        run.executor.cohort_client.configuration_set('', image, configuration)
        run.executor.accept(make_batch(make_frame(), model='chain'))
        run.engine.finish()
        run.engine.finish()
        end_s = time.monotonic() + 30.0
        while run.executor.snapshot()[0][0].batches <= image:
            assert time.monotonic() < end_s
            time.sleep(0.001)
    run.executor.cohort_client.configuration_set('', 0, 'low')
    run.may_publish.set()
    assert [result.configuration for result in run.published()] == ['low', 'middle']


def test_without_a_cohort_nothing_but_the_exact_network_is_loaded(make_executor, in_variants):
    run = make_executor(TWO, spec=in_variants.spec)
    assert run.engine.networks['net'].variants == [1, 1]


def test_a_network_of_one_segment_is_told_of_in_a_cohort(make_executor, cuttable):
    cuttable.profile()
    for settings, told in ((COHORT, 1), ({}, 0)):
        notes = make_executor(spec=cuttable.spec, **settings).executor.notes
        assert sum('`s3dnn profile chain --target-ms' in note for note in notes) == told


@pytest.mark.parametrize('platform, timed_in, told', [
    ('follow', ('low', 'high'), ''), ('none', (), ''),
    ('follow', ('low',), ', not timed in high, where they may gain less: run '
                         '`s3dnn models lowrank chain --platform …`'),
    ('follow', (), ', not timed in low and high, where')])
def test_variants_that_were_not_timed_where_they_may_run_are_told(
        make_executor, cuttable, in_variants, platform, timed_in, told):
    cuttable.profile(('a',), configurations=CONFIGURATIONS)
    in_variants.save(configurations=timed_in)
    run = make_executor(spec=in_variants.spec, **{**FOLLOWER, 'platform': platform})
    note = run.executor.notes[-1]
    assert note.startswith(f'chain: 1 coarser variants of 2 segments{told}')
    assert ('timed' in note) == bool(told)


@pytest.mark.parametrize('changes', [
    {'model_sha256': 'ff'}, {'device': 'another'}, {'cuts': (('b',),)},
    {'calibration_sha256': 'ab'}])
def test_variants_of_something_else_are_left_out_and_that_is_said(
        make_executor, in_variants, changes):
    in_variants.save(**changes)
    run = make_executor(spec=in_variants.spec, **COHORT)
    assert run.engine.networks['net'].variants == [1, 1]
    assert 'chain: no variants' in run.executor.notes[-1]
    assert '`s3dnn models lowrank chain`' in run.executor.notes[-1]


def test_without_a_profile_the_plan_tells_where_to_cut(make_executor, cuttable):
    run = make_executor(spec=cuttable.spec)
    assert segments_of(run) == [['b']]
    (note,) = run.executor.notes
    assert note.startswith('chain: 2 segments of ')
    assert str(plan_path('chain')) in note
    assert 's3dnn profile chain' in note


def test_a_profile_of_another_engine_does_not_count(make_executor, cuttable):
    cuttable.profile(('a',), device='another')
    run = make_executor(spec=cuttable.spec)
    assert segments_of(run) == [['b']]
    assert 'another' in run.executor.notes[0]


def test_who_wants_no_profile_gets_the_plan(make_executor, cuttable):
    cuttable.profile(('a',))
    run = make_executor(spec=cuttable.spec, instances__net__profile='')
    assert segments_of(run) == [['b']]


@pytest.mark.parametrize('cuts, changes, said', [
    ([('b',)], {'sha256': 'a' * 64}, 'a' * 64),
    ([('gone',)], {}, 'cuts at gone'),
    ([('c',), ('a',)], {}, 'another order'),
])
def test_a_plan_that_does_not_fit_leaves_the_network_whole_and_is_told(
        make_executor, make_batch, cuttable, cuts, changes, said):
    cuttable.plan(*cuts, **changes)
    run = make_executor(spec=cuttable.spec)
    assert segments_of(run) == []
    (note,) = run.executor.notes
    assert note.startswith('chain: one segment, without times')
    assert said in note
    assert 's3dnn models segment chain' in note
    run.executor.accept(make_batch(model='chain'))
    run.engine.finish()
    assert len(run.published()) == 1


def test_a_broken_plan_leaves_the_network_whole_and_is_told(make_executor, cuttable):
    plan_path('chain').write_text('{"model"')
    run = make_executor(spec=cuttable.spec)
    assert segments_of(run) == []
    assert 'not a whole JSON file' in run.executor.notes[0]


def test_without_plan_and_profile_the_network_stays_whole(make_executor, cuttable):
    plan_path('chain').unlink()
    run = make_executor(spec=cuttable.spec)
    assert segments_of(run) == []
    (note,) = run.executor.notes
    assert note.startswith('chain: one segment, without times')
    assert 's3dnn profile chain' in note


def test_a_profile_whose_cuts_do_not_exist_is_refused_with_the_remedy(make_executor, cuttable):
    cuttable.profile(('gone',))
    with pytest.raises(ModelError, match=r'cuts at gone.*`s3dnn profile chain` again'):
        make_executor(TWO, spec=cuttable.spec)


def test_a_profile_with_other_segments_than_cuts_is_refused_with_the_remedy(
        make_executor, cuttable):
    cuttable.profile(('a',), ('c',), rows=(ProfileRow(0, 1, 1.0, 1.0, 1.0, 1.0),))
    with pytest.raises(ProfileError, match='`s3dnn profile chain`'):
        make_executor(TWO, spec=cuttable.spec)


# loading

def test_a_network_that_does_not_fit_its_decoder_is_refused_at_once(
        make_executor, make_spec, tiny_onnx):
    with pytest.raises(ModelError, match='yolov8'):
        make_executor(spec=make_spec(onnx=tiny_onnx, decoder='yolov8'))


def test_a_missing_file_is_refused_with_its_path(make_executor, make_spec, tmp_path):
    with pytest.raises(ModelError, match='gone'):
        make_executor(spec=make_spec(onnx=tmp_path / 'gone.onnx'))


def test_what_the_engine_gets_is_the_network_with_the_image_input(make_executor):
    run = make_executor(max_batch=5)
    ((instance, (model,), outputs, lanes, max_batch),) = run.engine.loads
    assert (instance, outputs, lanes, max_batch) == ('net', ['scores'], 1, 5)
    (image,) = model.graph.input
    assert image.type.tensor_type.elem_type == 2        # uint8


@pytest.mark.parametrize('max_batch, expected', [(0, 8), (3, 3), (20, 8)])
def test_a_network_is_loaded_for_no_more_images_than_model_and_executor_take(
        make_executor, make_spec, tiny_onnx, max_batch, expected):
    run = make_executor(spec=make_spec(onnx=tiny_onnx, max_batch=max_batch), max_batch=8)
    assert run.engine.loads[0][-1] == expected


def test_instances_of_one_model_share_a_network_with_a_lane_for_each(
        make_executor, make_spec, tiny_onnx):
    spec = make_spec(onnx=tiny_onnx)
    other = make_spec(onnx=tiny_onnx, name='other', mean=(1.0, 1.0, 1.0))
    smaller = make_spec(onnx=tiny_onnx, name='smaller', max_batch=2)
    renamed = make_spec(onnx=tiny_onnx, name='renamed')
    # another decoder may read what this one leaves out of the network
    read = make_spec(onnx=tiny_onnx, name='read', decoder_options={'output': 'scores'})
    run = make_executor(('a', 'b', 'c', 'd', 'e', 'f'), specs={
        'a': spec, 'b': other, 'c': renamed, 'd': spec, 'e': smaller, 'f': read})
    assert [(load[0], load[3]) for load in run.engine.loads] == [
        ('a', 3), ('b', 1), ('e', 1), ('f', 1)]


@pytest.mark.parametrize('max_batch, told', [(0, True), (2, False), (1, False)])
def test_a_network_of_fixed_batch_starts_by_itself(
        make_executor, fake_engine, make_spec, tiny_onnx, max_batch, told):
    engine = fake_engine(VirtualClock(), batch=2)
    run = make_executor(engine=engine, spec=make_spec(onnx=tiny_onnx, max_batch=max_batch))
    assert any('batches of 2 at most' in note for note in run.executor.notes) == told


def test_a_description_that_wants_more_than_a_fixed_batch_is_refused(
        make_executor, fake_engine, make_spec, tiny_onnx):
    engine = fake_engine(VirtualClock(), batch=2)
    with pytest.raises(ModelError, match=r'batches of 2 at most; correct max_batch in tiny\.yaml'):
        make_executor(engine=engine, spec=make_spec(onnx=tiny_onnx, max_batch=3))


def test_a_network_that_fails_when_warmed_up_is_named(make_executor, fake_engine, monkeypatch):
    engine = fake_engine(VirtualClock())
    load = engine.load

    def broken(*arguments, **options):
        network = load(*arguments, **options)
        network.broken['run'] = RuntimeError('no kernel image')
        return network

    monkeypatch.setattr(engine, 'load', broken)
    with pytest.raises(EngineError, match=r"instance 'net'.*no kernel image"):
        make_executor(engine=engine)


def test_instances_run_their_own_networks(
        make_executor, make_batch, make_frame, make_spec, tiny_onnx):
    specs = {name: make_spec(onnx=tiny_onnx, name=name, std=(std, std, std))
             for name, std in (('one', 1.0), ('two', 2.0))}
    run = make_executor(('one', 'two'), specs=specs)
    for name in ('one', 'two'):
        run.executor.accept(make_batch(make_frame(name), instance=name, model=name))
        assert run.engine.finish().network is run.engine.networks[name]
    assert {result.instance: result.frame.camera for result in run.published()} == {
        'one': 'one', 'two': 'two'}
