"""Losses at the worst weights nearby."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
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
from mmgmp.models.layers.full_precision import full_precision
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch
from mmgmp.utils.checks import check_choice

_SCOPES = ('global', 'modality')


@MODELS.register_module()
class SharpnessPlan(BaseForwardPlan):
    """Sharpness-aware minimisation (SAM): encode again at theta + epsilon.

    A first pass gives the gradient g of the fused cross-entropy in the
    trained weights theta of the encoders. They are run again at
    ``theta + rho g / |g|`` on what the frozen stages returned, and all losses,
    of all tasks and methods, and all confidences come from that second pass.
    Epsilon is a constant: gradients reach theta as they are at theta +
    epsilon, so that any optimizer wrapper, GMP's too, works on them. The cost
    is one more pass forward and backward through what is trained.

    Heads stay at their weights. Batch norm learns in the first pass only. Both
    passes draw the same dropout, so that the perturbation is that of the
    loss which is minimised, and ``rho=0`` is :class:`SinglePassPlan`. Each
    rank and micro-batch has a perturbation of its own. ``level='feature'`` is
    refused: losses do not reach theta through the encoders' outputs alone.

    Args:
        rho: Length of the perturbation, >= 0.
        scope: Whether the length is that of all encoders' weights together
            (``'global'``), or of each encoder's (``'modality'``).

    Raises:
        ValueError: If ``rho`` is negative, the scope is unknown, or an
            encoder recomputes activations (``with_cp``), which would
            recompute them at theta.

    Example:
        >>> SharpnessPlan(rho=0.1).scope
        'global'

    Source: Foret et al., "Sharpness-Aware Minimization for Efficiently
    Improving Generalization", ICLR 2021; rho 0.05 with Adam as in
    qszhan/MMDG-Bench [release]. Encoders only, one common length and equal
    dropout are [choice].
    """

    allows_missing = False

    def __init__(self, rho: float = 0.05, scope: str = 'global') -> None:
        if not rho >= 0:
            raise ValueError(
                f'rho of SharpnessPlan must be >= 0, got {rho}; set '
                'model.forward_plan.rho (0 is one plain pass)'
            )
        self.rho = rho
        self.scope = check_choice(
            'scope of SharpnessPlan',
            scope,
            _SCOPES,
            'correct model.forward_plan.scope',
        )

    def check(self, model: PlannedModel) -> None:
        """Refuse a model that the plan cannot run; see the base class."""
        refuse_recomputing(model.encoders, 'SharpnessPlan')

    def run(
        self,
        model: PlannedModel,
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Return the batch at the perturbed weights; see the base class."""
        model.check_inputs(inputs)
        states = {
            m: encoder.forward_frozen(inputs[m])
            for m, encoder in model.encoders.items()
        }
        theta = {
            m: {n: p for n, p in e.named_parameters() if p.requires_grad}
            for m, e in model.encoders.items()
        }
        with _drawn_again(theta):
            gradients = self._gradients(model, states, data_samples, theta)
        moved = self._move(theta, gradients)
        outputs = {
            m: run_moved(encoder, moved[m], states[m])
            for m, encoder in model.encoders.items()
        }
        batch = model.assemble(outputs, inputs, data_samples)
        return replace(batch, outputs={})

    def _gradients(
        self,
        model: PlannedModel,
        states: Mapping[str, Any],
        data_samples: Sequence[ActionDataSample],
        theta: Mapping[str, Mapping[str, Tensor]],
    ) -> list[Tensor | None]:
        """The ordinary pass, and its gradient in all weights in order."""
        outputs = {
            m: encoder.forward_trainable(states[m])
            for m, encoder in model.encoders.items()
        }
        labels = torch.cat([s.gt_label for s in data_samples])
        labels = labels.to(
            next(iter(outputs.values())).device, non_blocking=True
        )
        features = model.transform_features(outputs, labels)
        logits = model.cls_head(model.fusion(features))
        loss = model.cls_head.loss(logits, labels)
        flat = [p for weights in theta.values() for p in weights.values()]
        with full_precision(loss):
            return list(torch.autograd.grad(loss, flat, allow_unused=True))

    def _move(
        self,
        theta: Mapping[str, Mapping[str, Tensor]],
        gradients: Sequence[Tensor | None],
    ) -> dict[str, dict[str, Tensor]]:
        """Weights by modality and name, epsilon further up."""
        found = iter(gradients)
        split = {
            m: [next(found) for _ in weights] for m, weights in theta.items()
        }
        groups = (
            [list(gradients)] if self.scope == 'global' else split.values()
        )
        moves = iter([e for g in groups for e in ascent(g, self.rho)])
        return {
            m: {
                name: value if (move := next(moves)) is None else value + move
                for name, value in weights.items()
            }
            for m, weights in theta.items()
        }


def ascent(
    gradients: Sequence[Tensor | None], rho: float
) -> list[Tensor | None]:
    """Return the step of length ``rho`` along a gradient.

    Args:
        gradients: Parts of the gradient; None counts as zeros.
        rho: Length, >= 0.

    Returns:
        The parts of the step, detached; zeros, if the gradient is.

    Example:
        >>> ascent([torch.tensor([3., 4.]), None], 0.5)
        [tensor([0.3000, 0.4000]), None]

    Source: SAM (ICLR 2021), Eq. 2 with p = 2.
    """
    parts = [g.detach() for g in gradients if g is not None]
    if not parts:
        return [None] * len(gradients)
    # Squares of large or small entries would leave the range of float32.
    peak = torch.stack(torch._foreach_norm(parts, float('inf'))).amax()
    scaled = torch._foreach_mul(parts, 1 / _or_one(peak))
    length = torch.stack(torch._foreach_norm(scaled)).norm()
    torch._foreach_mul_(scaled, rho / _or_one(length))
    found = iter(scaled)
    return [None if g is None else next(found) for g in gradients]


def _or_one(norm: Tensor) -> Tensor:
    """The norm, or 1 where it is too small to divide by; NaN stays."""
    tiny = torch.finfo(norm.dtype).tiny
    return torch.where(norm < tiny, torch.ones_like(norm), norm)


def _drawn_again(
    theta: Mapping[str, Mapping[str, Tensor]],
) -> AbstractContextManager[Any]:
    """A context whose random numbers are drawn once more behind it."""
    device = next(p.device for w in theta.values() for p in w.values())
    backend: Any = getattr(torch, device.type, None)
    # The generator of the CPU is kept in any case.
    if hasattr(backend, 'get_rng_state') and backend.is_available():
        return torch.random.fork_rng([device], device_type=device.type)
    return torch.random.fork_rng(devices=[])
