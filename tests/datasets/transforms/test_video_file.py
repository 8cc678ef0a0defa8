from __future__ import annotations

import struct

import av
import numpy as np
import pytest

from mmgmp.datasets import PyAVSeekDecode, PyAVSeekInit
from mmgmp.datasets.transforms import video_file
from mmgmp.datasets.transforms.frame_index import read_frame_index
from mmgmp.datasets.transforms.pyav_seek import decode_frames, read_frames
from tests.media_truth import constant, number_of, shown, turn, write_media

# What a player does to the stored picture, by the a, b, c, d of the tag.
TAGS = {
    (1, 0, 0, 1): lambda image: image,
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (-1, 0, 0, -1): lambda image: np.rot90(image, 2),
    (0, -1, 1, 0): lambda image: np.rot90(image),
    (-1, 0, 0, 1): lambda image: image[:, ::-1],
    (1, 0, 0, -1): lambda image: image[::-1],
    (0, 1, 1, 0): lambda image: image.swapaxes(0, 1),
    (0, -1, -1, 0): lambda image: np.rot90(image, 2).swapaxes(0, 1),
}


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    write_media(path, constant(24))
    return path


def mutated(clip, tmp_path, change):
    data = bytearray(clip.read_bytes())
    change(data)
    path = tmp_path / 'changed.mp4'
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize('tag', TAGS, ids=str)
def test_pictures_are_turned_and_mirrored_as_the_tag_says(clip, tmp_path, tag):
    def change(data):
        box = data.index(b'tkhd') - 4
        a, b, c, d = (value << 16 for value in tag)
        matrix = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
        data[box + 48 : box + 84] = matrix

    path = mutated(clip, tmp_path, change)
    stored = shown(clip)[5].image
    results = dict(filename=path, frame_inds=np.array([5]))
    upright = PyAVSeekDecode()(dict(results))
    assert np.array_equal(upright['imgs'][0], TAGS[tag](stored))
    assert upright['imgs'][0].flags.c_contiguous
    assert upright['original_shape'] == upright['imgs'][0].shape[:2]
    left = PyAVSeekDecode(rotate=False)(dict(results))
    assert np.array_equal(left['imgs'][0], stored)


def test_the_whole_file_is_turned_too(clip, tmp_path):
    path = tmp_path / 'turned.mp4'
    path.write_bytes(clip.read_bytes())
    turn(path, 90)
    pictures = list(read_frames(str(path)))
    assert [seconds for seconds, _ in pictures] == pytest.approx(constant(24))
    assert {image.shape for _, image in pictures} == {(64, 48, 3)}
    frames, _ = decode_frames(str(path), [7])
    assert np.array_equal(pictures[7][1], frames[7])


def test_a_name_in_another_encoding_does_not_matter(clip, tmp_path):
    def change(data):
        data[data.index(b'Lavf')] = 0xFF

    path = mutated(clip, tmp_path, change)
    assert len(decode_frames(path, range(24))[0]) == 24


def test_an_unknown_codec_names_the_file(clip, tmp_path):
    def change(data):
        place = data.rindex(b'avc1')
        data[place : place + 4] = b'zzzz'

    path = mutated(clip, tmp_path, change)
    with pytest.raises(OSError, match=r'changed.mp4.* no decoder'):
        read_frame_index(path)


def test_pictures_of_absurd_size_are_not_believed(clip, monkeypatch):
    monkeypatch.setattr(video_file, 'MAX_PIXELS', 48 * 64 - 1)
    read_frame_index.__globals__['_read_cached'].cache_clear()
    with pytest.raises(OSError, match=r'clip.mp4 claims pictures of 64 x 48'):
        read_frame_index(str(clip))


def test_a_clip_may_not_take_all_memory(clip, monkeypatch):
    from mmgmp.datasets.transforms import pyav_seek

    monkeypatch.setattr(pyav_seek, '_MAX_BYTES', 48 * 64 * 3 * 4 - 1)
    assert len(decode_frames(str(clip), [0, 1, 2])[0]) == 3
    with pytest.raises(OSError, match=r'clip.mp4: 4 pictures .* sample fewer'):
        decode_frames(str(clip), [0, 1, 2, 3])


def test_running_out_of_memory_is_an_error_of_the_file(clip):
    with (
        pytest.raises(OSError, match=r'clip.mp4 cannot be .*out of memory'),
        video_file.open_video(str(clip)),
    ):
        raise MemoryError


def test_cover_art_is_no_video(clip, tmp_path):
    for name, has_video in (('both.mp4', True), ('sound.mp4', False)):
        path = str(tmp_path / name)
        with av.open(path, 'w') as out:
            cover = out.add_stream('mjpeg', rate=1)
            cover.width, cover.height = 32, 16
            cover.pix_fmt = 'yuvj420p'
            # PyAV 16 takes no member of its own enumeration.
            cover.disposition = av.stream.Disposition.attached_pic.value
            source = av.open(str(clip))
            video = source.streams.video[0]
            copy = out.add_stream_from_template(video) if has_video else None
            frame = av.VideoFrame(32, 16, 'yuvj420p')
            out.mux(cover.encode(frame))
            out.mux(cover.encode(None))
            for packet in source.demux(video):
                if packet.size and copy:
                    packet.stream = copy
                    out.mux(packet)
            source.close()
        if has_video:
            assert read_frame_index(path).shape == (48, 64)
            assert number_of(decode_frames(path, [9])[0][9]) == 9
        else:
            with pytest.raises(OSError, match=r'sound.mp4 holds no video'):
                read_frame_index(path)


def test_a_file_name_is_no_protocol(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'clip:1.mp4').write_bytes(clip.read_bytes())
    results = PyAVSeekInit()(dict(filename='clip:1.mp4'))
    assert results['total_frames'] == 24


def test_a_play_list_is_not_followed(tmp_path):
    path = tmp_path / 'clip.mp4'
    path.write_text(
        '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n'
        'http://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n'
    )
    with pytest.raises(OSError, match=r'clip.mp4'):
        read_frame_index(str(path))
