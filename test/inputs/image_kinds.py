"""Images as cameras and their drivers send them."""

import struct

import cv2
import numpy as np
from kinds import kind
from raw_images import BAYER_CELLS, BLUE, GREEN, OCHRE, RED, encode

from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.images.raw import view_raw

RAW, COMPRESSED = 'Raw images (`sensor_msgs/Image`)', \
    'Compressed images (`sensor_msgs/CompressedImage`)'
# Blue, left of it red: nobody confuses colours or sides.
PICTURE = np.zeros((48, 64, 3), np.uint8)
PICTURE[:, :32, 2] = PICTURE[:, 32:, 0] = 255


def seen(pixels, width=64, height=48):
    """Return an image as a network sees it, RGB (H, W, 3)."""
    target = np.empty((height, width, 3), np.uint8)
    fit(pixels, target, colour='rgb')
    return target


def expect_picture(pixels, tolerance=12):
    """Expect PICTURE, but where its colours meet."""
    image = seen(pixels).astype(int)
    for place, colour in ((image[:, :28], RED), (image[:, 36:], BLUE)):
        assert np.abs(place - colour).max() <= tolerance


def use_raw(encoding, width=64, height=48, *, padding=0, grey=False, tolerance=3, **more):
    """Have an image of one colour looked at, in several colours one after the other."""
    for rgb in (RED, GREEN, BLUE, OCHRE):
        data = encode(encoding, rgb, width, height)
        step = len(data) // height
        rows = [data[row * step:(row + 1) * step] + bytes(padding) for row in range(height)]
        pixels = view_raw(encoding, width, height, step + padding, b''.join(rows), **more)
        # what is grey has the value of green
        expected = (rgb[1],) * 3 if grey else rgb
        assert np.abs(seen(pixels).astype(int) - expected).max() <= tolerance


