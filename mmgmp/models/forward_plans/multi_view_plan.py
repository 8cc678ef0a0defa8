"""One pass over several views of every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from mmaction.structures import ActionDataSample

from mmgmp.models.forward_plans.base_plan import (
    BaseForwardPlan,
    Inputs,
    PlannedModel,
)
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch


@MODELS.register_module()
class MultiViewPlan(BaseForwardPlan):
    """Pass all views of a batch at once, rows ordered view by view.

    The views are made by ``MultiViewPipeline`` in the training pipeline; the
    data preprocessor stacks them to ``[all first views; all second views]``.

    Args:
        num_views: Views per sample V, >= 2.

    Raises:
        ValueError: If there are fewer than two views, or the rows of a batch
            are not V views of the same samples.

    Source: NEL (Neurocomputing 658, 2025, 131754), released benchmark code.
    """

    provides = frozenset({'views'})

    def __init__(self, num_views: int = 2) -> None:
        if num_views < 2:
            raise ValueError(
                f'num_views must be >= 2, got {num_views}; set '
                'model.forward_plan.num_views, or drop model.forward_plan '
                'for a single view'
            )
        self.num_views = num_views

    def run(
        self,
        model: PlannedModel,
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Return a batch of V times the samples; see the base class."""
        self._check_rows(data_samples)
        batch = model.assemble(model.encode(inputs), inputs, data_samples)
        return replace(batch, num_views=self.num_views)

    def _check_rows(self, data_samples: Sequence[ActionDataSample]) -> None:
        count, rest = divmod(len(data_samples), self.num_views)
        first = data_samples[:count]
        for view in range(self.num_views):
            rows = data_samples[view * count : (view + 1) * count]
            if rest or not all(
                _is_same(a, b) for a, b in zip(first, rows, strict=True)
            ):
                raise ValueError(
                    f'the batch must hold {self.num_views} views of each '
                    f'sample, got {len(data_samples)} rows that are not; '
                    "wrap the training pipeline in dict(type='Multi"
                    f"ViewPipeline', num_views={self.num_views}, "
                    'transforms=[...]), or drop model.forward_plan'
                )


def _is_same(first: ActionDataSample, second: ActionDataSample) -> bool:
    return first.get('sample_id') == second.get('sample_id') and all(
        torch.equal(first.get(label), second.get(label))
        for label in ('gt_label', 'domain_label')
    )
