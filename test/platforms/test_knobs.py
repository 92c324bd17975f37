"""A knob's writes are legal at every moment, from any state to any other."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.knobs import (
    CoreKnob,
    CpufreqKnob,
    DevfreqKnob,
    EmcKnob,
    find_knob,
    nearest,
)

GPU = 'sys/class/devfreq/17000000.gp10b'


@pytest.fixture
def tx2(make_board, kit):
    return kit.FakeKernel(make_board('tx2', off=()))


@given(st.data())
def test_bounds_are_legal_after_every_write(kit, data):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / 'tx2'
        kit.BOARDS['tx2'](root)
        files = kit.FakeKernel(root)
        knob = data.draw(st.sampled_from([
            DevfreqKnob(files, GPU), CpufreqKnob(files, f'{kit.CPU}/cpufreq/policy0')]))
        low, high = (f'{knob.folder}/{file}' for file in (knob._low, knob._high))
        bounds = data.draw(st.tuples(*[st.sampled_from(knob.values())] * 2).map(sorted))
        for name, bound in zip((low, high), bounds):
            kit.write(root, name, f'{bound}\n')
        before = kit.seen(root)
        saved = knob.save()
        for value in data.draw(st.lists(st.sampled_from(knob.values()), max_size=5)):
            knob.set(value)     # the fake kernel looks at the bounds
            assert files.integer(low) == files.integer(high) == value
        knob.restore(saved)
        assert kit.seen(root) == before


def test_raising_and_lowering(tx2):
    knob = DevfreqKnob(tx2, GPU)
    knob.set(497250000)
    assert tx2.writes[0] == (f'{GPU}/governor', 'userspace')
    for value, order in ((1300500000, ['max_freq', 'min_freq']),
                         (140250000, ['min_freq', 'max_freq'])):
        tx2.writes.clear()
        knob.set(value)
        assert [name.rsplit('/', 1)[1] for name, _ in tx2.writes] == [*order, 'set_freq']


def test_without_the_governor_the_bounds_do(tx2, kit):
    kit.write(tx2.root, f'{GPU}/available_governors', 'nvhost_podgov\n')
    DevfreqKnob(tx2, GPU).set(497250000)
    assert [name.rsplit('/', 1)[1] for name, _ in tx2.writes] == ['max_freq', 'min_freq']


def test_a_frequency_that_this_user_may_not_choose_is_held_by_the_bounds(tx2, monkeypatch):
    monkeypatch.setattr(tx2, 'may_write', lambda name: False)
    DevfreqKnob(tx2, GPU).set(497250000)
    assert [name.rsplit('/', 1)[1] for name, _ in tx2.writes] == [
        'governor', 'max_freq', 'min_freq']


def test_a_frequency_that_was_chosen_by_hand_comes_back(tx2, kit):
    folder = f'{kit.CPU}/cpufreq/policy0'
    kit.write(tx2.root, f'{folder}/scaling_governor', 'userspace\n')
    kit.write(tx2.root, f'{folder}/scaling_setspeed', '960000\n')
    knob, before = CpufreqKnob(tx2, folder), kit.seen(tx2.root)
    saved = knob.save()
    knob.set(2035200)
    knob.restore(saved)
    assert kit.seen(tx2.root) == before


@pytest.mark.parametrize('file', ['min_freq', 'max_freq'])
def test_a_bound_that_is_no_number_is_refused_before_it_is_needed(tx2, kit, file):
    kit.write(tx2.root, f'{GPU}/{file}', 'N/A\n')
    with pytest.raises(PlatformError, match=f"{file}: 'N/A' is no whole number"):
        DevfreqKnob(tx2, GPU).save()


def test_what_is_not_above_0_is_no_frequency_and_what_is_there_twice_is_one(tx2, kit):
    kit.write(tx2.root, f'{GPU}/available_frequencies', '-5 0 497250000 140250000 497250000\n')
    assert DevfreqKnob(tx2, GPU).values() == (140250000, 497250000)


@pytest.mark.parametrize('text', ['\n', '0\n'])
def test_a_knob_without_frequencies_names_its_file(tx2, kit, text):
    kit.write(tx2.root, f'{GPU}/available_frequencies', text)
    with pytest.raises(PlatformError, match='available_frequencies: offers no frequency'):
        DevfreqKnob(tx2, GPU).values()
    for name in ('min_rate', 'max_rate'):
        kit.write(tx2.root, f'{kit.EMC}/{name}', '0\n')
    with pytest.raises(PlatformError, match='max_rate: offers no frequency'):
        EmcKnob(tx2).values()


def test_a_cluster_that_is_off_is_woken_to_be_restored(tx2, kit):
    knob = CpufreqKnob(tx2, f'{kit.CPU}/cpufreq/policy1')
    before, saved = kit.seen(tx2.root), knob.save()
    knob.set(960000)
    for cpu in (1, 2):
        kit.write(tx2.root, f'{kit.CPU}/cpu{cpu}/online', '0\n')
        before[f'{kit.CPU}/cpu{cpu}/online'] = '0\n'
    assert not knob.active()
    knob.restore(saved)
    assert kit.seen(tx2.root) == before


@pytest.mark.parametrize('cap_hz, highest_hz', [
    (0, 1866000000), (1600000000, 1600000000), (1500000000, 1331200000)])
def test_the_memory_respects_its_cap(make_board, kit, cap_hz, highest_hz, said):
    files = kit.FakeKernel(make_board('tx2', cap_hz=cap_hz))
    known = (204000000, 1331200000, 1600000000, 1866000000)
    knob = EmcKnob(files, kit.EMC, known)
    assert knob.values() == tuple(hz for hz in known if hz <= highest_hz)
    for _ in range(2):
        knob.set(1866000000)
    assert files.integer(f'{kit.EMC}/rate') == highest_hz
    assert len(said) == (1 if cap_hz else 0)


def test_a_memory_that_nobody_knows_has_two_frequencies(tx2, kit):
    assert EmcKnob(tx2).values() == (40800000, 1866000000)
    assert EmcKnob(tx2, known=(1,)).values() == (40800000, 1866000000)


def test_a_memory_without_a_lock_file_is_locked_by_its_state(tx2, kit):
    (tx2.root / kit.EMC / 'mrq_rate_locked').unlink()
    kit.write(tx2.root, f'{kit.EMC}/state', '0\n')
    knob = EmcKnob(tx2)
    saved = knob.save()
    knob.set(204000000)
    assert tx2.text(f'{kit.EMC}/state') == '1'
    knob.restore(saved)
    assert tx2.text(f'{kit.EMC}/state') == '0'


def test_the_first_core_is_never_switched(tx2, kit):
    with pytest.raises(PlatformError, match='the first one always stays on'):
        CoreKnob(tx2, f'{kit.CPU}/cpu0')
    core = CoreKnob(tx2, f'{kit.CPU}/cpu3')
    core.set(0)
    core.set(0)
    assert tx2.writes == [(f'{kit.CPU}/cpu3/online', '0')]
    assert core.values() == (0, 1)


@pytest.mark.parametrize('kind, folder', [
    ('devfreq', GPU), ('cpufreq', 'sys/devices/system/cpu/cpufreq/policy0'),
    ('emc', 'sys/kernel/debug/bpmp/debug/clk/emc'), ('core', 'sys/devices/system/cpu/cpu4')])
def test_a_knob_is_found_again(tx2, kind, folder):
    knob = find_knob(tx2, kind, folder)
    assert (knob.kind, knob.folder) == (kind, folder)
    with pytest.raises(PlatformError, match='this is not where'):
        find_knob(tx2, kind, folder + '/..')


@given(st.sets(st.integers(0, 99), min_size=1), st.integers(0, 120))
def test_the_nearest_at_or_above(values, wanted):
    above = [value for value in values if value >= wanted]
    assert nearest(values, wanted) == (min(above) if above else max(values))
