"""Fake trees of boards, and a fake kernel that holds the rules of the real one."""

import os
import re
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

import s3dnn_ros
from s3dnn_ros.platforms import JetsonPlatform
from s3dnn_ros.platforms.sysfs import Sysfs

TX2_CPU_KHZ = (345600, 652800, 960000, 1267200, 1574400, 1881600, 2035200)
TX2_GPU_HZ = (140250000, 497250000, 675750000, 854250000, 1032750000, 1211250000, 1300500000)
TX2_EMC_HZ = (204000000, 800000000, 1331200000, 1866000000)
AGX_CPU_KHZ = tuple(range(115200, 2265601, 76800))
AGX_GPU_HZ = (114750000, 216750000, 318750000, 420750000, 522750000, 624750000, 675750000,
              828750000, 905250000, 1032750000, 1198500000, 1236750000, 1338750000, 1377000000)
CPU = 'sys/devices/system/cpu'
EMC = 'sys/kernel/debug/bpmp/debug/clk/emc'
GOVERNORS = 'interactive conservative ondemand userspace powersave performance schedutil\n'
DEADLINE_S = 20.0


def write(root, name, text):
    path = Path(root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def words(values):
    return ' '.join(map(str, values)) + '\n'


def write_board(root, model, soc, serial):
    tree = 'sys/firmware/devicetree/base'
    write(root, f'{tree}/model', f'{model}\0')
    write(root, f'{tree}/compatible', f'nvidia,p0000\0nvidia,{soc}\0')
    write(root, f'{tree}/serial-number', f'{serial}\0')


def write_gpu(root, device, node, values_hz, governor='nvhost_podgov'):
    folder = f'sys/devices/{device}/devfreq/{device}'
    write(root, f'sys/devices/{device}/of_node/name', f'{node}\0')
    write(root, f'{folder}/available_frequencies', words(values_hz))
    write(root, f'{folder}/available_governors', f'{governor} userspace\n')
    write(root, f'{folder}/governor', f'{governor}\n')
    write(root, f'{folder}/min_freq', f'{values_hz[0]}\n')
    write(root, f'{folder}/max_freq', f'{values_hz[-2]}\n')
    os.symlink('../..', Path(root) / folder / 'device')
    classes = Path(root) / 'sys/class/devfreq'
    classes.mkdir(parents=True, exist_ok=True)
    os.symlink(f'../../../{folder}', classes / device)


def write_cpus(root, clusters, values_khz, off=()):
    for cpus in clusters:
        folder = f'{CPU}/cpufreq/policy{cpus[0]}'
        write(root, f'{folder}/related_cpus', words(cpus))
        write(root, f'{folder}/scaling_available_frequencies', words(values_khz))
        write(root, f'{folder}/scaling_available_governors', GOVERNORS)
        write(root, f'{folder}/scaling_governor', 'schedutil\n')
        write(root, f'{folder}/scaling_min_freq', f'{values_khz[0]}\n')
        write(root, f'{folder}/scaling_max_freq', f'{values_khz[-2]}\n')
        write(root, f'{folder}/scaling_setspeed', '<unsupported>\n')
        for cpu in cpus:
            write(root, f'{CPU}/cpu{cpu}/online', f'{int(cpu not in off)}\n')


def write_emc(root, highest_hz, cap_hz=0):
    for name, value in (('rate', highest_hz), ('min_rate', 40800000), ('max_rate', highest_hz),
                        ('state', 1), ('mrq_rate_locked', 0)):
        write(root, f'{EMC}/{name}', f'{value}\n')
    write(root, 'sys/kernel/nvpmodel_emc_cap/emc_iso_cap', f'{cap_hz}\n')


def write_iio(root, address, number, rails_mw):
    folder = f'sys/bus/i2c/drivers/ina3221x/{address}/iio:device{number}'
    for channel, (name, power_mw) in enumerate(rails_mw):
        write(root, f'{folder}/rail_name_{channel}', f'{name}\n')
        write(root, f'{folder}/in_power{channel}_input', f'{power_mw}\n')


def write_hwmon(root, number, rails):
    folder = f'sys/class/hwmon/hwmon{number}'
    write(root, f'{folder}/name', 'ina3221\n')
    for channel, (name, voltage_mv, current_ma) in enumerate(rails, 1):
        write(root, f'{folder}/in{channel}_label', f'{name}\n')
        write(root, f'{folder}/in{channel}_input', f'{voltage_mv}\n')
        write(root, f'{folder}/curr{channel}_input', f'{current_ma}\n')
    write(root, f'{folder}/in7_label', 'sum of shunt voltages\n')
    write(root, f'{folder}/in7_input', '12\n')


def write_tx2(root, *, off=(1, 2), cap_hz=0):
    """JetPack 4 in its default mode, where the Denver cores are off."""
    write_board(root, 'quill', 'tegra186', '0421018027001')
    write_gpu(root, '17000000.gp10b', 'gp10b', TX2_GPU_HZ)
    write_cpus(root, ((0, 3, 4, 5), (1, 2)), TX2_CPU_KHZ, off)
    write_emc(root, 1866000000, cap_hz)
    write_iio(root, '0-0040', 0, [('VDD_SYS_GPU', 152), ('VDD_SYS_SOC', 457),
                                  ('VDD_4V0_WIFI', 19)])
    write_iio(root, '0-0041', 1, [('VDD_IN', 2210), ('VDD_SYS_CPU', 304), ('VDD_SYS_DDR', 422)])


def write_agx(root):
    """JetPack 5."""
    write_board(root, 'Jetson-AGX', 'tegra194', '1420921055981')
    write_gpu(root, '17000000.gv11b', 'gv11b', AGX_GPU_HZ)
    write_cpus(root, ((0, 1), (2, 3), (4, 5), (6, 7)), AGX_CPU_KHZ)
    write_emc(root, 2133000000)
    write(root, 'sys/class/hwmon/hwmon0/name', 'thermal_fan\n')
    write_hwmon(root, 3, [('GPU', 9000, 100), ('CPU', 9000, 50), ('SOC', 9000, 200)])
    write_hwmon(root, 4, [('CV', 9000, 0), ('VDDRQ', 5000, 80), ('SYS5V', 5000, 400)])


def write_nx(root):
    """JetPack 5; the board has a rail for its total."""
    write_board(root, 'Jetson Xavier NX', 'tegra194', '1422919076431')
    write_gpu(root, '17000000.gv11b', 'gv11b', AGX_GPU_HZ[:11])
    write_cpus(root, ((0, 1), (2, 3), (4, 5)), AGX_CPU_KHZ[:25])
    write_emc(root, 1866000000)
    write_hwmon(root, 3, [('VDD_IN', 5000, 800), ('VDD_CPU_GPU_CV', 5000, 150),
                          ('VDD_SOC', 5000, 200)])


def write_orin(root):
    """JetPack 6, where the GPU's node is called otherwise."""
    write_board(root, 'Jetson AGX Orin', 'tegra234', '1425122040567')
    write_gpu(root, '17000000.gpu', 'gpu', (306000000, 612000000, 918000000, 1300500000),
              governor='nvhost_podgov')
    write_cpus(root, ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)), AGX_CPU_KHZ[:4])
    write_emc(root, 3199000000)
    write_hwmon(root, 3, [('VDD_GPU_SOC', 19900, 150), ('VDD_CPU_CV', 19900, 50),
                          ('VIN_SYS_5V0', 5000, 900)])
    write_hwmon(root, 4, [('NC', 0, 0), ('VDDQ_VDD2_1V8AO', 5000, 100)])


