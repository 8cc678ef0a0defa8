"""Read the part of a sound file that belongs to a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import soundfile
from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.frame_index import check_media_file
from mmgmp.registry import TRANSFORMS

_CROPS = ('entry', 'clip', 'none')
_CHANNELS = ('first', 'mean')
_ON_EMPTY = ('zeros', 'raise')


@TRANSFORMS.register_module()
class LoadAudioSegment(BaseTransform):
    """Load one segment of a sound file as a mono waveform.

    Only the segment is read. What happens at the edges is decided here:

    - a file that ends inside the segment gives the part that there is;
    - an empty segment gives an empty waveform, which the spectrogram
      transforms turn into silence as the published code does, or an error
      with ``on_empty='raise'``. With ``crop='clip'`` this happens when a video
      shorter than the clip is looped and ends where it began;
    - a missing file is a :class:`FileNotFoundError` naming ``data_prep``, an
      unreadable one an :class:`OSError`.

    Required keys: ``filename``, or ``waveform`` (float, ``(L,)`` or
    ``(L, channels)``) with ``sample_rate``; ``start`` and ``stop`` in seconds
    where the annotation has them; ``clip_seconds`` (``crop='clip'``).

    Added keys: ``waveform`` (float32 of shape ``(L,)``, about -1 to 1),
    ``sample_rate`` (Hz).

    Args:
        sample_rate: Rate of the result in Hz, > 0; another rate is resampled
            with librosa.
        crop: ``'entry'`` reads the annotated ``start`` to ``stop`` (the whole
            file without them), ``'clip'`` the seconds that the video list
            sampled, counted from the start of the file as the video's are,
            ``'none'`` the whole file.
        channel: ``'first'`` channel or ``'mean'`` of all.
        clip_fps: Frame rate that turns the sampled frame numbers into seconds
            for ``crop='clip'``. ``None`` takes the video's own; the published
            HAC code has 24 written into it.
        on_empty: ``'zeros'`` or ``'raise'`` for an empty segment.

    Raises:
        ValueError: If an option is unknown, or ``crop='clip'`` finds nothing
            that was sampled before.

    Example:
        >>> results = dict(waveform=np.ones(32000), sample_rate=16000)
        >>> results.update(clip_seconds=(0.5, 1.25))
        >>> LoadAudioSegment(crop='clip')(results)['waveform'].shape
        (12000,)

    Source: the HAC and EPIC-Kitchens protocol of SimMMDG (arXiv 2310.19795).
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        crop: str = 'entry',
        channel: str = 'first',
        clip_fps: float | None = None,
        on_empty: str = 'zeros',
    ) -> None:
        for name, value, known in (
            ('crop', crop, _CROPS),
            ('channel', channel, _CHANNELS),
            ('on_empty', on_empty, _ON_EMPTY),
        ):
            if value not in known:
                raise ValueError(
                    f'{name} must be one of {known}, got {value!r}'
                )
        for name, rate in (
            ('sample_rate', sample_rate),
            ('clip_fps', clip_fps),
        ):
            if rate is not None and rate <= 0:
                raise ValueError(f'{name} must be > 0, got {rate}')
        self.sample_rate = sample_rate
        self.crop = crop
        self.channel = channel
        self.clip_fps = clip_fps
        self.on_empty = on_empty

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the waveform to ``results``."""
        start, stop = self._segment(results)
        name = results.get('filename', 'the waveform')
        if 'waveform' in results:
            rate = results['sample_rate']
            wave = np.asarray(results['waveform'], np.float32)
            first, last = _sample_range(start, stop, rate, len(wave))
            wave = wave[first:last].reshape(last - first, -1)
        else:
            wave, rate = _read_segment(name, start, stop)
        if not len(wave) and self.on_empty == 'raise':
            raise OSError(
                f'{name} holds no sound from {start} to {stop} s; '
                "on_empty='zeros' takes silence instead"
            )
        mono = wave[:, 0] if self.channel == 'first' else wave.mean(axis=1)
        if rate != self.sample_rate and len(mono):
            import librosa

            mono = librosa.resample(
                mono, orig_sr=rate, target_sr=self.sample_rate
            )
        results['waveform'] = np.ascontiguousarray(mono, np.float32)
        results['sample_rate'] = self.sample_rate
        return results

    def _segment(self, results: dict[str, Any]) -> tuple[float, float | None]:
        """Seconds to read; a stop of ``None`` is the end of the file."""
        if self.crop == 'none':
            return 0.0, None
        if self.crop == 'entry':
            return results.get('start') or 0.0, results.get('stop')
        if self.clip_fps is not None and 'clip_frames' in results:
            first, last = results['clip_frames']
            return first / self.clip_fps, last / self.clip_fps
        if self.clip_fps is None and 'clip_seconds' in results:
            start, stop = results['clip_seconds']
            return start, stop
        raise ValueError(
            "crop='clip' needs the seconds that an earlier modality sampled, "
            f'got a sample with {sorted(results)}; put the video list before '
            'the audio list in MultiModalPipeline, and set clip_fps if the '
            'video transforms do not report a frame rate'
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(sample_rate={self.sample_rate}, '
            f'crop={self.crop!r}, channel={self.channel!r}, '
            f'clip_fps={self.clip_fps}, on_empty={self.on_empty!r})'
        )


def _sample_range(
    start: float, stop: float | None, rate: float, length: int
) -> tuple[int, int]:
    first = min(max(round(start * rate), 0), length)
    last = length if stop is None else min(round(stop * rate), length)
    return first, max(first, last)


def _read_segment(
    path: str, start: float, stop: float | None
) -> tuple[np.ndarray, int]:
    check_media_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            first, last = _sample_range(
                start, stop, file.samplerate, file.frames
            )
            file.seek(first)
            wave = file.read(last - first, dtype='float32', always_2d=True)
            return wave, file.samplerate
    except soundfile.LibsndfileError as error:
        raise OSError(
            f'{path} cannot be read as sound ({error}); fetch or extract it '
            "again, or let the dataset skip it with on_error='skip'"
        ) from error
