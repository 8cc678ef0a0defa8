"""Random changes of a spectrogram, for training only.

Both draw from NumPy's global generator, which MMEngine seeds in every data
loader worker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SpectrogramNoise(BaseTransform):
    """Add uniform noise to every entry of the spectrogram.

    Required and modified key: ``audios``, float32 of shape ``(1, F, T')``.

    Args:
        amplitude: Noise is drawn from ``[-amplitude, amplitude)``, >= 0, in
            units of the standardised spectrogram.

    Raises:
        ValueError: If the amplitude is negative.

    Example:
        >>> np.random.seed(0)
        >>> audios = np.zeros((1, 2, 2), np.float32)
        >>> SpectrogramNoise(0.05)(dict(audios=audios))['audios'].round(3)
        array([[[0.005, 0.022],
                [0.01 , 0.004]]], dtype=float32)

    Source: the training pipeline of SimMMDG (arXiv 2310.19795).
    """

    def __init__(self, amplitude: float = 0.05) -> None:
        if amplitude < 0:
            raise ValueError(f'amplitude must be >= 0, got {amplitude}')
        self.amplitude = amplitude

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the noise."""
        audios = results['audios']
        noise = np.random.uniform(
            -self.amplitude, self.amplitude, audios.shape
        )
        results['audios'] = (audios + noise).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(amplitude={self.amplitude})'


@TRANSFORMS.register_module()
class FrequencyMask(BaseTransform):
    """Set a band of neighbouring frequency bins to zero.

    Zero is the mean of a standardised spectrogram. The first masked bin is
    drawn from ``[0, F - width - 1)``, the published range: the two highest
    bins are never masked.

    Required and modified key: ``audios``, float32 of shape ``(1, F, T')``.

    Args:
        width: Number of bins, > 0 and < ``F - 1``.

    Raises:
        ValueError: If the width is not positive or the band does not fit.

    Example:
        >>> np.random.seed(0)
        >>> audios = np.ones((1, 6, 1), np.float32)
        >>> FrequencyMask(2)(dict(audios=audios))['audios'].ravel()
        array([0., 0., 1., 1., 1., 1.], dtype=float32)

    Source: the training pipeline of SimMMDG (arXiv 2310.19795).
    """

    def __init__(self, width: int = 9) -> None:
        if width < 1:
            raise ValueError(f'width must be > 0, got {width}')
        self.width = width

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Mask one band of a copy."""
        audios = results['audios'].copy()
        limit = audios.shape[1] - self.width - 1
        if limit < 1:
            raise ValueError(
                f'width must be < F - 1, got {self.width} for a spectrogram '
                f'of F={audios.shape[1]} bins'
            )
        start = np.random.randint(limit)
        audios[:, start : start + self.width] = 0
        results['audios'] = audios
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(width={self.width})'
