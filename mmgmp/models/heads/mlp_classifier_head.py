"""Action classifier on the fused feature."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.heads.mlp_head import MLPHead, check_range
from mmgmp.registry import MODELS


@MODELS.register_module()
class MLPClassifierHead(MLPHead):
    """Classify the fused feature with a two-layer perceptron.

    Args:
        num_classes: Number of action classes K, >= 2.
        in_channels: Width of the fused feature; the recognizer fills it in.
        hidden_channels: Width of the hidden layer; 0 makes the head linear.
        dropout: Drop probability before the output layer.
        label_smoothing: Of the cross-entropy, in [0, 1).
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If there are fewer than two classes.

    Example:
        >>> import torch
        >>> head = MLPClassifierHead(num_classes=3, in_channels=8)
        >>> head(torch.zeros(2, 8)).shape
        torch.Size([2, 3])

    Source: GMP (arXiv 2603.14175), Eq. (1) and implementation details;
    dropout 0.5 is [choice].
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        hidden_channels: int = 256,
        dropout: float = 0.5,
        label_smoothing: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        if num_classes < 2:
            raise ValueError(
                f'num_classes must be >= 2, got {num_classes}; set '
                'model.cls_head.num_classes'
            )
        super().__init__(
            in_channels, num_classes, hidden_channels, dropout, init_cfg
        )
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing

    def check_labels(self, labels: Tensor) -> None:
        """Refuse labels outside the classes.

        Args:
            labels: Class labels on the host, ``(N,)``.

        Raises:
            ValueError: If one is not in ``0..K-1``.
        """
        check_range(
            'gt_label', labels, self.num_classes, 'model.cls_head.num_classes'
        )

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy, 0-dim.

        Args:
            logits: ``(N, K)``.
            labels: Class labels ``0..K-1``, ``(N,)``.
        """
        return F.cross_entropy(
            logits, labels, label_smoothing=self.label_smoothing
        )
