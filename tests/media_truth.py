"""Media whose truth is known: which picture is shown when, and what sounds.

Every picture carries its own number as black and white blocks. The sound is
fixed noise, and the noise of second ``t`` sounds at second ``t`` of the
recording; so the place of any crop of it can be measured. Picture ``k`` and
the noise of ``times[k]`` belong together in every file written here, also
where a stream starts late, has gaps or was cut without encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

SOUND_RATE = 48000
RATE = 24
_BITS, _BLOCK = 8, 1152
_NOISE_SECONDS = 12


class Shown(NamedTuple):
    """One picture of a full decode."""

    number: int  #: what is painted on it
    seconds: float  #: when it is shown, on the clock of the file
    image: np.ndarray  #: uint8 RGB


def constant(count: int, start: float = 0.0) -> list[float]:
    """Times of pictures at 24 per second."""
    return [start + k / RATE for k in range(count)]


def paused(count: int, pause: float = 1.0) -> list[float]:
    """Times of pictures that stand still for a while after a third."""
    third = count // 3
    return [k / RATE + (pause if k >= third else 0) for k in range(count)]


def jittered(count: int) -> list[float]:
    """Times of pictures 15 to 65 ms apart, as a web camera gives them."""
    steps = np.random.default_rng(1).integers(15, 66, count)
    return [float(t) / 1000 for t in np.cumsum(steps) - steps[0]]


def picture(number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Paint a number in 2 x 4 blocks, uint8 RGB of shape ``(H, W, 3)``."""
    bits = [(number >> bit) & 1 for bit in range(_BITS)]
    blocks = np.array(bits, np.uint8).reshape(2, 4) * 190 + 30
    rows, columns = np.arange(size[0]) * 2, np.arange(size[1]) * 4
    grey = blocks[rows // size[0]][:, columns // size[1]]
    return np.repeat(grey[..., None], 3, axis=2)


def number_of(image: np.ndarray) -> int:
    """Read the number of an upright picture back, of any size."""
    height, width = image.shape[:2]
    rows = (np.arange(2) * 2 + 1) * height // 4
    columns = (np.arange(4) * 2 + 1) * width // 8
    bits = (image[np.ix_(rows, columns)].mean(axis=2) > 125).reshape(-1)
    return int(sum(int(bit) << place for place, bit in enumerate(bits)))


@cache
def _noise(rate: int) -> np.ndarray:
    raw = np.random.default_rng(7).standard_normal(_NOISE_SECONDS * 8000 + 2)
    at = np.arange(_NOISE_SECONDS * rate) / rate * 8000
    wave = np.clip(0.15 * np.interp(at, np.arange(len(raw)), raw), -0.9, 0.9)
    return wave.astype(np.float32)


def noise(seconds: float, rate: int = SOUND_RATE) -> np.ndarray:
    """The first seconds of the noise, at most 12, below 4 kHz."""
    return _noise(rate)[: round(seconds * rate)]


def place_of(wave: np.ndarray, rate: int = 16000) -> tuple[float, float]:
    """Which second of the noise a crop starts at, and how surely (0 to 1)."""
    from scipy.signal import fftconvolve

    reference = _noise(rate).astype(np.float64)
    crop = wave[:rate] - np.mean(wave[:rate])
    dots = fftconvolve(reference, crop[::-1], mode='valid')
    sums = np.concatenate([[0], np.cumsum(reference**2)])
    energy = sums[len(crop) :] - sums[: -len(crop)]
    score = dots / np.sqrt(energy * (crop**2).sum() + 1e-12)
    best = int(score.argmax())
    return best / rate, float(score[best])


def write_media(
    path: Path | str,
    times: Sequence[float],
    *,
    codec: str = 'libx264',
    options: Mapping[str, str] | None = None,
    pix_fmt: str = 'yuv420p',
    size: tuple[int, int] = (48, 64),
    rate: Fraction | int = RATE,
    time_base: Fraction = Fraction(1, 24000),
    sound: str | None = None,
    sound_start: float = 0.0,
    sound_gaps: Iterable[tuple[float, float]] = (),
    container: str | None = None,
) -> None:
    """Write a file whose k-th picture is shown at ``times[k]`` seconds.

    Args:
        path: File to write.
        times: Seconds, rising; at most 256 and 12 s.
        codec: Encoder of the pictures.
        options: Of that encoder.
        pix_fmt: Of the stored pictures.
        size: Height and width.
        rate: What the header says; the times need not fit it.
        time_base: Unit of the time stamps that the encoder gets.
        sound: Encoder of the sound, None for a file without.
        sound_start: Second before which no sound is stored.
        sound_gaps: Spans of seconds whose packets are not stored.
        container: FFmpeg's format, None for that of the suffix.
    """
    with av.open(str(path), 'w', format=container) as out:
        video: Any = out.add_stream(codec, rate=rate)
        video.height, video.width = size
        video.pix_fmt = pix_fmt
        video.time_base = video.codec_context.time_base = time_base
        video.options = dict(options or {})
        track: Any = out.add_stream(sound, rate=SOUND_RATE) if sound else None
        if track is not None:
            track.layout = 'mono'
        packets = list(_encode_pictures(video, times, size, time_base))
        if track is not None:
            seconds = times[-1] + 1 / RATE
            packets += _encode_sound(track, seconds, sound_start, sound_gaps)
        for packet in sorted(packets, key=_decoding_time):
            out.mux(packet)


def _encode_pictures(
    stream: Any,
    times: Sequence[float],
    size: tuple[int, int],
    time_base: Fraction,
) -> Iterator[Any]:
    for number, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(picture(number, size), 'rgb24')
        frame = frame.reformat(format=stream.pix_fmt)
        frame.pts = round(time / time_base)
        frame.time_base = time_base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _encode_sound(
    stream: Any,
    seconds: float,
    start: float,
    gaps: Iterable[tuple[float, float]],
) -> Iterator[Any]:
    wave = noise(seconds)
    layout, kind = 'mono', stream.codec_context.format.name
    gaps = tuple(gaps)
    for first in range(0, len(wave), _BLOCK):
        at = first / SOUND_RATE
        if at < start or any(a <= at < b for a, b in gaps):
            continue
        block = wave[None, first : first + _BLOCK]
        frame = av.AudioFrame.from_ndarray(block, 'fltp', layout)
        frame.sample_rate, frame.pts = SOUND_RATE, first
        frame.time_base = Fraction(1, SOUND_RATE)
        resampler = av.AudioResampler(kind, layout, SOUND_RATE)
        for part in resampler.resample(frame):
            part.pts, part.time_base = first, Fraction(1, SOUND_RATE)
            yield from stream.encode(part)
    yield from stream.encode(None)


def _decoding_time(packet: Any) -> float:
    stamp = packet.pts if packet.dts is None else packet.dts
    return float(stamp * packet.time_base)


def cut(source: Path | str, path: Path | str, seconds: float) -> None:
    """Cut the beginning off without encoding, as ``ffmpeg -c copy`` does.

    Pictures are kept from the keyframe before ``seconds``, sound from
    ``seconds``. MP4 and MOV hide the pictures before with an edit list; other
    containers show them, before the first sound.
    """
    hides = Path(path).suffix in ('.mp4', '.mov', '.m4v', '.3gp')
    options = {'avoid_negative_ts': 'disabled'} if hides else {}
    with (
        av.open(str(source)) as old,
        av.open(str(path), 'w', options=options) as new,
    ):
        copies = {
            stream.index: new.add_stream_from_template(stream)
            for stream in old.streams
        }
        packets = [p for p in old.demux() if p.size]
        key = max(
            p.pts * p.time_base
            for p in packets
            if p.stream.type == 'video'
            and p.is_keyframe
            and p.pts * p.time_base <= seconds
        )
        start = Fraction(seconds).limit_denominator(1000)
        zero = start if hides else Fraction(key)
        kept = False
        for packet in packets:
            time = packet.pts * packet.time_base
            is_video = packet.stream.type == 'video'
            kept = kept or (is_video and time == key)
            if not (kept if is_video else time >= start):
                continue
            shift = round(zero / packet.time_base)
            packet.pts -= shift
            packet.dts = (packet.dts or packet.pts + shift) - shift
            packet.stream = copies[packet.stream.index]
            new.mux(packet)


def turn(path: Path, degrees: int) -> None:
    """Give an MP4 a tag that has players turn it clockwise by 90s."""
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[
        degrees % 360
    ]
    one, data = 0x10000, bytearray(path.read_bytes())
    matrix = (cosine, sine, 0, -sine, cosine, 0, 0, 0, 0x4000)
    box = data.index(b'tkhd') - 4
    values = [value * one for value in matrix]
    data[box + 48 : box + 84] = struct.pack('>9i', *values)
    path.write_bytes(data)


def shown(path: Path | str, **options: Any) -> list[Shown]:
    """Decode a whole file, and say when each picture is shown."""
    with av.open(str(path), **options) as container:
        zero = max(container.start_time or 0, 0) / av.time_base
        pictures = [
            (frame.time, frame.to_ndarray(format='rgb24'))
            for frame in container.decode(video=0)
        ]
    return [
        Shown(number_of(i), -1.0 if t is None else t - zero, i)
        for t, i in pictures
    ]
