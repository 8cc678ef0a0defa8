"""Read the part of a sound file that belongs to a sample."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from mmgmp.datasets.sound_file import (
    CHANNELS,
    MAX_SAMPLES,
    Mixer,
    is_sound_constant,
    read_segment,
    sample_range,
)
from mmgmp.datasets.waveform_checks import (
    SAMPLE_RATE,
    WaveformError,
    check_sample_rate,
    is_constant,
)
from mmgmp.registry import TRANSFORMS
from mmgmp.utils.checks import check_choice

_CHOICES = {
    'crop': ('entry', 'clip', 'none'),
    'channel': CHANNELS,
    'on_empty': ('zeros', 'raise'),
    'on_silence': ('raise', 'keep'),
    'on_loop': ('follow', 'published'),
}
Span = tuple[Any, Any]


@TRANSFORMS.register_module()
class LoadAudioSegment(BaseTransform):
    """Load one segment of a sound file as a mono waveform.

    Only the segment is read. What happens at the edges is decided here:

    - a file that ends inside the segment gives the part that there is;
    - a *clip* without sound (``crop='clip'`` behind the end of the sound, or
      of one picture) gives an empty waveform, which the spectrogram
      transforms turn into silence as the published code does, or an error
      with ``on_empty='raise'``; a clip that falls into a silent part of its
      sample is silence;
    - a *sample* without sound is an :class:`OSError`, so that ``on_error`` of
      the dataset applies: its file or annotated segment is empty, or constant
      from end to end. ``on_silence='keep'`` takes it as silence and says so;
    - a missing file is a :class:`FileNotFoundError` naming ``data_prep``. An
      unreadable one is an :class:`OSError` that names it, and so are samples
      that are NaN, infinite or in the scale of integers (beyond 8), channels
      that cancel each other, seconds that are no finite numbers, and headers
      that cannot be believed.

    Required keys: ``filename``, or ``waveform`` (float, ``(L,)`` or
    ``(L, channels)``) with ``sample_rate``; ``start`` and ``stop`` in seconds
    where the annotation has them; ``clip_spans`` or ``clip_seconds``
    (``crop='clip'``).

    Added keys: ``waveform`` (float32 of shape ``(L,)``, about -1 to 1),
    ``sample_rate`` (Hz).

    Args:
        sample_rate: Rate of the result in Hz, > 0; another rate is resampled
            with librosa.
        crop: ``'entry'`` reads the annotated ``start`` to ``stop`` (the whole
            file without them), ``'clip'`` the seconds that the video list
            sampled, counted from second 0 of the file as the video's are,
            ``'none'`` the whole file.
        channel: ``'mean'`` of all channels or the ``'first'`` one, as in the
            published code.
        clip_fps: Frame rate that turns the sampled frame numbers into seconds
            for ``crop='clip'``. ``None`` takes the video's own time stamps;
            the published HAC code has 24 written into it.
        on_empty: ``'zeros'`` or ``'raise'`` for a clip without sound.
        on_silence: ``'raise'`` or ``'keep'`` for a sample without sound.
        on_loop: What is heard of a video that is shorter than the clip and
            repeats: ``'follow'`` hears what is seen, again and again;
            ``'published'`` once, from the first to the last picture, which is
            nothing where the clip ends on the picture it began with.

    Raises:
        ValueError: If an option is unknown, or ``crop='clip'`` finds nothing
            that was sampled before.

    Example:
        >>> wave = np.random.default_rng(0).uniform(-1, 1, 32000)
        >>> results = dict(waveform=wave, sample_rate=16000)
        >>> results.update(clip_seconds=(0.5, 1.25))
        >>> LoadAudioSegment(crop='clip')(results)['waveform'].shape
        (12000,)

    Source: the HAC and EPIC-Kitchens protocol of SimMMDG (arXiv 2310.19795).
    """

    def __init__(
        self,
        sample_rate: int = SAMPLE_RATE,
        crop: str = 'entry',
        channel: str = 'mean',
        clip_fps: float | None = None,
        on_empty: str = 'zeros',
        on_silence: str = 'raise',
        on_loop: str = 'follow',
    ) -> None:
        self.crop = crop
        self.channel = channel
        self.on_empty = on_empty
        self.on_silence = on_silence
        self.on_loop = on_loop
        for name, known in _CHOICES.items():
            check_choice(name, getattr(self, name), known)
        for name, rate in (
            ('sample_rate', sample_rate),
            ('clip_fps', clip_fps),
        ):
            if rate is not None and not rate > 0:
                raise ValueError(f'{name} must be > 0, got {rate}')
        self.sample_rate = sample_rate
        self.clip_fps = clip_fps
        self._named: set[str] = set()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the waveform to ``results``."""
        name = str(results.get('filename', 'the waveform'))
        spans = self._spans(results)
        read = [self._read(results, name, *span) for span in spans]
        rate = read[0][1]
        wave = np.concatenate([part for part, _ in read])
        if is_constant(wave):
            self._check_silence(results, name, wave, spans)
        wave = resample(wave, rate, self.sample_rate, name)
        results['waveform'] = np.ascontiguousarray(wave, np.float32)
        results['sample_rate'] = self.sample_rate
        return results

    def _read(
        self, results: Mapping[str, Any], name: str, start: Any, stop: Any
    ) -> tuple[np.ndarray, float]:
        """Waveform ``(L,)`` between two seconds, and its rate."""
        if 'waveform' not in results:
            return read_segment(name, start, stop, self.channel)
        rate = results['sample_rate']
        check_sample_rate(rate, name)
        wave = np.asarray(results['waveform'], np.float32)
        first, last = sample_range(start, stop, rate, len(wave), name)
        if first == last:
            return np.zeros(0, np.float32), rate
        mixer = Mixer(self.channel, name)
        wave = mixer.mix(wave[first:last].reshape(last - first, -1))
        mixer.check()
        return wave, rate

    def _check_silence(
        self,
        results: Mapping[str, Any],
        name: str,
        wave: np.ndarray,
        spans: Sequence[Span],
    ) -> None:
        """Decide about a clip that is empty or constant."""
        whole = self._sample_span(results)
        if 'waveform' in results:
            is_silent = is_constant(self._read(results, name, *whole)[0])
        else:
            is_silent = is_sound_constant(name, *whole, self.channel)
        what = f'{name} holds no sound from {whole[0] or 0} s to ' + (
            'its end' if whole[1] is None else f'{whole[1]} s'
        )
        if is_silent and self.on_silence == 'raise':
            raise WaveformError(
                f'{what}: it is empty, or constant throughout; '
                "on_silence='keep' of LoadAudioSegment takes it as silence"
            )
        if is_silent and name not in self._named:
            self._named.add(name)
            print_log(
                f"{what}: taken as silence (on_silence='keep')",
                logger='current',
                level=logging.WARNING,
            )
        if not len(wave) and self.on_empty == 'raise':
            raise WaveformError(
                f'{name} holds no sound in the clip {list(spans)} s; '
                "on_empty='zeros' takes silence instead"
            )

    def _sample_span(self, results: Mapping[str, Any]) -> Span:
        """Seconds of the whole sample; a stop of None is the end."""
        if self.crop == 'none':
            return None, None
        return results.get('start'), results.get('stop')

    def _spans(self, results: Mapping[str, Any]) -> Sequence[Span]:
        """Seconds to read, in the order in which they are heard."""
        if self.crop != 'clip':
            return [self._sample_span(results)]
        if self.clip_fps is not None and 'clip_frames' in results:
            first, last = results['clip_frames']
            return [(first / self.clip_fps, last / self.clip_fps)]
        if self.clip_fps is None and 'clip_seconds' in results:
            seconds = results['clip_seconds']
            is_followed = self.on_loop == 'follow'
            spans = results.get('clip_spans') if is_followed else None
            return list(spans or [seconds])
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
            f'clip_fps={self.clip_fps}, on_empty={self.on_empty!r}, '
            f'on_silence={self.on_silence!r}, on_loop={self.on_loop!r})'
        )


def resample(
    wave: np.ndarray, rate: float, wanted: float, name: str
) -> np.ndarray:
    """Bring a waveform to another rate.

    Args:
        wave: Shape ``(L,)``.
        rate: Its rate in Hz.
        wanted: Rate of the result in Hz.
        name: File, for the message.

    Returns:
        Waveform of shape ``(ceil(L * wanted / rate),)``; the same if the
        rates are, or if it is empty.

    Raises:
        WaveformError: If the result is longer than what is held at once, or
            cannot be computed.

    Example:
        >>> resample(np.zeros(44100, np.float32), 44100, 16000, 'a').shape
        (16000,)
    """
    if rate == wanted or not len(wave):
        return wave
    if len(wave) * wanted / rate > MAX_SAMPLES:
        raise WaveformError(
            f'{name}: {len(wave) / rate:.0f} s are too long to be held at '
            f'{wanted} Hz (at most {MAX_SAMPLES} samples); name a segment by '
            'start and stop in the annotation'
        )
    import librosa

    try:
        return librosa.resample(wave, orig_sr=rate, target_sr=wanted)
    except (librosa.LibrosaError, ValueError) as error:
        raise WaveformError(
            f'{name} cannot be brought from {rate} to {wanted} Hz ({error})'
        ) from error
