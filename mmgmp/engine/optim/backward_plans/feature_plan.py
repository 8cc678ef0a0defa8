"""The rule at the encoders' outputs, then one pass through them."""

from __future__ import annotations

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from mmgmp.engine.optim.backward_plans.modality_plan import ModalityPlan
from mmgmp.engine.optim.gradients import (
    Gradients,
    backward_into,
    explained_checkpointing,
)
from mmgmp.engine.optim.observation import Boundary
from mmgmp.engine.optim.reduction import sum_over_ranks
from mmgmp.engine.optim.window import Window
from mmgmp.structures import GradientProducts, Task, TaskLosses


class FeaturePlan(ModalityPlan):
    """Decides from the gradients that arrive at the encoders' outputs."""

    def add(
        self,
        loss: Tensor,
        tasks: TaskLosses,
        window: Window,
        boundary: Boundary | None,
    ) -> None:
        """Differentiate one batch; see the base class."""
        del loss
        attached = tasks.attached()
        groups = self.groups
        if boundary is None or (
            attached and set(tasks.features) != set(groups.by_modality)
        ):
            raise ValueError(
                "level='feature' needs TaskLosses.features of shape (N, D_m) "
                f'for the modalities {list(groups.by_modality)}, got '
                f'{list(tasks.features)}; use optim_wrapper.level='
                "'parameter' for models whose losses reach an encoder by "
                'other ways than its output'
            )
        features = [tasks.features[m] for m in groups.by_modality if attached]
        arrived: dict[Task, Gradients] = {
            task: list(
                torch.autograd.grad(
                    self.scale(term),
                    features,
                    retain_graph=True,
                    allow_unused=True,
                )
            )
            for task, term in attached.items()
        }
        if attached:
            backward_into(
                self.scale(tasks.sum_of()), [], [], groups.others, True
            )
        weights, _ = self.rule.decide(
            self._products_over_ranks(arrived, boundary),
            boundary.signals,
            self.unit(),
        )
        outputs, combined = [], []
        for index, feature in enumerate(features):
            parts = [
                gradient * weights.of(task)[index].to(feature.dtype)
                for task, gradients in arrived.items()
                if (gradient := gradients[index]) is not None
            ]
            if parts:
                outputs.append(feature)
                combined.append(torch.stack(parts).sum(0))
        if outputs:
            with explained_checkpointing():
                torch.autograd.backward(outputs, combined, inputs=groups.flat)
        window.combined = [p.grad for p in groups.flat]

    def _products_over_ranks(
        self, arrived: dict[Task, Gradients], boundary: Boundary
    ) -> GradientProducts:
        count = len(self.groups.by_modality)
        products = self.products(
            arrived, [slice(i, i + 1) for i in range(count)]
        )
        if get_world_size() == 1:
            return products
        # Each rank's share of the batch carries its weight, squared.
        local = torch.stack(
            [products.classification, products.domain, products.cross]
        )
        return GradientProducts(
            *sum_over_ranks(local * boundary.rank_weight.square())
        )
