"""From processed modalities to what the recognizer takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.structures import ActionDataSample
from mmcv.transforms import BaseTransform
from torch import Tensor

from mmgmp.registry import TRANSFORMS
from mmgmp.structures import FrozenState


@TRANSFORMS.register_module()
class PackMultiModalInputs(BaseTransform):
    """Pack one tensor per modality and one data sample.

    Required keys: ``modalities``, and per modality a dict that holds one of
    ``array_keys``; ``label`` and ``domain_label`` if there are any;
    ``missing_modalities``, which get a tensor without elements.

    Returns ``inputs``, a dict of tensors by modality (video keeps its uint8:
    the data preprocessor normalises), and ``data_samples``, an
    ``ActionDataSample`` with ``gt_label`` and ``domain_label`` (both int64 of
    shape ``(1,)``), the meta keys, and ``missing_modalities`` if there are
    some.

    Args:
        meta_keys: Keys of the sample kept as its meta information.
        array_keys: Where the array of a modality is looked for, in this order.

    Raises:
        ValueError: If a modality holds no array to pack.

    Example:
        >>> pack = PackMultiModalInputs()
        >>> audio = dict(audios=np.zeros((1, 257, 100), np.float32))
        >>> sample = dict(modalities=('audio',), audio=audio, label=3,
        ...               domain_label=1, domain='human', sample_id='human/a')
        >>> packed = pack(sample)
        >>> packed['inputs']['audio'].shape, packed['data_samples'].domain
        (torch.Size([1, 257, 100]), 'human')
        >>> packed['data_samples'].domain_label
        tensor([1])
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = ('sample_id', 'domain'),
        array_keys: Sequence[str] = ('imgs', 'audios', 'signal'),
    ) -> None:
        self.meta_keys = tuple(meta_keys)
        self.array_keys = tuple(array_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample."""
        inputs = {
            name: self._tensor(name, results[name])
            for name in results['modalities']
        }
        missing = tuple(results.get('missing_modalities', ()))
        inputs.update({name: torch.empty(0) for name in missing})
        sample = ActionDataSample()
        if 'label' in results:
            sample.set_gt_label(results['label'])
        if 'domain_label' in results:
            domain_label = torch.tensor([results['domain_label']])
            sample.set_field(domain_label, 'domain_label', dtype=Tensor)
        sample.set_metainfo(
            {key: results[key] for key in self.meta_keys if key in results}
        )
        if missing:
            sample.set_metainfo({'missing_modalities': missing})
        return {'inputs': inputs, 'data_samples': sample}

    def _tensor(
        self, name: str, output: Mapping[str, Any]
    ) -> Tensor | FrozenState:
        for key in self.array_keys:
            value = output.get(key)
            if isinstance(value, FrozenState):
                return value
            if isinstance(value, Tensor):
                return value.contiguous()
            if isinstance(value, np.ndarray):
                return torch.from_numpy(np.ascontiguousarray(value))
        raise ValueError(
            f'{name}: none of {self.array_keys} is an array, the list of '
            f'this modality left {sorted(output)}; end it with FormatShape '
            '(images), a spectrogram transform (sound) or LoadSignalWindow '
            '(signals)'
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(meta_keys={self.meta_keys}, '
            f'array_keys={self.array_keys})'
        )
