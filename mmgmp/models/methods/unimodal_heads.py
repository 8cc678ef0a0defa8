"""Classification losses of each modality alone, apart from the fused one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.contributions.base_contribution import evaluate_subsets
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.activity import current_epoch


class UnimodalMethod(BaseMethod):
    """One unimodal term per modality (``Task.UNIMODAL``).

    ``ParetoProjection`` and ``DisentangledModulation`` tell them from the
    fused loss, all other strategies count them as classification.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        weight: Of each term, > 0.
        warmup_epochs: First epochs, in which the weight is 1, >= 0.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        weight: float = 1.0,
        warmup_epochs: int = 0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        self.check_positive(weight=weight)
        if warmup_epochs < 0:
            raise ValueError(
                f'warmup_epochs of {type(self).__name__} must be >= 0, got '
                f'{warmup_epochs}; correct model.methods'
            )
        self.weight = weight
        self.warmup_epochs = warmup_epochs

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return a term per modality; see the base class."""
        is_warm = current_epoch() >= self.warmup_epochs
        weight = self.weight if is_warm else 1.0
        return {
            Task.UNIMODAL: {
                m: weight * loss for m, loss in self.unimodal(batch).items()
            }
        }

    @abstractmethod
    def unimodal(self, batch: MultiModalBatch) -> Mapping[str, Tensor]:
        """Return the loss of each modality, 0-dim.

        Args:
            batch: As in :meth:`losses`.
        """


@MODELS.register_module()
class UnimodalHeadsMethod(UnimodalMethod):
    """Cross-entropy of ``model.unimodal_heads``.

    Args:
        *args: As in :class:`UnimodalMethod`.
        **kwargs: As in :class:`UnimodalMethod`.

    Example:
        >>> method = UnimodalHeadsMethod({'video': 4, 'audio': 2}, 3)
        >>> method.needs_unimodal_heads
        True

    Source: MMPareto (arXiv 2405.17730) and DGL (arXiv 2507.10213), which
    both have the sum with weight 1.
    """

    needs_unimodal_heads = True

    def unimodal(self, batch: MultiModalBatch) -> dict[str, Tensor]:
        """Return the loss of each head; see the base class."""
        return {
            m: F.cross_entropy(batch.unimodal_logits[m], batch.labels)
            for m in self.in_channels
        }


@MODELS.register_module()
class SharedHeadUnimodalMethod(UnimodalMethod):
    """Cross-entropy of the fused classifier on each modality alone.

    The features of the other modalities are zeros, and there is no further
    parameter. Dropout of the classifier is on as in the fused pass [choice].

    Args:
        *args: As in :class:`UnimodalMethod`.
        detach_head: Whether the terms reach the encoders only, and fusion and
            classifier learn nothing from them.
        **kwargs: As in :class:`UnimodalMethod`.

    Example:
        >>> method = SharedHeadUnimodalMethod({'video': 4, 'audio': 2}, 3)
        >>> list(method.parameters())
        []

    Source: DGL, Wei et al., ICCV 2025 (arXiv 2507.10213) [release]; zeros in
    place of the other features for every fusion, FiLM's among them [choice].
    ARL (arXiv 2507.10203) has it too, without detaching.
    """

    def __init__(
        self, *args: Any, detach_head: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.detach_head = detach_head

    def unimodal(self, batch: MultiModalBatch) -> dict[str, Tensor]:
        """Return the loss of each modality alone; see the base class."""
        if not self.detach_head:
            return self._evaluate(batch, batch.features)
        # Differentiated down to the features here, so that nothing reaches
        # the parameters of fusion and classifier.
        with torch.enable_grad():
            leaves = {
                m: x.detach().requires_grad_()
                for m, x in batch.features.items()
            }
            values = self._evaluate(batch, leaves)
            slopes = torch.autograd.grad(
                torch.stack(list(values.values())).sum(),
                list(leaves.values()),
            )
        return {
            # The value of the loss, and its gradient in the feature.
            m: values[m].detach() + ((x - x.detach()) * slope).sum()
            for (m, x), slope in zip(
                batch.features.items(), slopes, strict=True
            )
        }

    @staticmethod
    def _evaluate(
        batch: MultiModalBatch, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        logits = evaluate_subsets(
            batch.classify, features, [frozenset({m}) for m in features]
        )
        return {
            m: F.cross_entropy(x, batch.labels)
            for m, x in zip(features, logits, strict=True)
        }
