"""What a model is given of a clip, as pictures: frames, flow and sound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmgmp.visualization.prediction_video import (
    PANEL_WIDTH,
    Frame,
    Scores,
    write_line,
    write_prediction_video,
)

_SOUND_HEIGHT, _LABEL_HEIGHT = 96, 18


def draw_inputs(inputs: Mapping[str, Any]) -> list[Frame]:
    """Draw the inputs of one clip below each other, frame by frame.

    Args:
        inputs: One array or tensor by modality, as they are packed: frames
            ``(V, 3, T, H, W)`` or flow ``(V, 2, T, H, W)`` between 0 and 255,
            of which the first view is drawn; a spectrogram ``(1, F, T)`` of
            any scale, drawn with low frequencies at the bottom. Of what has
            another shape, as the content of a feature cache, or no element,
            a line says that there is nothing to see.

    Returns:
        RGB pictures, uint8 of shape ``(H, 480, 3)``, one per frame, or one
        where nothing moves.

    Example:
        >>> frames = np.zeros((1, 3, 8, 4, 4), np.uint8)
        >>> pictures = draw_inputs({'video': frames})
        >>> len(pictures), pictures[0].shape
        (8, (498, 480, 3))
    """
    strips = {name: _strip(value) for name, value in inputs.items()}
    count = max([1, *map(len, strips.values())])
    pictures = []
    for number in range(count):
        parts: list[Frame] = []
        for name, strip in strips.items():
            seen = '' if len(strip) else ': nothing to see (missing or cached)'
            parts.append(_label(f'{name}{seen}'))
            # Where one modality has fewer frames, its last one stays.
            parts += strip[min(number, len(strip) - 1) :][:1]
        pictures.append(np.concatenate(parts))
    return pictures


def write_model_view(
    path: str | Path,
    inputs: Mapping[str, Any],
    scores: Scores,
    caption: str = '',
    fps: float = 4.0,
) -> None:
    """Write the inputs of a clip with the scores of every branch below.

    Args:
        path: File to write; its ending names the container.
        inputs: As in :func:`draw_inputs`.
        scores: Probability by class, by branch; none draws no bars.
        caption: Line between inputs and bars.
        fps: Frames of the model per second of the written file.
    """
    pictures = draw_inputs(inputs)
    # A player shows a file of one frame for no time at all.
    pictures = pictures * 2 if len(pictures) == 1 else pictures
    if not scores:
        line = _label(caption)
        pictures = [np.concatenate([p, line]) for p in pictures]
    write_prediction_video(
        path,
        ((number / fps, picture) for number, picture in enumerate(pictures)),
        scores,
        caption=caption,
    )


def _strip(value: Any) -> list[Frame]:
    """Pictures of one modality, empty if there is nothing to see."""
    array: NDArray[Any] = np.empty(0)
    if hasattr(value, '__array__'):
        array = np.asarray(value)
    if array.ndim == 5 and array.shape[1] in (2, 3) and array.size:
        frames = array[0].transpose(1, 2, 3, 0)
        if frames.shape[3] == 2:
            # Flow to the side is red, flow up and down green.
            blue = np.full_like(frames[..., :1], 128)
            frames = np.concatenate([frames, blue], axis=3)
        frames = np.clip(frames, 0, 255).astype(np.uint8)
        height = round(PANEL_WIDTH * frames.shape[1] / frames.shape[2])
        size = (PANEL_WIDTH, height + height % 2)
        return [cv2.resize(frame, size) for frame in frames]
    if array.ndim == 3 and array.size:
        return [_spectrogram(array[0].astype(float))]
    return []


def _spectrogram(values: NDArray[np.float64]) -> Frame:
    from matplotlib import colormaps

    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    shown = (values - low) / ((high - low) or 1.0)
    shown = np.nan_to_num(shown, nan=0.0, posinf=1.0, neginf=0.0)
    shown = cv2.resize(shown[::-1], (PANEL_WIDTH, _SOUND_HEIGHT))
    picture: Frame = colormaps['magma'](shown, bytes=True)[..., :3]
    return picture


def _label(text: str) -> Frame:
    picture = np.full((_LABEL_HEIGHT, PANEL_WIDTH, 3), 255, np.uint8)
    write_line(picture, text, (6, _LABEL_HEIGHT - 5))
    return picture
