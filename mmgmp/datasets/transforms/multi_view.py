"""Several random views of one sample."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.multi_modal_pipeline import build_pipeline
from mmgmp.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MultiViewPipeline(BaseTransform):
    """Run a whole random pipeline several times on the same sample.

    All modalities of a view belong together. With the stock collate function
    and ``AudioVisualDataPreprocessor`` a batch becomes ``[all first views;
    all second views]``, which ``MultiViewPlan`` passes through the model.

    Required keys: those of ``transforms``, which end with
    ``PackMultiModalInputs``.

    Returns ``inputs``, a dict of lists of V tensors by modality, and
    ``data_samples``, a list of V samples.

    Args:
        transforms: The training pipeline.
        num_views: Views V, >= 2.

    Raises:
        ValueError: If there are fewer than two views, or views of one sample
            differ in a label.

    Example:
        >>> import numpy as np
        >>> views = MultiViewPipeline([dict(type='PackMultiModalInputs')])
        >>> sample = dict(modalities=('audio',), label=3,
        ...               audio=dict(audios=np.zeros((1, 4, 5))))
        >>> len(views(sample)['inputs']['audio'])
        2

    Source: NEL (Neurocomputing 658, 2025, 131754), released benchmark code.
    """

    def __init__(
        self,
        transforms: Sequence[dict[str, Any] | Callable],
        num_views: int = 2,
    ) -> None:
        if num_views < 2:
            raise ValueError(
                f'num_views of MultiViewPipeline must be >= 2, got '
                f'{num_views}; for one view use its transforms directly'
            )
        self.pipeline = build_pipeline('transforms', transforms)
        self.num_views = num_views

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return all views, or None if a transform gives one up."""
        views = []
        for _ in range(self.num_views):
            view = self.pipeline(copy.deepcopy(results))
            if view is None:
                return None
            views.append(view)
        return join_views(views)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_views={self.num_views}, '
            f'{self.pipeline})'
        )


def join_views(views: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make one item of several packed views of a sample.

    Args:
        views: What ``PackMultiModalInputs`` returned for each.

    Returns:
        ``inputs``, a list of views by modality, and ``data_samples``.

    Raises:
        ValueError: If they differ in a label.
    """
    samples = [view['data_samples'] for view in views]
    for label in ('gt_label', 'domain_label'):
        values = {
            tuple(sample.get(label).tolist())
            for sample in samples
            if label in sample
        }
        if len(values) > 1:
            raise ValueError(
                f'{label} must be equal in all views of a sample, got '
                f'{sorted(values)}; keep label-changing transforms out '
                'of MultiViewPipeline'
            )
    inputs = {
        name: [view['inputs'][name] for view in views]
        for name in views[0]['inputs']
    }
    return {'inputs': inputs, 'data_samples': samples}
