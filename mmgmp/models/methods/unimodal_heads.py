"""Classification losses of each modality alone, apart from the fused one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.contributions.base_contribution import evaluate_subsets
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class UnimodalHeadsMethod(BaseMethod):
    """Cross-entropy of ``model.unimodal_heads``, one term per modality.

    The terms are unimodal (``Task.UNIMODAL``): ``ParetoProjection`` and
    ``DisentangledModulation`` tell them from the fused loss, all other
    strategies count them as classification.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        weight: Of each term, > 0.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If the weight is not positive.

    Example:
        >>> method = UnimodalHeadsMethod({'video': 4, 'audio': 2}, 3)
        >>> method.needs_unimodal_heads
        True

    Source: MMPareto (arXiv 2405.17730) and DGL (arXiv 2507.10213), which
    both have the sum with weight 1.
    """

    needs_unimodal_heads = True

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        weight: float = 1.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        self.check_positive(weight=weight)
        self.weight = weight

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return a term per modality; see the base class."""
        return {
            Task.UNIMODAL: {
                m: self.weight
                * F.cross_entropy(batch.unimodal_logits[m], batch.labels)
                for m in self.in_channels
            }
        }


@MODELS.register_module()
class SharedHeadUnimodalMethod(BaseMethod):
    """Cross-entropy of the fused classifier on each modality alone.

    The features of the other modalities are zeros. The terms reach the
    encoders only: fusion and classifier learn nothing from them, and there is
    no further parameter. Dropout of the classifier is on as in the fused pass
    [choice]. The terms are unimodal, as those of
    :class:`UnimodalHeadsMethod`.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        weight: Of each term, > 0.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If the weight is not positive.

    Example:
        >>> method = SharedHeadUnimodalMethod({'video': 4, 'audio': 2}, 3)
        >>> list(method.parameters())
        []

    Source: DGL, Wei et al., ICCV 2025 (arXiv 2507.10213) [release]; zeros in
    place of the other features for every fusion, FiLM's among them [choice].
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        weight: float = 1.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        self.check_positive(weight=weight)
        self.weight = weight

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return a term per modality; see the base class."""
        features = batch.features
        # Differentiated down to the features here, so that nothing reaches
        # the parameters of fusion and classifier.
        with torch.enable_grad():
            leaves = {
                m: x.detach().requires_grad_() for m, x in features.items()
            }
            logits = evaluate_subsets(
                batch.classify, leaves, [frozenset({m}) for m in leaves]
            )
            values = torch.stack(
                [F.cross_entropy(x, batch.labels) for x in logits]
            )
            slopes = torch.autograd.grad(values.sum(), list(leaves.values()))
        return {
            Task.UNIMODAL: {
                m: self.weight
                # The value of the loss, and its gradient in the feature.
                * (value + ((x - x.detach()) * slope).sum())
                for (m, x), value, slope in zip(
                    features.items(), values.detach(), slopes, strict=True
                )
            }
        }