def write_nano(root):
    """JetPack 4; its rails alone, with the total under a name of its own."""
    write_board(root, 'NVIDIA Jetson Nano Developer Kit', 'tegra210', '1423619003812')
    write_iio(root, '6-0040', 0, [('POM_5V_IN', 1850), ('POM_5V_GPU', 40), ('POM_5V_CPU', 365)])


def write_thor(root):
    """JetPack 7; its rails alone, of which an INA238 on the carrier board has the total."""
    write_board(root, 'NVIDIA Jetson AGX Thor Developer Kit', 'tegra264', '1424925030111')
    write_hwmon(root, 2, [('VDD_GPU', 19900, 120), ('VDD_CPU_SOC_MSS', 19900, 330),
                          ('VIN_SYS_5V0', 5000, 1300)])
    folder = 'sys/class/hwmon/hwmon3'
    for name, value in (('name', 'ina238'), ('label', 'VIN'), ('in0_input', 2),
                        ('in1_input', 20000), ('curr1_input', 1150),
                        ('power1_input', 23000000)):
        write(root, f'{folder}/{name}', f'{value}\n')


BOARDS = {'tx2': write_tx2, 'agx': write_agx, 'nx': write_nx, 'orin': write_orin,
          'nano': write_nano, 'thor': write_thor}
BOUNDS = {'governor': ('min_freq', 'max_freq'),
          'scaling_governor': ('scaling_min_freq', 'scaling_max_freq')}
CHOSEN = {'set_freq': '../governor', 'scaling_setspeed': 'scaling_governor'}