def _raw_kinds():
    for names in (('bgr8', '8UC3'), ('rgb8',), ('bgra8', '8UC4'), ('rgba8',)):
        yield names, {}
    yield ('bgr16', 'rgb16'), {}
    yield ('mono8', '8UC1'), {'grey': True}
    for names in (('yuv422', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('nv12',), ('nv21',), ('nv24',)):
        yield names, {}
    for bits in (8, 16):
        yield tuple(f'bayer_{pattern}{bits}' for pattern in BAYER_CELLS), {}


def _add_raw(names, options):
    @kind(RAW, ', '.join(f'`{name}`' for name in names))
    def use(folder):
        for name in names:
            use_raw(name, **options)


for _names, _options in _raw_kinds():
    _add_raw(_names, _options)


@kind(RAW, '`mono16`, `16UC1`, no range given')
def _whole_range(folder):
    for name in ('mono16', '16UC1'):
        values = np.array([[0, 256, 32768, 65535]], np.uint16)
        image = seen(view_raw(name, 4, 1, 8, values.tobytes()), 4, 1)
        assert image[0, :, 0].tolist() == [0, 1, 128, 255]
    return '0 is black, 65535 white'


@kind(RAW, '`mono16`, 14 bits of a thermal camera (`value_range: [0, 16383]`)')
def _range_14(folder):
    values = np.array([[0, 8192, 16383, 65535]], np.uint16)
    image = seen(view_raw('mono16', 4, 1, 8, values.tobytes(), value_range=(0.0, 16383.0)), 4, 1)
    assert image[0, :, 0].tolist() == [0, 128, 255, 255]


@kind(RAW, '`32FC1`, with `value_range`')
def _floats(folder):
    values = np.array([[np.nan, -np.inf, 20.0, 30.0, np.inf]], np.float32)
    image = seen(view_raw('32FC1', 5, 1, 20, values.tobytes(), value_range=(20.0, 30.0)), 5, 1)
    assert image[0, :, 0].tolist() == [0, 0, 0, 255, 255]
    return 'what is not a number is black'


@kind(RAW, '`32FC1`, no range given')
def _floats_without(folder):
    view_raw('32FC1', 4, 1, 16, bytes(16))


@kind(RAW, '`mono16`, the higher byte first (`is_bigendian`)')
def _bigendian(folder):
    values = np.array([[0, 0x8000]], '>u2')
    assert seen(view_raw('mono16', 2, 1, 4, values.tobytes(), is_bigendian=True),
                2, 1)[0, :, 0].tolist() == [0, 128]


@kind(RAW, '`rgb8`, rows with padding')
def _padded(folder):
    use_raw('rgb8', padding=64)


@kind(RAW, '`nv12`, its `step` counting the bytes of colours too')
def _step_of_both(folder):
    data = encode('nv12', OCHRE, 64, 48)
    pixels = view_raw('nv12', 64, 48, 96, data)
    assert np.abs(seen(pixels).astype(int) - OCHRE).max() <= 3


@kind(RAW, '`mono8`, without the padding of its last row')
def _last_row(folder):
    data = (bytes([9]) * 64 + bytes(32)) * 47 + bytes([9]) * 64
    assert (seen(view_raw('mono8', 64, 48, 96, data)) == 9).all()


def _refused_raw(what, encoding, width, height, step, length):
    @kind(RAW, what)
    def use(folder):
        view_raw(encoding, width, height, step, bytes(length))


_refused_raw('`yuv422` of an odd width', 'yuv422', 63, 48, 126, 126 * 48)
_refused_raw('`nv12` of an odd height', 'nv12', 64, 47, 64, 64 * 72)
_refused_raw('an encoding that nobody knows (`bayer_rggb12`)', 'bayer_rggb12', 64, 48, 96, 96 * 48)
_refused_raw('a `step` that is shorter than a row', 'bgr8', 64, 48, 64, 64 * 48)
_refused_raw('fewer bytes than its size takes', 'bgr8', 64, 48, 192, 192 * 48 - 1)
_refused_raw('an image without pixels', 'bgr8', 0, 0, 0, 0)
_refused_raw('an image of 20000x48 pixels', 'mono8', 20000, 48, 20000, 20000 * 48)


def written(suffix, image=PICTURE, *options):
    """Return the bytes of a file."""
    done, data = cv2.imencode(suffix, image, options)
    assert done
    return data.tobytes()


@kind(COMPRESSED, 'JPEG, also progressive, also with any bytes behind its end')
def _jpeg(folder):
    for data in (written('.jpg'), written('.jpg', PICTURE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
                 written('.jpg') + bytes(5000), written('.jpg') + b'\xff' * 70):
        expect_picture(decode_compressed(data, 'jpeg'))


@kind(COMPRESSED, 'JPEG in grey')
def _grey_jpeg(folder):
    image = seen(decode_compressed(written('.jpg', PICTURE[..., 0]), 'mono8; jpeg compressed '))
    assert np.abs(image[:, 40:].astype(int) - 255).max() <= 12


@kind(COMPRESSED, 'JPEG that says how its camera was held (EXIF)')
def _exif(folder):
    # one entry: orientation, 3, which is half a turn
    exif = (b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0'
            b'\0\0\0\0')
    data = written('.jpg', PICTURE[::-1, ::-1])
    segment = b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif
    expect_picture(decode_compressed(data[:2] + segment + data[2:], 'jpeg'))
    return 'it is turned upright'


@kind(COMPRESSED, 'a Bayer pattern behind JPEG or PNG (`bayer_rggb8; jpeg compressed`)')
def _bayer(folder):
    for suffix in ('.jpg', '.png'):
        rows = np.frombuffer(encode('bayer_rggb8', OCHRE, 64, 48), np.uint8).reshape(48, 64)
        pixels = decode_compressed(written(suffix, rows, cv2.IMWRITE_JPEG_QUALITY, 100)
                                   if suffix == '.jpg' else written(suffix, rows),
                                   f'bayer_rggb8; {suffix[1:]} compressed ')
        assert np.abs(seen(pixels).astype(int) - OCHRE).max() <= 12


@kind(COMPRESSED, 'PNG: colour, colour with opacity, colour of 16 bits')
def _png(folder):
    expect_picture(decode_compressed(written('.png'), 'png'), 0)
    opaque = np.dstack((PICTURE, np.full((48, 64), 255, np.uint8)))
    expect_picture(decode_compressed(written('.png', opaque), 'bgra8; png compressed '), 0)
    expect_picture(decode_compressed(written('.png', PICTURE.astype(np.uint16) * 257), ''), 0)


@kind(COMPRESSED, 'PNG in grey of 16 bits (`mono16; png compressed`)')
def _png_16(folder):
    values = np.array([[0, 256, 32768, 65535]], np.uint16)
    pixels = decode_compressed(written('.png', values), 'mono16; png compressed ')
    assert seen(pixels, 4, 1)[0, :, 0].tolist() == [0, 1, 128, 255]
    return 'as `mono16`'


@kind(COMPRESSED, 'WebP, TIFF, BMP')
def _others(folder):
    for suffix, options in (('.webp', (cv2.IMWRITE_WEBP_QUALITY, 101)), ('.tiff', ()),
                            ('.bmp', ())):
        expect_picture(decode_compressed(written(suffix, PICTURE, *options), ''), 2)


def _refused(what, data, format=''):
    @kind(COMPRESSED, what)
    def use(folder):
        decode_compressed(data, format)


_refused('JPEG that was cut short', written('.jpg')[:-20], 'jpeg')
_refused('PNG that was cut short', written('.png')[:-20], 'png')
_refused('GIF', b'GIF89a' + bytes(40), 'gif')
_refused('JPEG 2000', b'\0\0\0\x0cjP  \r\n\x87\n' + bytes(40), 'jpeg2000')
_refused('H.264 (`ffmpeg_image_transport`)', b'\0\0\0\x01\x67' + bytes(40), 'h264')
_refused('depth where a picture is expected', written('.png', PICTURE[..., 0]),
         '16UC1; compressedDepth png')
_refused('a PNG that claims 50000x50000 pixels', written('.png').replace(
    struct.pack('>II', 64, 48), struct.pack('>II', 50000, 50000), 1), 'png')
_refused('no bytes at all', b'', 'jpeg')
