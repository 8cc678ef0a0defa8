"""Readers of video files: how fast, and whether the pictures are right."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
from epochs import moving_picture
from mmcv.transforms import Compose

from mmgmp.testing.media import write_video

_FPS = 24
#: Height, width and seconds of the clips.
SIZES = {'720p, 10 s': (720, 1280, 10), '320 x 240, 3 s': (240, 320, 3)}
#: The pictures of a clip: 32, every other one.
_SAMPLE = dict(type='SampleFrames', clip_len=32, frame_interval=2)
_LENGTH, _STRIDE = 32, 2
Reader = Callable[[str], Sequence[np.ndarray]]


def _pipeline(*steps: dict[str, Any]) -> Reader:
    compose = Compose(list(steps))

    def run(path: str) -> Sequence[np.ndarray]:
        entry = dict(filename=path, start_index=0, modality='RGB')
        return compose(entry)['imgs']

    return run


def _whole_file(path: str) -> Sequence[np.ndarray]:
    """Decode every picture, then sample: what a naive loader does."""
    frames = _every_picture(path)
    span = _STRIDE * (_LENGTH - 1) + 1
    offset = np.random.randint(len(frames) - span + 1)
    return frames[offset : offset + span : _STRIDE]


def _every_picture(path: str) -> list[np.ndarray]:
    with av.open(path) as container:
        frames = sorted(container.decode(video=0), key=lambda f: f.pts)
        return [frame.to_ndarray(format='rgb24') for frame in frames]


def _torchcodec(path: str, numbers: Sequence[int] | None = None) -> Any:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(
        path, dimension_order='NHWC', num_ffmpeg_threads=1, seek_mode='exact'
    )
    if numbers is None:
        results = dict(total_frames=len(decoder), start_index=0)
        sampled = Compose([_SAMPLE])(results)
        numbers = sampled['frame_inds'].tolist()
    return decoder.get_frames_at(list(numbers)).data.numpy()


def _decord(path: str, numbers: Sequence[int]) -> Any:
    import decord

    reader = decord.VideoReader(path, num_threads=1)
    return reader.get_batch(list(numbers)).asnumpy()


def _seek(path: str, numbers: Sequence[int]) -> Any:
    from mmgmp.datasets.transforms.pyav_seek import decode_frames

    frames, _ = decode_frames(path, numbers)
    return [frames[number] for number in numbers]


def _readers() -> dict[str, tuple[Reader, Callable]]:
    """Those that can be imported: reading a clip, and named pictures."""
    found: dict[str, tuple[Reader, Callable]] = {
        'PyAVSeekDecode': (
            _pipeline(
                dict(type='PyAVSeekInit'),
                _SAMPLE,
                dict(type='PyAVSeekDecode'),
            ),
            _seek,
        ),
        'whole file': (
            _whole_file,
            lambda path, numbers: [_every_picture(path)[n] for n in numbers],
        ),
    }
    if find_spec('decord'):
        found['decord'] = (
            _pipeline(
                dict(type='DecordInit', num_threads=1),
                _SAMPLE,
                dict(type='DecordDecode'),
            ),
            _decord,
        )
    if find_spec('torchcodec'):
        found['torchcodec'] = (_torchcodec, _torchcodec)
    return found


def reading(rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Compare readers by speed and by what they give.

    Each round reads the same random clip of 32 pictures with all of them, on
    one thread. Then single pictures are compared with those of a full decode
    in order of presentation.

    Args:
        rounds: Clips read by each.
        quick: The small clips only.

    Returns:
        A row per reader: clips per second, the share of pictures that are
        those asked for, and their largest difference in levels of 255.
    """
    import mmgmp.datasets  # noqa: F401

    readers = _readers()
    rows: dict[str, dict[str, Any]] = {
        name: {'reader': name} for name in readers
    }
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        for size, (height, width, seconds) in SIZES.items():
            if quick and seconds > 3:
                continue
            path = str(folder / f'{height}.mp4')
            frames = moving_picture(height, width, _FPS * seconds)
            write_video(path, frames, fps=_FPS)
            for name, rate in _rates(readers, path, rounds).items():
                rows[name][f'{size}, clips/s'] = rate
        for name, path in _hard_files(folder).items():
            truth = np.stack(_every_picture(path)).astype(np.int16)
            for reader, (_, pictures) in readers.items():
                right, most = _exactness(pictures, path, truth)
                rows[reader][f'{name}, right'] = right
                rows[reader][f'{name}, off by'] = most
    return list(rows.values())


def _rates(
    readers: dict[str, tuple[Reader, Callable]], path: str, rounds: int
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(rounds + 1):
        for name, (read, _) in readers.items():
            np.random.seed(number)  # the same clip for all
            start = time.perf_counter()
            pictures = read(path)
            if number:
                times[name].append(time.perf_counter() - start)
            assert len(pictures) == _LENGTH
    return {name: 1 / statistics.median(t) for name, t in times.items()}


def _hard_files(folder: Path) -> dict[str, str]:
    """One with B-frames, and one that does not begin at 0."""
    frames = moving_picture(120, 160, 60)
    between, late = str(folder / 'b.mp4'), str(folder / 'late.mkv')
    write_video(between, frames, fps=_FPS, max_b_frames=3)
    times = [517 + round(1000 * n / _FPS) for n in range(len(frames))]
    write_video(late, frames, fps=_FPS, times_ms=times)
    return {'B-frames': between, 'start at 0.517 s': late}


def _exactness(
    pictures: Callable, path: str, truth: np.ndarray
) -> tuple[float, float]:
    """Share of right pictures, and the largest difference of a right one."""
    # Out of order, so that a reader has to seek.
    numbers = np.random.default_rng(0).permutation(len(truth))
    right, most = 0, 0
    for number in numbers.tolist():
        [found] = pictures(path, [number])
        off = np.abs(truth - found.astype(np.int16))
        nearest = int(off.mean((1, 2, 3)).argmin())
        right += nearest == number
        most = max(most, int(off[number].max()) if nearest == number else 0)
    return right / len(truth), most
