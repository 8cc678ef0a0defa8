"""The trained part of an encoder, run at other weights than its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


def run_moved(
    encoder: nn.Module,
    weights: Mapping[str, Tensor],
    state: Any,
    update_norm_stats: bool = False,
) -> Tensor:
    """Run ``forward_trainable`` with other weights, the encoder untouched.

    Args:
        encoder: The encoder.
        weights: Parameters by name that stand for its own.
        state: What ``forward_frozen`` returned.
        update_norm_stats: Whether batch norm learns from this pass.

    Returns:
        Features ``(N, D_m)``.
    """
    replaced = dict(weights)
    if not update_norm_stats:
        # Batch norm then writes its statistics into copies.
        replaced |= {n: b.clone() for n, b in encoder.named_buffers()}
    feature: Tensor = functional_call(
        _TrainablePart(encoder),
        {f'encoder.{name}': value for name, value in replaced.items()},
        (state,),
    )
    return feature


def refuse_recomputing(encoders: Mapping[str, Any], plan: str) -> None:
    """Refuse encoders that would recompute activations at their own weights.

    Args:
        encoders: Modality encoders.
        plan: Class name of the forward plan.

    Raises:
        ValueError: If one has ``with_cp=True``.
    """
    for modality, encoder in encoders.items():
        if getattr(encoder, 'with_cp', False):
            raise ValueError(
                f'model.forward_plan={plan} cannot recompute activations, '
                f'got model.encoders.{modality}.with_cp=True; set it to False'
            )


class _TrainablePart(nn.Module):
    """Makes ``forward_trainable`` the forward that functional_call calls."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder: Any = encoder

    def forward(self, state: Any) -> Tensor:
        feature: Tensor = self.encoder.forward_trainable(state)
        return feature
