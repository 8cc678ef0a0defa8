from __future__ import annotations

from fractions import Fraction

import numpy as np

from mmgmp.datasets.transforms.frame_index import read_frame_index
from mmgmp.datasets.transforms.pyav_seek import decode_frames
from tests.fuzzing import fuzz
from tests.media_truth import constant, write_media

SLOT = Fraction(1, 24)
FILES = {
    'clip.mp4': dict(codec='libx264', sound='aac'),
    'clip.mkv': dict(codec='libx264'),
    'clip.avi': dict(codec='mpeg4', options={'bf': '2'}, time_base=SLOT),
    'clip.webm': dict(codec='libvpx'),
    'clip.mpg': dict(codec='mpeg2video', time_base=SLOT),
    'clip.ts': dict(codec='libx264', sound='aac'),
}


def read(path):
    """First, middle and last picture of a file."""
    total = read_frame_index(str(path)).total_frames
    wanted = {0, total // 2, total - 1}
    return wanted, decode_frames(str(path), sorted(wanted))[0]


def is_right(result) -> bool:
    wanted, frames = result
    return set(frames) == wanted and all(
        image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        for image in frames.values()
    )


def test_mutated_videos_give_pictures_or_an_error_of_ours(tmp_path):
    originals = {}
    for name, options in FILES.items():
        write_media(tmp_path / name, constant(12), size=(32, 48), **options)
        originals[name] = (tmp_path / name).read_bytes()
    findings = fuzz(read, originals, tmp_path, check=is_right)
    assert not findings
