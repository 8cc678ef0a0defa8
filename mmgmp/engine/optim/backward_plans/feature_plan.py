"""The rule at the encoders' outputs, then one pass through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from mmgmp.engine.optim.backward_plans.modality_plan import ModalityPlan
from mmgmp.engine.optim.gradients import (
    Gradients,
    backward_into,
    explained_checkpointing,
    scale_,
)
from mmgmp.engine.optim.observation import Boundary
from mmgmp.engine.optim.reduction import sum_over_ranks
from mmgmp.engine.optim.window import Window
from mmgmp.structures import (
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
)


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
        features = self._features(tasks, boundary)
        assert boundary is not None
        arrived = self._arrived(tasks, features)
        weights, _ = self.rule.decide(
            self._products_over_ranks(arrived, boundary),
            boundary.signals,
            self.unit(),
        )
        for task in self.rule.dropped(boundary.signals):
            arrived.pop(task, None)
        outputs, combined = [], []
        for index, feature in enumerate(features):
            parts = _weighted(arrived, weights, index)
            if parts:
                outputs.append(feature)
                combined.append(torch.stack(parts).sum(0))
        if outputs:
            # One pass from all outputs at once: it frees the graph.
            with explained_checkpointing():
                torch.autograd.backward(
                    outputs, combined, inputs=self.groups.flat
                )
        window.combined = [p.grad for p in self.groups.flat]

    def _features(
        self, tasks: TaskLosses, boundary: Boundary | None
    ) -> list[Tensor]:
        """Encoder outputs in order; none if there is nothing to learn."""
        modalities, attached = self.groups.by_modality, tasks.attached()
        if boundary is None or (
            attached and set(tasks.features) != set(modalities)
        ):
            raise ValueError(
                "level='feature' needs TaskLosses.features of shape (N, D_m) "
                f'for the modalities {list(modalities)}, got '
                f'{list(tasks.features)}; use optim_wrapper.level='
                "'parameter' for models whose losses reach an encoder by "
                'other ways than its output'
            )
        return [tasks.features[m] for m in modalities] if attached else []

    def _arrived(
        self, tasks: TaskLosses, features: Sequence[Tensor]
    ) -> dict[Task, Gradients]:
        """Gradients of each task there; heads get their ordinary ones."""
        attached = tasks.attached()
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
            # The graph below the features is still to be gone through.
            backward_into(
                self.scale(tasks.sum_of()), [], [], self.groups.others, True
            )
        return arrived

    def _products_over_ranks(
        self, arrived: dict[Task, Gradients], boundary: Boundary
    ) -> GradientProducts:
        count = len(self.groups.by_modality)
        products = self.products(
            arrived, [slice(i, i + 1) for i in range(count)]
        )
        if get_world_size() == 1:
            return products
        # A rank's gradients are those of its own mean loss. They carry its
        # weight, and products of two of them its square; products between
        # ranks, which samples do not share, are zero.
        local = torch.stack(
            [products.classification, products.domain, products.cross]
        )
        return GradientProducts(
            *sum_over_ranks(local * boundary.rank_weight.square())
        )


def _weighted(
    arrived: Mapping[Task, Gradients], weights: Coefficients, index: int
) -> list[Tensor]:
    """Gradients that reach one encoder's output, times their factors."""
    parts = []
    for task, gradients in arrived.items():
        gradient = gradients[index]
        if gradient is not None:
            part = gradient.clone()
            scale_([part], weights.of(task)[index], is_wide=True)
            parts.append(part)
    return parts
