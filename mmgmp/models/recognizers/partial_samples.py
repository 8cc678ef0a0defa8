"""Batches in which some samples lack a modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmgmp.structures import presence_key, read_presence, spread_rows


def encode_rows(
    encoder: Any, inputs: Mapping[str, Tensor], modality: str
) -> Tensor:
    """Run an encoder on the samples that have its modality.

    Batch norm sees these alone. In a batch in which no sample has it, the
    encoder is not run and gets no gradient.

    Args:
        encoder: The encoder.
        inputs: Inputs by modality, and masks.
        modality: The modality.

    Returns:
        Features ``(N, D_m)``, zeros for the other samples.
    """
    rows, present = inputs[modality], inputs.get(presence_key(modality))
    if present is None:
        feature: Tensor = encoder(rows)
        return feature
    if not rows.numel():
        zeros = next(encoder.parameters()).new_zeros(
            len(present), encoder.out_channels
        )
        # So that gradients "at the encoder's output" can be asked for.
        return zeros.requires_grad_(torch.is_grad_enabled())
    return spread_rows(encoder(rows), present)


def pieces_that_refuse(model: Any) -> list[str]:
    """Name the pieces that compare the modalities of each sample.

    Args:
        model: The recognizer.

    Returns:
        Class names of methods, feature transforms and the forward plan that
        cannot be trained on samples without a modality.
    """
    pieces = [*model.methods, *model.feature_transforms, model.forward_plan]
    return [
        type(piece).__name__ for piece in pieces if not piece.allows_missing
    ]


def check_partial(model: Any, inputs: Mapping[str, Tensor]) -> None:
    """Refuse to train pieces that need every modality of every sample.

    Args:
        model: The recognizer.
        inputs: Inputs by modality, and masks.

    Raises:
        ValueError: If samples lack a modality and a method, a feature
            transform or the forward plan compares modalities by sample.
    """
    missing = sorted(read_presence(inputs))
    if not missing:
        return
    refusing = pieces_that_refuse(model)
    if refusing:
        raise ValueError(
            f'on_missing: samples lack {missing}, and {refusing} of the '
            'model need every modality of every sample; drop them, or set '
            "the training dataset's on_missing='raise' and leave the samples "
            'out with skip_list'
        )
