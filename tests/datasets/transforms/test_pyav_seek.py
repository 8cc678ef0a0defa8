from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from mmgmp.datasets import PyAVSeekDecode, PyAVSeekInit
from mmgmp.datasets.transforms.frame_index import read_frame_index
from mmgmp.datasets.transforms.pyav_seek import decode_frames
from mmgmp.registry import TRANSFORMS
from mmgmp.testing.media import write_video
from tests.datasets.conftest import moving_frames

COUNT = 96
TIMES_MS = np.cumsum(np.random.default_rng(0).integers(20, 90, COUNT))
OPEN_GOP = {
    'x264-params': 'open-gop=1:keyint=12:bframes=3:b-adapt=0:scenecut=0'
}
INTRA_REFRESH = {'x264-params': 'intra-refresh=1:keyint=12:bframes=0'}


def cut_without_encoding(source: Path, path: Path, frames: int = 10) -> None:
    """Copy packets so that an edit list hides the first frames."""
    options = {'avoid_negative_ts': 'disabled'}
    with (
        av.open(str(source)) as old,
        av.open(str(path), 'w', options=options) as new,
    ):
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        step = round(1 / (stream.average_rate * stream.time_base))
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.pts -= frames * step
                packet.dts -= frames * step
                packet.stream = copy
                new.mux(packet)


def make_cut(path: Path) -> None:
    source = path.with_name('source.mp4')
    write_video(source, moving_frames(COUNT))
    cut_without_encoding(source, path)


def make(**options) -> Callable[[Path], None]:
    return lambda path: write_video(path, moving_frames(COUNT), **options)


CLIPS = {
    'h264-b-frames.mp4': make(codec='libx264'),
    'mpeg4-b-frames.mp4': make(codec='mpeg4'),
    'h264-no-b-frames.mov': make(codec='libx264', max_b_frames=0),
    'h264-open-gop.mp4': make(options=OPEN_GOP, max_b_frames=3),
    'h264-intra-refresh.mp4': make(options=INTRA_REFRESH, max_b_frames=0),
    'h264-one-keyframe.mp4': make(gop_size=1000),
    'h264-29.97fps.mp4': make(fps=30000 / 1001),
    'variable-rate.mp4': make(times_ms=TIMES_MS),
    'edit-list.mp4': make_cut,
    'no-frame-count.mkv': make(),
    'mpeg4.avi': make(codec='mpeg4'),
    'transport.ts': make(),
}


@pytest.fixture(scope='module', params=CLIPS)
def clip(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('clips') / request.param
    CLIPS[request.param](path)
    return path


def decode_all(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [frame.to_rgb().to_ndarray() for frame in frames]


def test_frames_equal_a_full_decode(clip):
    full = decode_all(clip)
    assert read_frame_index(str(clip)).total_frames == len(full)
    for first in range(0, len(full), 5):
        wanted = range(first, min(first + 20, len(full)), 3)
        frames, _ = decode_frames(str(clip), wanted)
        assert list(frames) == list(wanted)
        for number in wanted:
            assert np.array_equal(frames[number], full[number])


def test_order_and_repetition_are_those_of_frame_inds(clip):
    full = decode_all(clip)
    frame_inds = np.array([[40, 41, 3], [40, 3, 84]], np.int32)
    results = dict(filename=str(clip), frame_inds=frame_inds)
    results = PyAVSeekDecode()(PyAVSeekInit()(results))
    for number, image in zip(frame_inds.ravel(), results['imgs'], strict=True):
        assert np.array_equal(image, full[number])
        assert image.dtype == np.uint8
    assert not np.shares_memory(results['imgs'][0], results['imgs'][3])
    assert results['img_shape'] == results['original_shape'] == (32, 64)


@pytest.mark.parametrize('codec', ['libx264', 'mpeg4'])
def test_only_the_clip_is_decoded(tmp_path, codec):
    path = str(tmp_path / 'long.mp4')
    write_video(path, moving_frames(600), codec=codec, gop_size=12)
    # From a keyframe at most 12 frames before, perhaps after a second try.
    for first in range(400, 414):
        frames, decoded = decode_frames(path, range(first, first + 32, 2))
        assert len(frames) == 16
        assert decoded <= 32 + 3 * 12
    _, decoded = decode_frames(path, [0])
    assert decoded == 1


@pytest.mark.parametrize('threads', [('AUTO', 2), ('FRAME', 0), ('SLICE', 2)])
def test_threads_do_not_change_frames(tmp_path, threads):
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(48))
    full = decode_all(path)
    frames, _ = decode_frames(str(path), range(20, 40), *threads)
    for number, image in frames.items():
        assert np.array_equal(image, full[number])


@pytest.mark.parametrize(
    ('segment', 'expected'),
    [
        ({}, (0, 96)),
        ({'start': 1.0}, (24, 72)),
        ({'stop': 1.5}, (0, 36)),
        ({'start': 0.5, 'stop': 2.0}, (12, 36)),
        ({'start': 3.0, 'stop': 99.0}, (72, 24)),
        ({'start': 1.0, 'stop': 1.001}, (24, 1)),
    ],
)
def test_segments_in_seconds(tmp_path, segment, expected):
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(COUNT))
    results = PyAVSeekInit()(dict(filename=str(path), **segment))
    assert (results['start_index'], results['total_frames']) == expected
    assert results['fps'] == results['avg_fps'] == 24
    assert results['original_shape'] == (32, 64)
    results = TRANSFORMS.build(
        dict(type='SampleFrames', clip_len=8, frame_interval=2)
    )(results)
    first, count = expected
    assert results['frame_inds'].min() >= first
    assert results['frame_inds'].max() < first + count
    assert len(PyAVSeekDecode()(results)['imgs']) == 8


