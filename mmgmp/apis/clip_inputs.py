"""From what a user has of a clip to the sources of a sample."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16000
_KEYS = ('video', 'audio', 'fps', 'sample_rate')


def read_sound(path: str | Path) -> NDArray[np.float32] | None:
    """Decode the sound track of a media file, as ``data_prep`` does.

    Args:
        path: File that FFmpeg can read.

    Returns:
        Mono waveform at 16 kHz, shape ``(L,)``, or None without a track.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be decoded.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file')
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            resampler = av.AudioResampler('flt', 'mono', SAMPLE_RATE)
            frames = [
                part
                for frame in container.decode(audio=0)
                for part in resampler.resample(frame)
            ]
            frames += resampler.resample(None)
    except av.FFmpegError as error:
        raise OSError(f'{path} cannot be decoded: {error}') from error
    if not frames:
        return None
    return np.concatenate([f.to_ndarray().reshape(-1) for f in frames])


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
        ValueError: If an array has the wrong shape or type.
    """
    sources: dict[str, dict[str, Any]] = {}
    video, audio = clip.get('video'), clip.get('audio')
    if video is not None and 'video' in modalities:
        sources['video'] = _video_entry(video, clip.get('fps', 24.0))
    if 'audio' not in modalities:
        return sources
    if 'audio' not in clip and isinstance(video, (str, Path)):
        audio = read_sound(video)
    if isinstance(audio, (str, Path)):
        audio = read_sound(audio)
        rate = SAMPLE_RATE
    else:
        rate = clip.get('sample_rate', SAMPLE_RATE)
    if audio is not None:
        waveform = np.asarray(audio)
        if waveform.ndim != 1 or waveform.dtype.kind != 'f':
            raise ValueError(
                'audio must be a float waveform of shape (L,) between -1 and '
                f'1, got {waveform.dtype} {waveform.shape}'
            )
        sources['audio'] = {
            'waveform': waveform,
            'sample_rate': rate,
            # Of use only if no picture says what was sampled.
            'clip_seconds': (0.0, len(waveform) / rate),
        }
    return sources


def _video_entry(video: Any, fps: float) -> dict[str, Any]:
    if isinstance(video, (str, Path)):
        return {'path': str(video)}
    frames = np.asarray(video)
    is_rgb = frames.ndim == 4 and frames.shape[3] == 3 and len(frames)
    if not is_rgb or frames.dtype != np.uint8:
        raise ValueError(
            'frames must be uint8 RGB of shape (T, H, W, 3), got '
            f'{frames.dtype} {frames.shape}'
        )
    return {'array': frames, 'fps': fps}
