"""A clip with the scores of every branch drawn below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mmgmp.visualization.palette import COLOURS

#: Probability by class name, by branch: ``'fused'``, then the modalities.
Scores = Mapping[str, Mapping[str, float]]
Frame = NDArray[np.uint8]

#: Of the picture in pixels.
PANEL_WIDTH = 480
_LINE, _NUM_CLASSES = 18, 5
# Unit of the time stamps; MPEG-4 allows none below 1/65535 s.
_TICK = Fraction(1, 60000)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_scores(
    scores: Scores, width: int = PANEL_WIDTH, caption: str = ''
) -> Frame:
    """Draw one group of bars per branch, for the most likely classes.

    Above its bars stands what the branch itself takes the clip for, which
    need not be among the classes that the first branch finds likely.

    Args:
        scores: Probability by class, by branch; the first branch decides
            which classes are shown and in which order.
        width: Width of the picture in pixels.
        caption: Line above all.

    Returns:
        RGB picture, uint8 of shape ``(H, width, 3)``, H even.

    Example:
        >>> scores = {'fused': {'eating': 0.75, 'running': 0.25}}
        >>> draw_scores(scores, width=320).shape
        (60, 320, 3)
    """
    first = next(iter(scores.values()))
    names = sorted(first, key=lambda name: -first[name])[:_NUM_CLASSES]
    lines = (len(names) + 1) * len(scores) + bool(caption)
    height = lines * _LINE + 6
    picture = np.full((height + height % 2, width, 3), 255, np.uint8)
    text_width = int(0.42 * width)
    y = 0
    if caption:
        y += _LINE
        write_line(picture, caption, (6, y))
    for number, (branch, values) in enumerate(scores.items()):
        y += _LINE
        guess = max(values, key=lambda name: values[name])
        head = f'{branch}: {guess} {100 * values[guess]:.0f}%'
        write_line(picture, head, (6, y), bold=True)
        colour = _rgb(COLOURS[number % len(COLOURS)])
        for name in names:
            y += _LINE
            write_line(picture, name[:24], (14, y))
            end = text_width + int(values[name] * (width - text_width - 50))
            top = (text_width, y - _LINE + 6)
            cv2.rectangle(picture, top, (end, y), colour, cv2.FILLED)
            write_line(picture, f'{100 * values[name]:.0f}%', (end + 5, y))
    return picture


def write_prediction_video(
    path: str | Path,
    frames: Iterable[tuple[float, Frame]],
    scores: Scores,
    waveform: NDArray[np.float32] | None = None,
    sample_rate: int = 16000,
    caption: str = '',
) -> None:
    """Write a clip with its scores below the picture, and its sound.

    Args:
        path: File to write; its ending names the container.
        frames: Second at which a picture is shown, later ones later, and the
            picture, RGB, uint8 of shape ``(H, W, 3)``.
        scores: As in :func:`draw_scores`; of none there is no panel.
        waveform: Sound from second 0 on, ``(L,)`` between -1 and 1, or None.
        sample_rate: Of the sound, in Hz.
        caption: Line above the scores.
    """
    panel = np.empty((0, PANEL_WIDTH, 3), np.uint8)
    if scores:
        panel = draw_scores(scores, caption=caption)
    codec = 'libx264' if 'libx264' in av.codecs_available else 'mpeg4'
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        video: Any = container.add_stream(codec)
        video.pix_fmt = 'yuv420p'
        video.codec_context.time_base = _TICK
        sound: Any = None
        if waveform is not None and len(waveform):
            sound = container.add_stream('aac', rate=sample_rate)
            sound.layout = 'mono'
        last = -1
        for seconds, picture in _with_panel(frames, panel):
            if last < 0:
                video.height, video.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            last = max(round(seconds / _TICK), last + 1)
            frame.pts, frame.time_base = last, _TICK
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            samples = np.ascontiguousarray(waveform, np.float32)[None]
            packet = av.AudioFrame.from_ndarray(samples, 'fltp', 'mono')
            packet.sample_rate = sample_rate
            container.mux(sound.encode(packet))
            container.mux(sound.encode(None))


def _with_panel(
    frames: Iterable[tuple[float, Frame]], panel: Frame
) -> Iterator[tuple[float, Frame]]:
    width = panel.shape[1]
    for seconds, frame in frames:
        height = round(frame.shape[0] * width / frame.shape[1] / 2) * 2
        scaled = cv2.resize(frame, (width, max(height, 2)))
        yield seconds, np.concatenate([scaled, panel])


def write_line(
    picture: Frame, text: str, place: tuple[int, int], bold: bool = False
) -> None:
    """Write a line into a picture.

    Args:
        picture: Changed in place.
        text: The line; what is not ASCII becomes ``?``.
        place: Left and lower end of it.
        bold: Whether it is a heading.
    """
    cv2.putText(
        picture,
        # OpenCV's fonts hold ASCII only.
        text.encode('ascii', 'replace').decode(),
        place,
        _FONT,
        0.42,
        (30, 30, 30),
        2 if bold else 1,
        cv2.LINE_AA,
    )


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
