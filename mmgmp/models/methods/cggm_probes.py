"""The probes and the direction loss of CGGM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmgmp.models.heads.mlp_head import MLPHead
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checks import check_choice

_DIRECTIONS = ('weight', 'none')


@MODELS.register_module()
class CGGMProbesMethod(BaseMethod):
    """Measure each modality with a probe, and turn the fused head with it.

    A probe is Linear, ReLU, Linear on the detached feature of one modality,
    trained by its own cross-entropy, which never reaches an encoder. Whether
    it is right is handed to ``CGGMModulation``, which scales the encoders and
    hands back the balance terms B of the last step for the direction loss

        ``lambda_gm / M * sum_m ( |B^m| - B^m cos_m )``

    with ``cos_m`` the cosine between the flattened weights of the output
    layers of the fused classifier and of probe m, the latter detached, as in
    the authors' code; the paper's cosine between gradients would be a
    constant. B is the last step's and the weights are the current ones
    [choice]. Before the first step B, and so the loss, is zero.

    Gradient clipping leaves the probes out, as the authors' does: B may be
    huge, and the norm of the encoders' gradients with it, but a probe that is
    held back for that would measure nothing in the next step.

    In the authors' set-up the probes learn at half the rate of the model:
    ``paramwise_cfg=dict(custom_keys={'methods': dict(lr_mult=0.5)})``.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        hidden_channels: Width of the probes' hidden layer, that of the fused
            classifier.
        lambda_gm: Weight of the direction loss, >= 0; the authors use 0.2
            (0.05 for Food-101, 0.1 for BraTS).
        direction: ``'weight'``, or ``'none'`` without the direction loss.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If the direction is unknown, lambda_gm is negative, or
            the output layers of probes and classifier differ in shape.

    Source: Classifier-guided Gradient Modulation for Enhanced Multimodal
    Learning, Guo et al., NeurIPS 2024 (arXiv 2411.01409).
    """

    balance: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        hidden_channels: int = 256,
        lambda_gm: float = 0.2,
        direction: str = 'weight',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        check_choice(
            'direction',
            direction,
            _DIRECTIONS,
            'set direction of CGGMProbesMethod',
        )
        if lambda_gm < 0:
            raise ValueError(
                f'lambda_gm must be >= 0, got {lambda_gm}; set lambda_gm of '
                'CGGMProbesMethod (0 turns the direction loss off)'
            )
        self.lambda_gm = lambda_gm
        self.direction = direction
        self.probes: Any = nn.ModuleDict(
            {
                modality: MLPHead(width, num_classes, hidden_channels)
                for modality, width in self.in_channels.items()
            }
        )
        self.register_buffer('balance', torch.zeros(len(self.in_channels)))

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return probe losses and the direction loss; see the base class."""
        terms = {
            f'probe_{m}': F.cross_entropy(logits, batch.labels)
            for m, logits in self._probe(batch).items()
        }
        if self.direction == 'weight' and self.lambda_gm:
            weight = self._check_weight(batch.output_weight)
            terms['direction'] = self.lambda_gm * direction_loss(
                self.balance.to(weight), self._cosines(weight)
            )
        return {Task.CLASSIFICATION: terms}

    def statistics(
        self, batch: MultiModalBatch
    ) -> dict[str, dict[str, Tensor]]:
        """Return whether each probe is right, 0 or 1 per sample.

        NaN where its logits are not finite, for argmax would still choose.
        """
        with torch.no_grad():
            return {
                'probe_correct': {
                    m: (logits.argmax(1) == batch.labels) + 0 * logits.sum(1)
                    for m, logits in self._probe(batch).items()
                }
            }

    def receive(self, feedback: Mapping[str, Tensor]) -> None:
        """Take the balance terms of the step that has just been made.

        Args:
            feedback: What the modulation tells; ``balance``, ``(M,)``.
        """
        if 'balance' in feedback:
            self.balance.copy_(feedback['balance'])

    def unclipped_parameters(self) -> list[nn.Parameter]:
        """Return the probes' parameters; see ``TaskLosses.unclipped``."""
        return list(self.probes.parameters())

    def _probe(self, batch: MultiModalBatch) -> dict[str, Tensor]:
        return {
            # Detached: a probe watches a modality and does not train it.
            m: probe(batch.features[m].detach())
            for m, probe in self.probes.items()
        }

    def _cosines(self, weight: Tensor) -> Tensor:
        return torch.stack(
            [
                F.cosine_similarity(
                    weight.flatten(),
                    # The classifier turns towards the probe, not it to it.
                    probe.output.weight.detach().flatten(),
                    dim=0,
                )
                for probe in self.probes.values()
            ]
        )

    def _check_weight(self, weight: Tensor | None) -> Tensor:
        own = next(iter(self.probes.values())).output.weight
        if weight is None or weight.shape != own.shape:
            raise ValueError(
                'CGGMProbesMethod compares output layers of the same shape, '
                f'got {tuple(own.shape)} of the probes and '
                f'{None if weight is None else tuple(weight.shape)} of the '
                'classifier; give its hidden_channels that of model.cls_head'
            )
        return weight


def direction_loss(balance: Tensor, cosines: Tensor) -> Tensor:
    """Mean of ``|B| - B cos`` over the modalities, 0-dim.

    Args:
        balance: Balance terms B, ``(M,)``.
        cosines: Cosines between classifier and probes, ``(M,)``.

    Example:
        >>> direction_loss(
        ...     torch.tensor([0.75, 0.25]), torch.tensor([0.8, 0.2]))
        tensor(0.1750)

    Source: CGGM (arXiv 2411.01409), the loss L_gm.
    """
    return (balance.abs() - balance * cosines).mean()
