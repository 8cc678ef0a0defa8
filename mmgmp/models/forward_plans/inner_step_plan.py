"""A second pass at weights moved one step along each unimodal loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmaction.structures import ActionDataSample
from torch import Tensor

from mmgmp.models.forward_plans.base_plan import (
    BaseForwardPlan,
    Inputs,
    PlannedModel,
)
from mmgmp.models.forward_plans.moved_weights import (
    refuse_recomputing,
    run_moved,
)
from mmgmp.models.forward_plans.statistics_noise import (
    build_noise,
    disturbed,
)
from mmgmp.models.layers.full_precision import full_precision
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch


@MODELS.register_module()
class InnerStepPlan(BaseForwardPlan):
    """Gradient-consistency: encode again at functionally updated weights.

    The first pass is the ordinary one. Each encoder's trainable part is then
    moved to ``theta' = theta - a * grad L_u`` along the cross-entropy of its
    own unimodal head, without touching theta, and run again on what the
    frozen part returned the first time. Losses on those features reach theta
    through theta', so ``level='feature'`` is refused with this plan.

    Args:
        step_size: Inner learning rate a, >= 0.
        second_order: Whether to differentiate through the inner gradient.
            False takes it as a constant, so that the derivative of theta'
            with respect to theta is the identity.
        update_norm_stats: Whether the second pass updates batch-norm running
            statistics too, as the released code does.
        noise: Config of a noise on channel statistics in the first pass:
            :class:`DSU`, as the released code has it, or :class:`MixStyle`.

    Raises:
        ValueError: If the step is negative, the model has no unimodal heads,
            an encoder recomputes activations (``with_cp``), which would
            recompute them at theta, or does not allow the noise.

    Source: MBCD (arXiv 2511.20258), Eq. (5) and (6); first order as in the
    released code. That batch norm learns in the first pass only is [choice].
    """

    provides = frozenset({'inner_features'})
    allows_missing = False

    def __init__(
        self,
        step_size: float = 1e-4,
        second_order: bool = False,
        update_norm_stats: bool = False,
        noise: Mapping[str, Any] | None = None,
    ) -> None:
        if step_size < 0:
            raise ValueError(
                f'step_size must be >= 0, got {step_size}; set '
                'model.forward_plan.step_size (0 repeats the first pass)'
            )
        self.step_size = step_size
        self.second_order = second_order
        self.update_norm_stats = update_norm_stats
        self.noise = build_noise(noise)

    def check(self, model: PlannedModel) -> None:
        """Refuse a model that the plan cannot run; see the base class."""
        if not model.unimodal_heads:
            raise ValueError(
                'model.forward_plan=InnerStepPlan needs model.unimodal_heads,'
                " got none; set model.unimodal_heads=dict(type='MLP"
                "ClassifierHead', num_classes=...)"
            )
        refuse_recomputing(model.encoders, 'InnerStepPlan')
        if self.noise is not None:
            self.noise.check(model.encoders)

    def run(
        self,
        model: PlannedModel,
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Return the batch with ``inner_features``; see the base class."""
        model.check_inputs(inputs)
        states = {
            m: encoder.forward_frozen(inputs[m])
            for m, encoder in model.encoders.items()
        }
        with disturbed(self.noise, model.encoders, data_samples):
            outputs = {
                m: encoder.forward_trainable(states[m])
                for m, encoder in model.encoders.items()
            }
        batch = model.assemble(outputs, inputs, data_samples)
        moved = self._move(model, batch, states)
        return replace(
            batch,
            outputs={},
            inner_features=model.transform_features(moved, batch.labels),
        )

    def _move(
        self,
        model: PlannedModel,
        batch: MultiModalBatch,
        states: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """Encoder outputs after one step on the unimodal losses."""
        moved = {}
        for modality, encoder in model.encoders.items():
            loss = model.unimodal_heads[modality].loss(
                batch.unimodal_logits[modality], batch.labels
            )
            weights = inner_step(
                dict(encoder.named_parameters()),
                loss,
                self.step_size,
                self.second_order,
            )
            moved[modality] = run_moved(
                encoder, weights, states[modality], self.update_norm_stats
            )
        return moved


def inner_step(
    parameters: Mapping[str, Tensor],
    loss: Tensor,
    step_size: float,
    second_order: bool = False,
) -> dict[str, Tensor]:
    """Return trainable parameters moved against the gradient of a loss.

    Args:
        parameters: Parameters by name; frozen ones are left out of the
            result, and one that the loss does not reach stays where it is.
        loss: 0-dim, its graph is kept.
        step_size: Learning rate a.
        second_order: Whether the gradient keeps its graph.

    Example:
        >>> theta = torch.tensor(2., requires_grad=True)
        >>> moved = inner_step({'w': theta}, (theta - 1)**2 / 2, 0.1)
        >>> moved['w'].detach(), theta.detach()
        (tensor(1.9000), tensor(2.))

    Source: MBCD (arXiv 2511.20258), Eq. (5).
    """
    trainable = {n: p for n, p in parameters.items() if p.requires_grad}
    with full_precision(loss):
        gradients = torch.autograd.grad(
            loss,
            list(trainable.values()),
            retain_graph=True,
            create_graph=second_order,
            allow_unused=True,
        )
    return {
        name: value if gradient is None else value - step_size * gradient
        for (name, value), gradient in zip(
            trainable.items(), gradients, strict=True
        )
    }
