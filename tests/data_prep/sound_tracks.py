"""Videos with a sound track, for tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def noise(seconds: float, rate: int, channels: int, seed: int = 0):
    return np.random.default_rng(seed).integers(
        -9000, 9000, (round(seconds * rate), channels), dtype=np.int16
    )


def tone(seconds: float, rate: int, channels: int, frequency: float = 440):
    times = np.arange(round(seconds * rate)) / rate
    wave = (8000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16)
    return np.repeat(wave[:, None], channels, 1)


def write_with_sound(
    path: Path, samples: np.ndarray, rate: int, codec: str
) -> None:
    """A short picture track and a sound track in one file."""
    layout = {1: 'mono', 2: 'stereo'}[samples.shape[1]]
    with av.open(str(path), 'w') as container:
        video = container.add_stream('mpeg4', rate=24)
        video.width = video.height = 32
        video.pix_fmt = 'yuv420p'
        audio = container.add_stream(codec, rate=rate, layout=layout)
        for number in range(24):
            image = np.full((32, 32, 3), 8 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(
            samples.reshape(1, -1), format='s16', layout=layout
        )
        frame.rate, frame.pts = rate, 0
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
