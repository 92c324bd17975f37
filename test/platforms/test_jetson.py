"""A Jetson is found by names, set one configuration at a time, and left as it was."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms import JetsonPlatform, is_jetson

GPU = {'tx2': 'sys/class/devfreq/17000000.gp10b', 'agx': 'sys/class/devfreq/17000000.gv11b'}
SMALL = dict(cpu_steps=3, gpu_steps=4, emc_steps=2, core_steps=4)


@pytest.mark.parametrize('board, emc_steps, size', [
    ('tx2', (204000000, 800000000, 1331200000, 1866000000), 7 * 4 * 15 * 7 * 4),
    ('agx', (2133000000,), 29 * 2 ** 7 * 14),
])
def test_the_sizes_of_the_paper(make_platform, board, emc_steps, size):
    platform = make_platform(board, emc_steps=emc_steps)
    assert len(platform.configurations) == size
    assert size in (11760, 51968)


def test_what_there_is_of_other_boards(make_platform):
    nx, orin = make_platform('nx'), make_platform('orin', core_steps=5)
    assert [len(axis.choices) for axis in nx.configurations.axes] == [11, 8, 25, 2 ** 5]
    # of Orin's memory only the lowest and the highest are known
    assert [len(axis.choices) for axis in orin.configurations.axes] == [4, 2, 4, 5]


def test_from_slowest_to_fastest_with_readable_names(make_platform):
    first, last = make_platform('tx2').configurations[0], make_platform('agx').configurations[-1]
    assert first.name == 'gpu 140.25 MHz, emc 204 MHz, a57 345.6 MHz, a57 cores 1, denver off'
    assert last.name == 'gpu 1377 MHz, emc 2133 MHz, cpu 2265.6 MHz, cores 0 1 2 3 4 5 6 7'
    assert len({first, last, first}) == 2


def test_making_it_writes_nothing(make_platform, kit):
    platform = make_platform('tx2')
    assert platform.files.writes == []
    assert platform.current is None


@pytest.mark.parametrize('board', ['tx2', 'agx', 'nx', 'orin'])
def test_the_files_say_what_the_configuration_says(make_platform, kit, board):
    platform = make_platform(board, **SMALL)
    for index in (len(platform.configurations) - 1, 0, len(platform.configurations) // 2):
        platform.apply(index)
        values = dict(platform.configurations[index].values)
        (gpu,) = platform.files.find('sys/class/devfreq/*')
        for file in ('min_freq', 'max_freq', 'userspace/set_freq'):
            assert platform.files.integer(f'{gpu}/{file}') == values['gpu']
        assert platform.files.integer(f'{kit.EMC}/rate') == values['emc']
        assert platform.files.integer(f'{kit.EMC}/mrq_rate_locked') == 1
        assert platform.current == index


def test_denver_can_be_off_and_is_set_when_it_wakes(make_platform, kit):
    platform = make_platform('tx2')
    last = dict(platform.configurations[-1].values)
    online = [f'{kit.CPU}/cpu{cpu}/online' for cpu in (1, 2)]
    for cores, khz in ((2, 960000), (0, 0), (1, 960000), (1, 345600), (0, 0)):
        platform.apply(platform.configurations.index_of({**last, 'denver': (cores, khz)}))
        assert sum(platform.files.integer(name) for name in online) == cores
        if cores:
            assert platform.files.integer(
                f'{kit.CPU}/cpufreq/policy1/scaling_max_freq') == khz


def test_a_cluster_that_is_off_takes_its_frequency_when_it_wakes(make_platform, kit):
    platform = make_platform('agx')
    slow, fast = dict(platform.configurations[0].values), dict(platform.configurations[-1].values)
    speed = f'{kit.CPU}/cpufreq/policy6/scaling_setspeed'
    for cores, khz in (((0,), 1036800), (slow['cores'], 192000), (fast['cores'], 192000)):
        platform.apply(platform.configurations.index_of({**slow, 'cores': cores, 'cpu': khz}))
    assert platform.files.integer(speed) == 192000


@given(st.data())
@settings(max_examples=25)
def test_any_way_through_the_configurations_is_legal_and_leaves_nothing(kit, data):
    board = data.draw(st.sampled_from(['tx2', 'agx', 'orin']))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / board
        kit.BOARDS[board](root)
        (root / 'run').mkdir()
        before = kit.seen(root)
        files = kit.FakeKernel(root)
        with JetsonPlatform(files=files, **SMALL) as platform:
            indices = st.integers(0, len(platform.configurations) - 1)
            for index in data.draw(st.lists(st.one_of(indices, st.none()), max_size=8)):
                if index is None:
                    platform.restore()
                    assert kit.seen(root) == before
                    continue
                written = len(files.writes)
                state = kit.seen(root)
                platform.apply(index)
                for name, text in files.writes[written:]:
                    assert state.get(_real(root, name), '').strip() != text, name
        assert kit.seen(root) == before
        assert not list((root / 'run' / 's3dnn').glob('state-*'))


def _real(root, name):
    return str((Path(root) / name).resolve().relative_to(Path(root).resolve()))


def test_only_knobs_that_change_are_written(make_platform, kit):
    platform = make_platform('tx2')
    values = dict(platform.configurations[0].values)
    platform.apply(0)
    platform.files.writes.clear()
    platform.apply(0)
    assert platform.files.writes == []
    platform.apply(platform.configurations.index_of({**values, 'gpu': 854250000}))
    gpu = GPU['tx2']
    assert platform.files.writes == [(f'{gpu}/{file}', '854250000') for file in
                                     ('max_freq', 'min_freq', 'userspace/set_freq')]
    platform.files.writes.clear()
    platform.apply(0)
    assert platform.files.writes == [(f'{gpu}/{file}', '140250000') for file in
                                     ('min_freq', 'max_freq', 'userspace/set_freq')]


def test_some_kinds_of_knobs_alone(make_platform, kit):
    platform = make_platform('tx2', knobs=('gpu', 'emc'))
    assert len(platform.configurations) == 7 * 6
    for index in range(len(platform.configurations)):
        platform.apply(index)
    assert not any(name.startswith(kit.CPU) for name, _ in platform.files.writes)


@pytest.mark.parametrize('knobs, sizes', [
    (('cpu',), [7, 7]), (('cores',), [4, 3]), (('cpu', 'cores'), [7, 4, 15])])
def test_parts_of_the_cpus(make_platform, knobs, sizes):
    platform = make_platform('tx2', knobs=knobs)
    assert [len(axis.choices) for axis in platform.configurations.axes] == sizes
    for index in itertools.chain(range(len(platform.configurations)), (0,)):
        platform.apply(index)


def test_transitions_are_timed_and_counted(make_board, kit):
    clock = kit.FakeClock()

    class SlowKernel(kit.FakeKernel):
        def put(self, name, text):
            clock.moment_s += 0.25
            super().put(name, text)

    files = SlowKernel(make_board('tx2'))
    with JetsonPlatform(files=files, clock=clock, knobs=('gpu',)) as platform:
        assert platform.apply(3) == pytest.approx(4 * 0.25)
        assert platform.apply(3) == 0.0
        assert platform.apply(4) == pytest.approx(3 * 0.25)
        assert (platform.transitions, platform.transition_s) == (2, pytest.approx(7 * 0.25))


@pytest.mark.parametrize('index', [-1, 11760 * 2])
def test_an_index_out_of_range(make_platform, index):
    platform = make_platform('tx2')
    with pytest.raises(IndexError, match='there are 0 to'):
        platform.apply(index)
    assert platform.files.writes == []


def test_a_frequency_that_vanishes_is_replaced_by_the_one_above(make_platform, kit, said):
    platform = make_platform('tx2', knobs=('gpu',))
    left = [hz for hz in kit.TX2_GPU_HZ if hz not in (497250000, 1300500000)]
    kit.write(platform.files.root, f"{GPU['tx2']}/available_frequencies",
              ' '.join(map(str, left)))
    for index, hz in ((1, 675750000), (0, 140250000), (1, 675750000), (6, 1211250000)):
        platform.apply(index)
        assert platform.files.integer(f"{GPU['tx2']}/max_freq") == hz
    assert len(said) == 2
    assert '497250000 is not offered any more; 675750000 is used instead' in said[0]


def test_after_a_refused_write_the_next_apply_sets_everything(make_board, kit):
    class Refusing(kit.FakeKernel):
        refused = 'max_freq'

        def put(self, name, text):
            if name.endswith('/' + self.refused):
                raise PlatformError(name, 'refused')
            super().put(name, text)

    root = make_board('tx2')
    before = kit.seen(root)
    with JetsonPlatform(files=Refusing(root), knobs=('gpu',)) as platform:
        with pytest.raises(PlatformError, match='refused'):
            platform.apply(2)
        assert platform.current is None
        Refusing.refused = ''
        platform.apply(2)
    assert kit.seen(root) == before


@pytest.mark.parametrize('kind, folder', [
    ('gpu', 'sys/class/devfreq'), ('emc', 'sys/kernel/debug'), ('cpu', 'sys/devices/system')])
def test_a_kind_of_knob_that_is_not_there(make_board, kind, folder):
    root = make_board('tx2')
    (root / folder).rename(root / 'elsewhere')
    with pytest.raises(PlatformError, match=f"leave '{kind}' out of knobs"):
        JetsonPlatform(root)
    others = [other for other in ('gpu', 'emc') if other != kind]
    JetsonPlatform(root, knobs=others).close()     # and the board was given back


def test_an_unknown_kind_of_knob(make_board):
    with pytest.raises(ValueError, match="'fan' is unknown; known are gpu, emc, cpu, cores"):
        JetsonPlatform(make_board('tx2'), knobs=('fan',))


@pytest.mark.parametrize('options', [{}, {'gpu_steps': [5]}])
def test_a_gpu_without_frequencies_is_no_board_of_none(make_board, kit, options):
    root = make_board('tx2')
    kit.write(root, f"{GPU['tx2']}/available_frequencies", '\n')
    with pytest.raises(PlatformError, match='available_frequencies: offers no frequency'):
        JetsonPlatform(root, **options)
    JetsonPlatform(root, knobs=('emc',)).close()     # and the board was given back


def test_a_state_folder_that_cannot_be_made_is_named(make_board, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(PlatformError, match=r'file: the folder cannot be made .*state_dir'):
        JetsonPlatform(make_board('tx2'), state_dir=tmp_path / 'file')


def test_a_cluster_that_is_off_and_silent_is_left_out(make_platform, make_board, kit, said):
    root = make_board('tx2')
    (root / kit.CPU / 'cpufreq/policy1/scaling_available_frequencies').unlink()
    platform = make_platform(root=root)
    assert [axis.name for axis in platform.configurations.axes] == [
        'gpu', 'emc', 'a57', 'a57 cores']
    assert len(said) == 1
    assert 'policy1 stay as they are' in said[0]


def test_looking_needs_no_ownership(make_platform):
    owner = make_platform('tx2')
    viewer = make_platform(root=owner.files.root, own=False)
    assert viewer.configurations[17] == owner.configurations[17]
    assert viewer.power_mw() == 2210.0
    assert viewer.rails_mw()['VDD_SYS_GPU'] == 152.0
    with pytest.raises(PlatformError, match='does not own the board'):
        viewer.apply(0)
    viewer.restore()
    viewer.close()
    owner.apply(0)


def test_two_processes_know_the_same_board(make_platform, make_board):
    tx2 = make_platform('tx2')
    assert tx2.board == make_platform(root=tx2.files.root, own=False).board
    assert tx2.board == '0421018027001/quill'


@pytest.mark.parametrize('board', ['tx2', 'agx', 'nx', 'orin'])
def test_a_jetson_is_told_by_its_gpu(make_board, board):
    assert is_jetson(make_board(board))


def test_another_gpu_is_no_jetson(tmp_path, kit):
    kit.write(tmp_path, 'sys/class/devfreq/ff9a0000.gpu/device/of_node/name', 'gpu\0')
    kit.write(tmp_path, 'sys/class/devfreq/memory/governor', 'simple_ondemand\n')
    assert not is_jetson(tmp_path)
