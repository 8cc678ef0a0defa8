"""Two-layer head shared by the classifier and the discriminator."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn


def check_range(name: str, labels: Tensor, size: int, key: str) -> None:
    """Refuse labels outside ``0..size-1``.

    Args:
        name: What the labels are, for the message.
        labels: Integer labels on the host, ``(N,)``.
        size: Number of outputs of the head.
        key: Config key of ``size``.

    Raises:
        ValueError: If a label is out of range.

    Example:
        >>> check_range('gt_label', torch.tensor([0, 2]), 3, 'num_classes')
    """
    if not len(labels):
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= size:
        raise ValueError(
            f'{name} must lie in 0..{size - 1}, got {low}..{high}; set '
            f'{key} to the number of labels of the dataset'
        )


class MLPHead(BaseModule):
    """Linear, ReLU, Dropout, Linear.

    Args:
        in_channels: Width of the fused feature.
        out_channels: Number of logits.
        hidden_channels: Width of the hidden layer; 0 makes the head linear.
        dropout: Drop probability before the output layer.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If a width is not positive or the dropout is not in
            [0, 1).

    Example:
        >>> MLPHead(8, 3)(torch.zeros(2, 8)).shape
        torch.Size([2, 3])

    Source: GMP (arXiv 2603.14175), implementation details: MLPs with 256
    hidden units. ReLU, dropout and the absence of batch norm are [choice].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int = 256,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if in_channels < 1 or out_channels < 1 or hidden_channels < 0:
            raise ValueError(
                'in_channels and the number of outputs must be >= 1 and '
                f'hidden_channels >= 0, got {in_channels}, {out_channels} '
                f'and {hidden_channels}; set them in the head of the model'
            )
        if not 0 <= dropout < 1:
            raise ValueError(
                f'dropout must be in [0, 1), got {dropout}; set the dropout '
                'of the head in the model'
            )
        self.in_channels = in_channels
        if hidden_channels:
            self.hidden: nn.Module = nn.Sequential(
                nn.Linear(in_channels, hidden_channels),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
            )
        else:
            self.hidden = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_channels or in_channels, out_channels)

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits in float32.

        Args:
            fused: Fused features, ``(N, in_channels)``.

        Returns:
            Tensor of shape ``(N, out_channels)``.
        """
        logits: Tensor = self.output(self.hidden(fused))
        return logits if logits.dtype == torch.float64 else logits.float()
