"""Windows of one-dimensional signals: vibration, current, raw sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.signal_file import (
    as_signal,
    open_signal,
    read_window,
)
from mmgmp.registry import TRANSFORMS

_CHANNELS = ('all', 'norm')


@TRANSFORMS.register_module()
class LoadSignalWindow(BaseTransform):
    """Load a window of a signal that was stored as an array.

    The file is mapped into memory, so that only the window is read.

    Required keys: ``filename`` of a ``.npy`` file, or ``signal``, an array
    (both ``(L,)`` or ``(L, C)``); ``start_sample`` and ``num_samples`` where
    the annotation has them, the whole signal without.

    Added or modified key: ``signal``, float32 of shape ``(1, C, L)``: one
    clip.

    Args:
        channels: ``'all'``, a list of channel numbers, or ``'norm'``: the
            Euclidean norm over the channels, as the released benchmark takes
            of three axes.

    Raises:
        TypeError: If ``channels`` is neither.
        ValueError: If ``channels`` is an unknown word, empty, or names a
            channel that a signal does not have.
        OSError: In use, if the file is missing, no array of numbers, or ends
            before the window, or a sample is NaN or infinite.

    Example:
        >>> signal = np.array([[0, 0], [3, 4], [6, 8]], np.float32)
        >>> window = dict(signal=signal, start_sample=1, num_samples=2)
        >>> LoadSignalWindow(channels='norm')(window)['signal']
        array([[[ 5., 10.]]], dtype=float32)
    """

    def __init__(self, channels: str | Sequence[int] = 'all') -> None:
        if not isinstance(channels, str):
            _check_numbers(channels)
        elif channels not in _CHANNELS:
            raise ValueError(
                f'channels of LoadSignalWindow must be one of {_CHANNELS} or '
                f'a list of channel numbers, got {channels!r}'
            )
        self.channels = channels

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Put the window into ``results``."""
        name = str(results.get('filename', 'the signal'))
        if 'signal' in results:
            signal = as_signal(np.asarray(results['signal']), name)
        else:
            signal = open_signal(name)
        start = results.get('start_sample', 0)
        window = read_window(signal, start, results.get('num_samples'), name)
        chosen = np.ascontiguousarray(self._choose(window, name).T)
        results['signal'] = chosen[None]
        return results

    def _choose(self, window: np.ndarray, name: str) -> np.ndarray:
        if self.channels == 'all':
            return window
        if self.channels == 'norm':
            return np.linalg.norm(window, axis=1, keepdims=True)
        numbers = [int(number) for number in self.channels]
        if max(numbers) >= window.shape[1]:
            raise ValueError(
                'channels of LoadSignalWindow must be among '
                f'{list(range(window.shape[1]))}, as {name} has, got '
                f'{numbers}'
            )
        return window[:, numbers]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(channels={self.channels!r})'


@TRANSFORMS.register_module()
class StandardizeSignal(BaseTransform):
    """Bring each channel of a window to mean 0 and deviation 1.

    How strong a signal is then says nothing: it depends on the speed of the
    machine, hence on the domain. A constant channel becomes zeros.

    Required and modified key: ``signal``, float32 of shape ``(1, C, L)``.

    Args:
        per_channel: False keeps the channels' strengths relative to each
            other: each has mean 0, and all together have deviation 1.
        eps: Deviation below which a signal is constant, > 0.

    Raises:
        ValueError: If ``eps`` is not positive.

    Example:
        >>> signal = np.array([[[1.0, 3.0], [5.0, 5.0]]], np.float32)
        >>> StandardizeSignal()(dict(signal=signal))['signal']
        array([[[-1.,  1.],
                [ 0.,  0.]]], dtype=float32)
    """

    def __init__(self, per_channel: bool = True, eps: float = 1e-8) -> None:
        if not eps > 0:
            raise ValueError(
                f'eps of StandardizeSignal must be > 0, got {eps}'
            )
        self.per_channel = per_channel
        self.eps = eps

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Standardise the window."""
        # Squares of large numbers do not fit into float32.
        signal = results['signal'].astype(np.float64)
        signal -= signal.mean(-1, keepdims=True)
        axes = -1 if self.per_channel else (-2, -1)
        deviation = np.sqrt((signal**2).mean(axes, keepdims=True))
        moves = deviation > self.eps
        scaled = np.where(moves, signal / np.where(moves, deviation, 1), 0)
        results['signal'] = scaled.astype(np.float32)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(per_channel={self.per_channel}, '
            f'eps={self.eps})'
        )


def _check_numbers(channels: Any) -> None:
    if not isinstance(channels, Sequence) or not channels:
        raise TypeError(
            f'channels of LoadSignalWindow must be one of {_CHANNELS} or a '
            f'list of channel numbers, got {channels!r}'
        )
    if not all(type(c) is int and c >= 0 for c in channels):
        raise ValueError(
            'channels of LoadSignalWindow must be whole numbers >= 0, got '
            f'{list(channels)}'
        )