def test_segment_behind_the_end_is_an_unreadable_file(tmp_path):
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(24))
    with pytest.raises(OSError, match=r'clip.mp4 ends after 1.00 s'):
        PyAVSeekInit()(dict(filename=str(path), start=2.0, stop=3.0))


def test_segment_must_have_a_length(tmp_path):
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(24))
    with pytest.raises(ValueError, match='stop must come after start'):
        PyAVSeekInit()(dict(filename=str(path), start=0.5, stop=0.5))


def test_missing_file_names_data_prep(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent.mp4.*data_prep'):
        PyAVSeekInit()(dict(filename=str(tmp_path / 'absent.mp4')))


def test_damaged_data_is_an_error_not_a_wrong_frame(tmp_path):
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(COUNT), codec='libx264')
    with av.open(str(path)) as container:
        last = [p for p in container.demux(video=0) if p.size][60:]
        start = last[0].pos
        length = sum(p.size for p in last)
    data = bytearray(path.read_bytes())
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    assert len(decode_frames(str(path), range(20))[0]) == 20
    with pytest.raises(OSError, match=r'clip.mp4'):
        decode_frames(str(path), range(70, 90))


def test_sound_only_file_is_an_error(tmp_path):
    from mmgmp.testing.media import write_audio

    write_audio(tmp_path / 'sound.wav', np.zeros(800))
    with pytest.raises(OSError, match='no video stream'):
        PyAVSeekInit()(dict(filename=str(tmp_path / 'sound.wav')))


@pytest.mark.parametrize('number', [-1, 24])
def test_frame_outside_the_file_is_refused(tmp_path, number):
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(24))
    with pytest.raises(ValueError, match=r'frame_inds must lie in \[0, 24\)'):
        decode_frames(str(path), [3, number])


def test_a_replaced_file_is_read_again(tmp_path):
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(24))
    assert read_frame_index(str(path)).total_frames == 24
    write_video(path, moving_frames(48))
    assert read_frame_index(str(path)).total_frames == 48


def test_no_handle_stays_open(tmp_path):
    descriptors = Path('/proc/self/fd')
    if not descriptors.exists():
        pytest.skip('needs /proc')
    path = tmp_path / 'clip.mp4'
    write_video(path, moving_frames(24))
    before = len(list(descriptors.iterdir()))
    kept = [PyAVSeekInit()(dict(filename=str(path))) for _ in range(5)]
    kept += [decode_frames(str(path), [5]) for _ in range(5)]
    assert len(list(descriptors.iterdir())) == before


def test_arrays_pass_like_files():
    frames = moving_frames(48)
    results = PyAVSeekInit()(dict(array=frames, fps=24, start=1.0))
    assert (results['start_index'], results['total_frames']) == (24, 24)
    results['frame_inds'] = np.array([30, 24, 30])
    images = PyAVSeekDecode()(results)['imgs']
    assert np.array_equal(images, frames[[30, 24, 30]])


@pytest.mark.parametrize(
    'options', [{'thread_type': 'MANY'}, {'thread_count': -1}]
)
def test_bad_options_name_their_key(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PyAVSeekDecode(**options)
