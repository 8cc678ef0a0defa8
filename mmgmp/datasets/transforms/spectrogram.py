"""From a waveform to the standardised spectrogram that the encoder sees."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.datasets.waveform_checks import check_finite
from mmgmp.registry import TRANSFORMS


def fit_length(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut a waveform, or repeat it from its start, to an exact length.

    Args:
        waveform: Shape ``(L,)``.
        num_samples: Wanted length, > 0.

    Returns:
        Array of shape ``(num_samples,)``; an empty waveform gives silence.

    Example:
        >>> fit_length(np.array([1.0, 2.0, 3.0]), 7)
        array([1., 2., 3., 1., 2., 3., 1.])
    """
    return np.resize(waveform[:num_samples], num_samples)


def standardise(values: np.ndarray, eps: float = 1e-9) -> np.ndarray:
    """Subtract the mean over all entries and divide by their deviation.

    Args:
        values: Any shape.
        eps: Added to the standard deviation, so that a constant array (the
            spectrogram of silence) gives zeros.

    Returns:
        Array of the same shape.

    Example:
        >>> standardise(np.array([1.0, 3.0]))
        array([-1.,  1.])
    """
    return (values - values.mean()) / (values.std() + eps)


class _Spectrogram(BaseTransform):
    """Shared frame of the front ends: fit, clamp, transform, log, scale."""

    def __init__(self, num_samples: int, min_samples: int, log_eps: float):
        if num_samples < min_samples:
            raise ValueError(
                f'num_samples must be at least one analysis window of '
                f'{min_samples} samples, got {num_samples}'
            )
        if log_eps <= 0:
            raise ValueError(f'log_eps must be > 0, got {log_eps}')
        self.num_samples = num_samples
        self.log_eps = log_eps

    def power(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Power by frequency and time; what a front end defines."""
        raise NotImplementedError

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``audios``, float32 of shape ``(1, F, T')``, to ``results``."""
        waveform = results['waveform']
        check_finite(waveform, str(results.get('filename', 'the waveform')))
        waveform = fit_length(waveform, self.num_samples)
        waveform = np.clip(waveform.astype(np.float64), -1, 1)
        power = self.power(waveform, results['sample_rate'])
        spectrogram = standardise(np.log(power + self.log_eps))
        results['audios'] = spectrogram[None].astype(np.float32)
        return results


@TRANSFORMS.register_module()
class LogSpectrogram(_Spectrogram):
    """Log power spectrogram of a fixed length, as in the published front end.

    The waveform is cut or repeated to ``num_samples``, clamped to [-1, 1],
    turned into ``scipy.signal.spectrogram`` with its default Tukey(0.25)
    window, constant detrending and one-sided density, then
    ``log(S + log_eps)`` is standardised by its own mean and deviation.
    Silence gives a spectrogram of zeros.

    Required keys: ``waveform`` of shape ``(L,)``, ``sample_rate`` in Hz.

    Added keys: ``audios``, float32 of shape ``(1, F, T')`` with
    ``F = nperseg // 2 + 1`` and
    ``T' = (num_samples - noverlap) // (nperseg - noverlap)``.

    Args:
        num_samples: Length before the transform, >= ``nperseg``; 160000 is
            10 s at 16 kHz and gives ``(1, 257, 1004)``.
        nperseg: Samples per analysis window.
        noverlap: Samples shared by neighbouring windows, < ``nperseg``.
        log_eps: Added to the power before the logarithm, > 0.

    Raises:
        OSError: If a sample is NaN or infinite.
        ValueError: If the window does not fit or the overlap is no overlap.

    Example:
        >>> results = dict(waveform=np.zeros(8000), sample_rate=16000)
        >>> LogSpectrogram()(results)['audios'].shape
        (1, 257, 1004)

    Source: the audio front end of SimMMDG (arXiv 2310.19795), which follows
    VGGSound (arXiv 2004.14368).
    """

    def __init__(
        self,
        num_samples: int = 160000,
        nperseg: int = 512,
        noverlap: int = 353,
        log_eps: float = 1e-7,
    ) -> None:
        super().__init__(num_samples, nperseg, log_eps)
        if not 0 <= noverlap < nperseg:
            raise ValueError(
                f'noverlap must be in [0, nperseg={nperseg}), got {noverlap}'
            )
        self.nperseg = nperseg
        self.noverlap = noverlap

    def power(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Power spectral density of shape ``(F, T')``."""
        from scipy.signal import spectrogram

        return spectrogram(
            waveform,
            sample_rate,
            nperseg=self.nperseg,
            noverlap=self.noverlap,
        )[2]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_samples={self.num_samples}, '
            f'nperseg={self.nperseg}, noverlap={self.noverlap}, '
            f'log_eps={self.log_eps})'
        )


@TRANSFORMS.register_module()
class LogMelSpectrogram(_Spectrogram):
    """Log mel spectrogram of a fixed length, the usual alternative.

    Length, clamping, logarithm and standardising are those of
    :class:`LogSpectrogram`; the power comes from librosa's mel filters.

    Required keys: ``waveform`` of shape ``(L,)``, ``sample_rate`` in Hz.

    Added keys: ``audios``, float32 of shape ``(1, n_mels, T')`` with
    ``T' = 1 + num_samples // hop_length``.

    Args:
        num_samples: Length before the transform, >= ``n_fft``.
        n_fft: Samples per analysis window.
        hop_length: Samples between windows, > 0.
        n_mels: Mel bands, > 0.
        log_eps: Added to the power before the logarithm, > 0.

    Raises:
        OSError: If a sample is NaN or infinite.
        ValueError: If the window does not fit.

    Example:
        >>> results = dict(waveform=np.zeros(8000), sample_rate=16000)
        >>> LogMelSpectrogram(num_samples=16000)(results)['audios'].shape
        (1, 128, 101)
    """

    def __init__(
        self,
        num_samples: int = 160000,
        n_fft: int = 512,
        hop_length: int = 160,
        n_mels: int = 128,
        log_eps: float = 1e-7,
    ) -> None:
        super().__init__(num_samples, n_fft, log_eps)
        for name, value in (('hop_length', hop_length), ('n_mels', n_mels)):
            if value < 1:
                raise ValueError(f'{name} must be > 0, got {value}')
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels

    def power(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Power in mel bands, of shape ``(n_mels, T')``."""
        import librosa

        return librosa.feature.melspectrogram(
            y=waveform,
            sr=sample_rate,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.n_mels,
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_samples={self.num_samples}, '
            f'n_fft={self.n_fft}, hop_length={self.hop_length}, '
            f'n_mels={self.n_mels}, log_eps={self.log_eps})'
        )
