"""Data preprocessor with one part per modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models.data_preprocessors import MultiModalDataPreprocessor
from torch import Tensor

from mmgmp.registry import MODELS
from mmgmp.structures import FrozenState, presence_key, stack_states


@MODELS.register_module()
class AudioVisualDataPreprocessor(MultiModalDataPreprocessor):
    """MMAction2's multi-modal preprocessor with labels left on the host.

    The recognizer checks the labels there and moves them in one copy; moving
    each sample's label by itself would cost a transfer per sample.

    A batch of several views per sample (``MultiViewPipeline``) is stacked view
    by view, ``[all first views; all second views]``, and so are its samples.

    A sample that lacks a modality has a tensor without elements there
    (``PackMultiModalInputs``). The batch of that modality then holds the rows
    of the other samples, and a mask says which they are
    (``mmgmp.structures.presence``).

    What comes from a feature cache (``FrozenState``) was normalised when it
    was made; it is stacked on the host and moved in one copy.

    Args:
        preprocessors: Config of an ``ActionDataPreprocessor`` per modality.

    Raises:
        ValueError: If a batch holds a modality without a preprocessor.

    Example:
        >>> import torch
        >>> part = dict(type='ActionDataPreprocessor')
        >>> preprocess = AudioVisualDataPreprocessor(dict(audio=part))
        >>> batch = dict(
        ...     inputs=dict(audio=[torch.zeros(1, 4, 5)] * 2),
        ...     data_samples=None)
        >>> preprocess(batch)['inputs']['audio'].shape
        torch.Size([2, 1, 4, 5])
    """

    def __init__(self, preprocessors: dict) -> None:
        super().__init__(
            {name: dict(config) for name, config in preprocessors.items()}
        )

    def forward(
        self, data: dict[str, Any], training: bool = False
    ) -> dict[str, Any]:
        """Stack, move and normalise the inputs of every modality.

        Args:
            data: ``inputs`` as a list of tensors per modality, and
                ``data_samples``.
            training: Whether augmentation is on.

        Returns:
            A new dict with batched ``inputs`` and untouched samples.
        """
        inputs: dict[str, Any] = {}
        for modality, tensors in data['inputs'].items():
            if modality not in self.preprocessors:
                raise ValueError(
                    'model.data_preprocessor.preprocessors must name every '
                    f'modality of the batch, got {modality!r} besides '
                    f'{list(self.preprocessors)}; add it or drop it from '
                    'dataset.modalities'
                )
            rows = self.cast_data(_join_views(tensors))
            kept = [row for row in rows if row.numel()]
            if len(kept) < len(rows):
                inputs[presence_key(modality)] = self._presence(rows)
            inputs[modality] = rows[0]
            if kept and isinstance(kept[0], FrozenState):
                inputs[modality] = stack_states(kept).to(
                    self.device, non_blocking=True
                )
            elif kept:
                inputs[modality], _ = self.preprocessors[modality].preprocess(
                    rows if len(kept) == len(rows) else kept,
                    None,
                    training,
                )
        return {
            'inputs': inputs,
            'data_samples': _join_views(data['data_samples']),
        }

    def _presence(self, rows: Sequence[Tensor | FrozenState]) -> Tensor:
        """Tell which rows hold something, bool ``(N,)``."""
        found = torch.tensor([bool(row.numel()) for row in rows])
        return found.to(self.device, non_blocking=True)


def _join_views(rows: Any) -> Any:
    """Chain the lists of all views; a batch of one view stays as it is."""
    kinds = (list, tuple)
    if isinstance(rows, kinds) and rows and isinstance(rows[0], kinds):
        return [row for view in rows for row in view]
    return rows
