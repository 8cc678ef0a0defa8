"""Read a window of a signal that was stored as a NumPy array."""

from __future__ import annotations

import os
from pathlib import PurePath

import numpy as np

from mmgmp.datasets.transforms.video_file import check_media_file
from mmgmp.datasets.waveform_checks import WaveformError, check_finite

#: Channels of a signal.
MAX_CHANNELS = 256
_KINDS = 'fiu'


def is_signal_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a stored array, by its ending.

    Args:
        path: Any file.

    Example:
        >>> is_signal_file('bearing.npy'), is_signal_file('bearing.wav')
        (True, False)
    """
    return PurePath(path).suffix.lower() == '.npy'


def open_signal(path: str) -> np.ndarray:
    """Map a stored signal into memory; nothing of it is read yet.

    Args:
        path: ``.npy`` file of numbers, of shape ``(L,)`` or ``(L, C)``.

    Returns:
        The array, of shape ``(L, C)``.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it is no whole array of numbers of such a shape.
    """
    check_media_file(path)
    try:
        # Never pickled objects, which can run programs.
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise OSError(
            f'{path} cannot be read as an array of numbers ({error}); '
            'convert it again, or let the dataset skip it with '
            "on_error='skip'"
        ) from error
    return as_signal(array, path)


def as_signal(array: np.ndarray, name: str) -> np.ndarray:
    """Check type and shape of a signal.

    Args:
        array: Shape ``(L,)`` or ``(L, C)``.
        name: File, for the message.

    Returns:
        The array, of shape ``(L, C)``.

    Raises:
        WaveformError: If it is something else.

    Example:
        >>> as_signal(np.zeros(5), 'a.npy').shape
        (5, 1)
    """
    is_signal = (
        isinstance(array, np.ndarray)
        and array.dtype.kind in _KINDS
        and array.ndim in (1, 2)
    )
    is_wide = is_signal and array.ndim == 2 and array.shape[1] > MAX_CHANNELS
    if not is_signal or is_wide:
        found = (
            f'{array.dtype} {array.shape}'
            if isinstance(array, np.ndarray)
            else type(array).__name__
        )
        raise WaveformError(
            f'{name} must hold real numbers of shape (L,) or (L, C) with at '
            f'most {MAX_CHANNELS} channels, got {found}; write time first'
        )
    return array if array.ndim == 2 else array[:, None]


def read_window(
    signal: np.ndarray, start: int, count: int | None, name: str
) -> np.ndarray:
    """Copy a window out of a signal.

    Args:
        signal: Shape ``(L, C)``, perhaps mapped from a file.
        start: First sample.
        count: Number of samples; None is up to the end.
        name: File, for the message.

    Returns:
        The window, float32 of shape ``(count, C)``.

    Raises:
        WaveformError: If the signal ends before the window does, the window
            is empty, or a sample is NaN or infinite.

    Example:
        >>> read_window(np.arange(6.0)[:, None], 2, 3, 'a.npy').ravel()
        array([2., 3., 4.], dtype=float32)
    """
    stop = len(signal) if count is None else start + count
    if stop > len(signal) or start >= stop:
        raise WaveformError(
            f'{name} holds {len(signal)} samples, wanted are {start} to '
            f'{stop}; write the annotation again from this file'
        )
    window = np.array(signal[start:stop], np.float32)
    check_finite(window, name)
    return window
