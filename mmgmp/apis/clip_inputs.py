"""From what a user has of a clip to the sources of a sample."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from mmgmp.datasets.sound_track import read_sound_track as read_sound
from mmgmp.datasets.transforms.pyav_seek import read_frames
from mmgmp.datasets.waveform_checks import (
    SAMPLE_RATE,
    WaveformError,
    check_sample_rate,
    check_values,
)

__all__ = [
    'SAMPLE_RATE',
    'as_clip',
    'clip_frames',
    'clip_sources',
    'read_sound',
    'reading_files',
]

_KEYS = ('video', 'audio', 'fps', 'sample_rate')


def as_clip(value: Any) -> dict[str, Any]:
    """Bring every accepted form of a clip to one.

    Args:
        value: Path of a video; ``(frames, waveform)``; or a mapping with
            ``video`` (path or frames ``(T, H, W, 3)``), ``audio`` (path or
            waveform ``(L,)``; absent means the track of the video file, None
            means none), ``fps`` and ``sample_rate``.

    Returns:
        The mapping.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a key is unknown, or there is neither picture nor
            sound.

    Example:
        >>> as_clip('clip.mp4')
        {'video': 'clip.mp4'}
    """
    if isinstance(value, (str, Path)):
        return {'video': str(value)}
    if isinstance(value, tuple) and len(value) == 2:
        value = {'video': value[0], 'audio': value[1]}
    if not isinstance(value, Mapping):
        raise TypeError(
            'inputs must be a path, (frames, waveform), a dict or a list of '
            f'these, got {type(value).__name__}'
        )
    unknown = sorted(set(value) - set(_KEYS))
    if unknown:
        raise ValueError(
            f'inputs must have no keys but {list(_KEYS)}, got {unknown}'
        )
    if value.get('video') is None and value.get('audio') is None:
        raise ValueError(
            'inputs must hold video or audio, got neither; name a file, or '
            'give frames (T, H, W, 3) or a waveform (L,)'
        )
    return dict(value)


def clip_sources(
    clip: Mapping[str, Any], modalities: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Write a clip as the sources of a sample.

    Args:
        clip: What :func:`as_clip` returned.
        modalities: Those that the model takes.

    Returns:
        Entry by modality, of those that are there: a file without a sound
        track gives no ``'audio'``.

    Raises:
        OSError: If a file is missing or cannot be decoded.
        ValueError: If an array has the wrong shape or type, holds NaN or
            values in the scale of integers, or a rate that cannot be.
    """
    sources: dict[str, dict[str, Any]] = {}
    video, audio = clip.get('video'), clip.get('audio')
    if video is not None and 'video' in modalities:
        sources['video'] = _video_entry(video, clip.get('fps', 24.0))
    if 'audio' not in modalities:
        return sources
    if 'audio' not in clip and isinstance(video, (str, Path)):
        audio = video
    if isinstance(audio, (str, Path)):
        waveform = read_sound(audio)
        if waveform is not None:
            entry = _audio_entry(waveform, SAMPLE_RATE)
            # The name is for messages.
            sources['audio'] = {'path': str(audio), **entry}
    elif audio is not None:
        rate = clip.get('sample_rate', SAMPLE_RATE)
        sources['audio'] = _audio_entry(audio, rate)
    return sources


def _audio_entry(audio: Any, rate: Any) -> dict[str, Any]:
    waveform = np.asarray(audio)
    if waveform.ndim != 1 or waveform.dtype.kind != 'f' or not len(waveform):
        raise ValueError(
            'audio must be a float waveform of shape (L,) between -1 and '
            f'1, got {waveform.dtype} {waveform.shape}'
        )
    try:
        check_values(waveform, 'audio')
        check_sample_rate(rate, 'audio')
    except WaveformError as error:
        raise ValueError(str(error)) from error
    return {
        'waveform': waveform,
        'sample_rate': rate,
        # Of use only if no picture says what was sampled.
        'clip_seconds': (0.0, len(waveform) / rate),
    }


def _video_entry(video: Any, fps: Any) -> dict[str, Any]:
    if isinstance(video, (str, Path)):
        return {'path': str(video)}
    frames = np.asarray(video)
    is_rgb = frames.ndim == 4 and frames.shape[3] == 3 and frames.size
    if not is_rgb or frames.dtype != np.uint8:
        raise ValueError(
            'frames must be uint8 RGB of shape (T, H, W, 3), got '
            f'{frames.dtype} {frames.shape}'
        )
    if not isinstance(fps, Real) or not 0 < float(fps) < math.inf:
        raise ValueError(f'fps must be a number > 0, got {fps!r}')
    return {'array': frames, 'fps': fps}


def reading_files(transform: dict[str, Any]) -> dict[str, Any]:
    """Let a pipeline for frame folders read video files.

    Args:
        transform: Config of one transform of the pipeline.

    Returns:
        The config, changed where it decodes folders.
    """
    video = transform.get('video')
    if not isinstance(video, Sequence) or not any(
        step['type'] == 'RawFrameDecode' for step in video
    ):
        return transform
    steps = [
        {'type': 'PyAVSeekDecode'}
        if step['type'] == 'RawFrameDecode'
        else step
        for step in video
    ]
    return {**transform, 'video': [{'type': 'PyAVSeekInit'}, *steps]}


def clip_frames(
    clip: Mapping[str, Any],
) -> Iterator[tuple[float, np.ndarray]]:
    """Return the pictures of a clip, with the second when each is shown.

    Args:
        clip: What :func:`as_clip` returned, with a video.
    """
    video = clip['video']
    if isinstance(video, (str, Path)):
        return read_frames(str(video))
    fps = clip.get('fps', 24.0)
    return ((number / fps, frame) for number, frame in enumerate(video))
