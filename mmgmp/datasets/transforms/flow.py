"""Optical flow kept as grey images of its x and y component."""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.clip_times import add_times
from mmgmp.datasets.transforms.frame_index import read_frame_index
from mmgmp.datasets.transforms.pyav_seek import (
    PyAVSeekDecode,
    PyAVSeekInit,
    decode_frames,
)
from mmgmp.datasets.transforms.video_file import check_media_file
from mmgmp.registry import TRANSFORMS

_COMPONENTS = ('path_x', 'path_y')


def _set_images(results: dict[str, Any], images: list[np.ndarray]) -> None:
    """Hand over ``[x0, y0, x1, y1, ...]`` as MMAction2 names it."""
    results['imgs'] = images
    # Tells stock transforms, Flip above all, that these are not pictures.
    results['modality'] = 'Flow'
    results['original_shape'] = images[0].shape[:2]
    results['img_shape'] = images[0].shape[:2]


@TRANSFORMS.register_module()
class LoadFlowFrames(BaseTransform):
    """Read the sampled flow images from two folders, x and y by turns.

    MMAction2's ``RawFrameDecode`` wants ``x`` and ``y`` in the file name and
    hands over two-channel images, which its ``Flip`` then inverts wrongly:
    that expects x and y to alternate. Here they do, until :class:`StackFlow`.

    Required keys: ``path_x``, ``path_y`` (folders), ``filename_tmpl``,
    ``frame_inds``.

    Added keys: ``imgs`` (list of uint8 images ``(H, W)``: x and y of the first
    frame, x and y of the second, ...), ``modality`` (``'Flow'``),
    ``original_shape``, ``img_shape``.

    Raises:
        OSError: If an image is missing or cannot be decoded.

    Example:
        >>> LoadFlowFrames()
        LoadFlowFrames()

    Source: the EPIC-Kitchens layout of SimMMDG (arXiv 2310.19795).
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the images to ``results``."""
        images = [
            self._read(results[component], results['filename_tmpl'], number)
            for number in np.reshape(results['frame_inds'], -1).tolist()
            for component in _COMPONENTS
        ]
        _set_images(results, images)
        return results

    @staticmethod
    def _read(folder: str, template: str, number: int) -> np.ndarray:
        path = f'{folder}/{template.format(number)}'
        check_media_file(path)
        with open(path, 'rb') as file:
            image = mmcv.imfrombytes(file.read(), flag='grayscale')
        if image is None:
            raise OSError(
                f'{path} cannot be decoded; fetch it again, or let the '
                "dataset skip it with on_error='skip'"
            )
        return image

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class PyAVSeekFlowInit(PyAVSeekInit):
    """Read length and frame rate of flow kept in two video files.

    Required keys: ``path_x``, ``path_y``, or ``array`` of shape
    ``(T, H, W, 2)`` with ``fps``; optional ``start`` and ``stop`` in seconds.

    Added keys: those of :class:`PyAVSeekInit`.

    Raises:
        OSError: If a file is missing or broken, or the two differ in length
            or size.

    Example:
        >>> results = dict(array=np.zeros((9, 4, 4, 2), np.uint8), fps=24)
        >>> PyAVSeekFlowInit()(results)['total_frames']
        9

    Source: the HAC layout of SimMMDG (arXiv 2310.19795).
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the length, frame rate and shape to ``results``."""
        if 'array' not in results:
            x, y = (read_frame_index(results[key]) for key in _COMPONENTS)
            if (x.total_frames, x.shape) != (y.total_frames, y.shape):
                raise OSError(
                    'path_x and path_y must agree: '
                    f'{results["path_x"]} has {x.total_frames} frames of '
                    f'{x.shape}, {results["path_y"]} has {y.total_frames} of '
                    f'{y.shape}; fetch or compute the flow again'
                )
            results['filename'] = results['path_x']
        return super().transform(results)


@TRANSFORMS.register_module()
class PyAVSeekFlowDecode(PyAVSeekDecode):
    """Decode the sampled frames of two flow videos, x and y by turns.

    Decodes as :class:`PyAVSeekDecode` does and turns the frames grey.

    Required keys: ``path_x`` and ``path_y`` (or ``array``), ``frame_inds``.

    Added keys: those of :class:`LoadFlowFrames`, and ``decoded_frames``.

    Args:
        thread_type: See :class:`PyAVSeekDecode`.
        thread_count: See :class:`PyAVSeekDecode`.
        rotate: See :class:`PyAVSeekDecode`.

    Example:
        >>> results = dict(array=np.zeros((9, 4, 4, 2), np.uint8),
        ...                frame_inds=np.array([0, 4, 8]))
        >>> len(PyAVSeekFlowDecode()(results)['imgs'])
        6

    Source: the HAC pipeline of SimMMDG (arXiv 2310.19795), which decodes to
    RGB and converts that to grey.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the decoded images to ``results``."""
        numbers = np.reshape(results['frame_inds'], -1).tolist()
        if 'array' in results:
            decoded, array = 0, results['array']
            components = [
                {number: array[number, ..., channel] for number in numbers}
                for channel in range(len(_COMPONENTS))
            ]
        else:
            components, decoded = self._decode(results, numbers)
        # Flip works in place, so a frame that a loop repeats needs a copy.
        images = [
            np.array(frames[number])
            for number in numbers
            for frames in components
        ]
        _set_images(results, images)
        results['decoded_frames'] = decoded
        if 'array' not in results:
            results.setdefault('filename', results['path_x'])
        add_times(results)
        return results

    def _decode(
        self, results: dict[str, Any], numbers: list[int]
    ) -> tuple[list[dict[int, np.ndarray]], int]:
        """Grey images by number of both files, and how many were decoded."""
        components, decoded = [], 0
        for key in _COMPONENTS:
            frames, count = decode_frames(
                results[key],
                numbers,
                self.thread_type,
                self.thread_count,
                self.rotate,
            )
            decoded += count
            components.append(
                {n: mmcv.rgb2gray(image) for n, image in frames.items()}
            )
        return components, decoded


@TRANSFORMS.register_module()
class StackFlow(BaseTransform):
    """Join x and y to one image of two channels; the last step of flow.

    Place it after ``Flip`` and the crops, before ``FormatShape``, which then
    gives ``(1, 2, T, H, W)``.

    Required keys: ``imgs`` as :class:`LoadFlowFrames` leaves them.

    Modified keys: ``imgs``, now a list of images ``(H, W, 2)``.

    Raises:
        ValueError: If the images are not pairs of grey ones.

    Example:
        >>> x, y = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
        >>> StackFlow()(dict(imgs=[x, y]))['imgs'][0].shape
        (4, 4, 2)
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Stack the pairs."""
        images = results['imgs']
        if len(images) % 2 or any(image.ndim != 2 for image in images):
            raise ValueError(
                'imgs must be grey images (H, W), x and y by turns, got '
                f'{len(images)} images of shape {images[0].shape}; use '
                'StackFlow once, after LoadFlowFrames or PyAVSeekFlowDecode'
            )
        results['imgs'] = [
            np.stack(pair, axis=-1)
            for pair in zip(images[::2], images[1::2], strict=True)
        ]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
