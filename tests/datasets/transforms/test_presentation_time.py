"""Pictures and their times, in every container and codec that can be written.

Measured against a full decode and against what was written.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

from mmgmp.datasets import PyAVSeekDecode, PyAVSeekInit
from tests.media_truth import (
    constant,
    cut,
    jittered,
    paused,
    shown,
    write_media,
)

COUNT = 60
SLOT = Fraction(1, 24)
B = {'bf': '2', 'g': '12'}
H265 = {'x265-params': 'keyint=12:bframes=3:log-level=none'}
VP9 = {'deadline': 'realtime', 'cpu-used': '8'}
# Pictures that are stored but never shown.
ALT_REF = {'auto-alt-ref': '1', 'lag-in-frames': '16', 'cpu-used': '8'}
TIMES = {
    'constant': constant(COUNT),
    'paused': paused(COUNT),
    'jittered': jittered(COUNT),
    'late': constant(COUNT, 0.5),
    'cut': constant(COUNT + 24),
}


class Row(NamedTuple):
    suffix: str
    codec: str
    options: dict
    kinds: tuple[str, ...]  #: of TIMES
    sound: str | None = None
    time_base: Fraction = Fraction(1, 24000)
    pix_fmt: str = 'yuv420p'
    size: tuple[int, int] = (48, 64)
    tolerance: float = 1.5e-3  #: of times, in seconds; Matroska rounds to ms


# What FFmpeg tells of the times in these is not used.
UNTIMED = ('avi', 'asf', 'wmv', 'h264', 'hevc', 'm1v', 'm2v')
ALL = ('constant', 'paused', 'jittered', 'late', 'cut')
SLOTS = ('constant', 'paused', 'cut')
FAST = [
    Row('mp4', 'libx264', B, ALL, 'aac'),
    Row('mkv', 'libx264', B, ('jittered', 'late', 'cut'), 'aac'),
    Row('webm', 'libvpx', ALT_REF, ('jittered',)),
    Row('ts', 'libx264', B, ('paused', 'cut'), 'aac'),
    Row('flv', 'libx264', B, ('paused',)),
    Row('avi', 'libx264', B, SLOTS, 'pcm_s16le', SLOT),
    Row('avi', 'libx264', {'bf': '0'}, ('paused',), None, SLOT),
    Row('avi', 'mpeg4', B, ('paused',), 'libmp3lame', SLOT),
    Row('mpg', 'mpeg2video', B, ('constant',), 'mp2', SLOT),
    Row('h264', 'libx264', B, ('constant',), None, SLOT),
    Row('gif', 'gif', {}, ('jittered',), pix_fmt='rgb8', tolerance=0.01),
]
SLOW = [
    Row('mp4', 'mpeg4', B, ALL, 'aac'),
    Row('mp4', 'libx265', H265, ALL, 'aac'),
    Row('mp4', 'libvpx-vp9', VP9, ALL, 'libopus'),
    Row('mp4', 'libsvtav1', {'preset': '12'}, ALL[:4], 'aac'),
    Row('mp4', 'mjpeg', {}, ALL, 'aac', pix_fmt='yuvj420p'),
    Row('mov', 'libx264', B, ALL, 'pcm_s16le'),
    Row('mov', 'prores', {}, ALL, 'aac', pix_fmt='yuv422p10le'),
    Row('mov', 'qtrle', {}, ALL, 'aac', pix_fmt='rgb24'),
    Row('3gp', 'libx264', B, ALL, 'aac'),
    Row('3gp', 'h263', {}, ALL, size=(96, 128)),
    Row('m4v', 'mpeg4', B, ALL[:3]),
    Row('f4v', 'libx264', B, ALL[:4], 'aac'),
    Row('mkv', 'mpeg4', B, ALL, 'libmp3lame'),
    Row('mkv', 'libx265', H265, ALL, 'flac'),
    Row('mkv', 'ffv1', {}, ALL, 'pcm_s16le'),
    Row('mkv', 'mpeg2video', B, SLOTS, 'mp2', SLOT),
    Row('mkv', 'libx264', B, ALL, 'ac3'),
    Row('webm', 'libvpx', {}, ALL, 'libopus'),
    Row('webm', 'libvpx', ALT_REF, ALL, 'libopus'),
    Row('webm', 'libvpx-vp9', {**ALT_REF, **VP9}, ALL, 'libopus'),
    Row('avi', 'mpeg4', {}, SLOTS, 'pcm_s16le', SLOT),
    Row('avi', 'msmpeg4', {}, SLOTS, 'pcm_s16le', SLOT),
    Row('avi', 'mpeg2video', B, SLOTS, 'mp2', SLOT),
    Row('avi', 'ffv1', {}, SLOTS, 'pcm_s16le', SLOT),
    Row('avi', 'mjpeg', {}, SLOTS, 'pcm_s16le', SLOT, 'yuvj420p'),
    Row('avi', 'libvpx', {}, SLOTS, None, SLOT),
    Row('mpg', 'mpeg1video', B, ('constant', 'late'), 'mp2', SLOT),
    Row('mpg', 'libx264', B, ('constant',), 'mp2', SLOT),
    Row('vob', 'mpeg2video', B, ('constant',), 'ac3', SLOT),
    Row('ts', 'libx265', H265, ALL, 'aac'),
    Row('ts', 'mpeg2video', B, SLOTS, 'mp2', SLOT),
    Row('ts', 'mpeg4', B, SLOTS, 'mp2', SLOT),
    Row('m2ts', 'libx264', B, ALL, 'ac3'),
    Row('flv', 'flv', {}, ALL, 'libmp3lame'),
    Row('asf', 'wmv2', {}, ALL[:4], 'libmp3lame'),
    Row('asf', 'mpeg4', B, ('constant', 'paused'), 'libmp3lame'),
    Row('wmv', 'libx264', B, ('constant', 'paused'), 'libmp3lame'),
    Row('nut', 'libx264', B, ALL[:4], 'libmp3lame'),
    Row('mxf', 'mpeg2video', B, ('constant',), None, SLOT, size=(96, 128)),
    Row('wtv', 'mpeg2video', B, ('constant', 'paused'), 'mp2', SLOT),
    Row('hevc', 'libx265', H265, ('constant',), None, SLOT),
    Row('m1v', 'mpeg1video', B, ('constant',), None, SLOT),
    Row('m2v', 'mpeg2video', B, ('constant',), None, SLOT),
    Row('ivf', 'libvpx', {}, ALL[:3]),
    Row('apng', 'apng', {}, ALL[:3], pix_fmt='rgb24'),
    Row('y4m', 'rawvideo', {}, ('constant',), None, SLOT),
    Row('rm', 'rv20', {}, ('constant',), None, SLOT, size=(96, 128)),
]
CASES = [
    pytest.param(
        row,
        kind,
        id='-'.join([row.suffix, row.codec, kind, *row.options]),
        marks=[pytest.mark.slow] if row in SLOW else [],
    )
    for row in FAST + SLOW
    for kind in row.kinds
]


def make(folder, row: Row, kind: str):
    path = folder / f'clip.{row.suffix}'
    write_media(
        path,
        TIMES[kind],
        codec=row.codec,
        options=row.options,
        pix_fmt=row.pix_fmt,
        size=row.size,
        time_base=row.time_base,
        sound=row.sound,
    )
    if kind != 'cut':
        return path
    short = folder / f'short.{row.suffix}'
    cut(path, short, 1.2)
    return short


@pytest.mark.parametrize(('row', 'kind'), CASES)
def test_pictures_and_times_are_those_of_a_full_decode(tmp_path, row, kind):
    path = make(tmp_path, row, kind)
    full = shown(path)
    results = PyAVSeekInit()(dict(filename=str(path)))
    last = len(full) - 1
    assert results['total_frames'] == last + 1 > COUNT // 2
    start, _ = results['segment_seconds']
    first = TIMES[kind][full[0].number]
    # Single pictures, a clip, and one that loops.
    clips = [[0], [last // 3], [last // 2], [last], range(24, 40, 3)]
    for clip in [*clips, [last - 4, last - 2, last, 0, 2]]:
        results['frame_inds'] = np.array(clip)
        results = PyAVSeekDecode()(results)
        for number, image, seconds in zip(
            clip, results['imgs'], results['frame_times'], strict=True
        ):
            expected = full[number]
            assert np.array_equal(image, expected.image)
            written = TIMES[kind][expected.number] - first
            assert abs(seconds - start - written) < row.tolerance
            is_told = row.suffix not in UNTIMED and expected.seconds >= 0
            if is_told:
                assert seconds == pytest.approx(expected.seconds)