class FakeKernel(Sysfs):
    """Records every write, and fails the test if one breaks a rule of the kernel."""

    def __init__(self, root):
        super().__init__(root)
        self.writes = []

    def put(self, name, text):
        folder, file = name.rsplit('/', 1)
        if file in CHOSEN:
            assert self.text(f'{folder}/{CHOSEN[file]}') == 'userspace', f'{name} came too early'
        if 'cpufreq/policy' in name:
            cpus = self.integers(f'{folder}/related_cpus')
            assert any(self.text(f'{CPU}/cpu{cpu}/online') == '1' for cpu in cpus), \
                f'{name}: its cluster is off'
        assert name != f'{CPU}/cpu0/online'
        super().put(name, text)
        self.writes.append((name, text.strip()))
        self._follow(folder, file, text.strip())
        self.check_bounds()

    def _follow(self, folder, file, text):
        """Let a governor's own file come and go."""
        chosen = self.path(f'{folder}/userspace/set_freq')
        if file == 'governor' and text == 'userspace':
            write(self.root, f'{folder}/userspace/set_freq', '0\n')
        elif file == 'governor' and chosen.exists():
            chosen.unlink()
        elif file == 'scaling_governor':
            shown = '0\n' if text == 'userspace' else '<unsupported>\n'
            write(self.root, f'{folder}/scaling_setspeed', shown)

    def check_bounds(self):
        for governor, (low, high) in BOUNDS.items():
            for name in [*self.find(f'sys/class/devfreq/*/{governor}'),
                         *self.find(f'{CPU}/cpufreq/*/{governor}')]:
                folder = name.rsplit('/', 1)[0]
                assert self.integer(f'{folder}/{low}') <= self.integer(f'{folder}/{high}')


def seen(root):
    """Return the text of all files of the board; a speed nobody has chosen does not count."""
    found = {}
    for path in sorted((Path(root) / 'sys').rglob('*')):
        if path.is_file() and not path.is_symlink():
            found[str(path.relative_to(root))] = path.read_text()
    for name in list(found):
        governor = re.sub(r'scaling_setspeed$', 'scaling_governor', name)
        if governor != name and found[governor] != 'userspace\n':
            del found[name]
    return found


def wait_until(condition):
    """Look again and again until it holds; fail after the deadline."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, 'waited in vain'
        time.sleep(0.01)


class FakeClock:
    """Stands until it is moved."""

    def __init__(self):
        self.moment_s = 100.0

    def now_s(self):
        return self.moment_s


@pytest.fixture
def make_board(tmp_path):
    """Return a builder of fake trees, by the board's name."""
    def build(name, **options):
        root = tmp_path / name
        BOARDS[name](root, **options)
        (root / 'run').mkdir()
        return root
    return build


@pytest.fixture
def make_platform(make_board):
    """Return a builder of a platform on a fake tree with the fake kernel; closed afterwards."""
    made = []

    def build(name='tx2', *, root=None, **options):
        files = FakeKernel(make_board(name) if root is None else root)
        platform = JetsonPlatform(files=files, **options)
        platform.files = files
        made.append(platform)
        return platform

    yield build
    for platform in made:
        platform.close()


@pytest.fixture
def start(make_board):
    """Return a function that runs a script with a platform in a process of its own.

    The script finds `platform` set to its middle configuration; what it prints can be read.
    """
    children = []

    def run(root, script, begin='platform = JetsonPlatform(sys.argv[1])'):
        code = '\n'.join([
            'import os, signal, sys, time',
            'from s3dnn_ros.platforms import JetsonPlatform, restored_at_end',
            begin,
            'platform.apply(len(platform.configurations) // 2)',
            'print(platform._guard._watchdog.pid, flush=True)',
            script])
        child = subprocess.Popen(
            [sys.executable, '-c', code, str(root)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, universal_newlines=True,
            env={**os.environ, 'PYTHONPATH': str(Path(s3dnn_ros.__file__).resolve().parents[1])})
        children.append(child)
        child.watchdog = int(child.stdout.readline())
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture(scope='session')
def kit():
    """Return builders and helpers; a fixture, as tests import no tests."""
    return types.SimpleNamespace(
        BOARDS=BOARDS, FakeClock=FakeClock, FakeKernel=FakeKernel, write=write, seen=seen,
        wait_until=wait_until, TX2_CPU_KHZ=TX2_CPU_KHZ, TX2_GPU_HZ=TX2_GPU_HZ,
        TX2_EMC_HZ=TX2_EMC_HZ, AGX_CPU_KHZ=AGX_CPU_KHZ, AGX_GPU_HZ=AGX_GPU_HZ, CPU=CPU, EMC=EMC)
