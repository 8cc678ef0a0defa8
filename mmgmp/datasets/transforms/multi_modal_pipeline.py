"""One list of transforms per modality."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmgmp.datasets.transforms.clip_times import sampled_seconds
from mmgmp.registry import TRANSFORMS
from mmgmp.utils.seeding import own_seed

# What MMAction2's transforms expect under `modality`; any other is images.
_STOCK_MODALITIES = {'audio': 'Audio', 'flow': 'Flow'}


@TRANSFORMS.register_module()
class MultiModalPipeline(BaseTransform):
    """Run each modality through its own list, on its own results dict.

    MMAction2's transforms then work unchanged, and two modalities cannot
    overwrite each other's ``imgs`` or ``start_index``. Modalities run in the
    order in which their lists are given. What the first one sampled is
    offered to those after it: ``clip_frames``, its first and last number;
    ``clip_seconds``, when these two are shown on the clock of the file; and
    ``clip_spans``, ``(start, stop)`` pairs of seconds in viewing order, more
    than one where a short video is looped. The seconds of frames from an
    array or a folder are number / ``fps`` (or ``avg_fps``); without a rate
    they are not offered.

    A list starts from the annotation entry of its modality plus
    ``filename`` (from ``path``), ``modality``, ``start_index`` and ``label``;
    an entry with ``num_frames`` is a folder of frames (flow: two of them) and
    gives ``frame_dir``, ``total_frames`` and ``start_index`` for
    ``RawFrameDecode``.

    Required keys: ``modalities``, ``sources``; ``label`` if there is one.
    With a ``view_key``, a tuple of integers, what a list draws depends on it
    and on the modality alone (``SeededViews``).

    Added keys: one per modality, the results of its list.

    Args:
        order: Names of all lists in the order in which they run; ``None`` is
            that in which they are given. A config that MMEngine has written
            out again keeps the order of a list, but not that of a dict.
        **pipelines: Transforms by modality name.

    Raises:
        TypeError: If a list is not a sequence of transforms.
        ValueError: If a sample wants a modality that has no list, or
            ``order`` does not name every list once.

    Example:
        >>> import numpy as np
        >>> pipeline = MultiModalPipeline(
        ...     video=[dict(type='PyAVSeekInit')],
        ...     audio=[dict(type='LoadAudioSegment')],
        ... )
        >>> entry = dict(waveform=np.sin(np.arange(8000)), sample_rate=16000)
        >>> results = dict(modalities=('audio',), sources=dict(audio=entry))
        >>> pipeline(results)['audio']['waveform'].shape
        (8000,)
    """

    def __init__(
        self,
        order: Sequence[str] | None = None,
        **pipelines: Sequence[dict[str, Any] | Callable],
    ) -> None:
        names = list(pipelines) if order is None else list(order)
        if sorted(names) != sorted(pipelines):
            raise ValueError(
                'order of MultiModalPipeline must name every list once, got '
                f'{names} for {list(pipelines)}'
            )
        self.pipelines = {
            name: build_pipeline(name, pipelines[name]) for name in names
        }

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Run the lists of the sample's modalities."""
        for name in results['modalities']:
            if name not in self.pipelines:
                raise ValueError(
                    f'modalities: {name!r} has no list of transforms in '
                    f'MultiModalPipeline, which has {list(self.pipelines)}'
                )
        outputs: dict[str, Any] = {}
        clip: dict[str, Any] = {}
        for name, pipeline in self.pipelines.items():
            if name not in results['modalities']:
                continue
            with _seed(name, results):
                output = pipeline({**_start(name, results), **clip})
            if output is None:
                return None
            outputs[name] = output
            clip = clip or sampled_seconds(output)
        return {**results, **outputs}

    def __repr__(self) -> str:
        lists = ', '.join(f'{k}={v!r}' for k, v in self.pipelines.items())
        return f'{type(self).__name__}({lists})'


def build_pipeline(
    name: str, transforms: Sequence[dict[str, Any] | Callable]
) -> Compose:
    """Build a list of transforms from MMAction2's registry.

    Args:
        name: Config key of the list, for the error message.
        transforms: Configs or callables.

    Returns:
        The composed transforms.

    Raises:
        TypeError: If ``transforms`` is not a list of them.
    """
    if isinstance(transforms, (str, Mapping)) or not isinstance(
        transforms, Sequence
    ):
        raise TypeError(
            f'{name} must be a list of transforms, got {transforms!r}'
        )
    # Built here and not by Compose, which would need a default scope.
    return Compose(
        [
            TRANSFORMS.build(item) if isinstance(item, Mapping) else item
            for item in transforms
        ]
    )


def _seed(
    name: str, results: Mapping[str, Any]
) -> AbstractContextManager[None]:
    """Seed a list by view and modality if there is a view."""
    if 'view_key' not in results:
        return nullcontext()
    return own_seed(*results['view_key'], zlib.crc32(name.encode()))


def _start(name: str, results: Mapping[str, Any]) -> dict[str, Any]:
    entry = results['sources'][name]
    start = {
        'modality': _STOCK_MODALITIES.get(name, 'RGB'),
        'start_index': 0,
        **entry,
    }
    if 'path' in entry:
        start['filename'] = entry['path']
    if 'num_frames' in entry:
        if 'path' in entry:
            start['frame_dir'] = entry['path']
        start['total_frames'] = entry['num_frames']
        start['start_index'] = entry.get('start_frame', 1)
    if 'label' in results:
        start['label'] = results['label']
    return start
