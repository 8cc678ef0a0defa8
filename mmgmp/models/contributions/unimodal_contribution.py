"""Contribution read from separate unimodal heads."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mmgmp.models.contributions.base_contribution import (
    BaseContribution,
    JointHead,
)
from mmgmp.registry import MODELS


@MODELS.register_module()
class UnimodalContribution(BaseContribution):
    """Logits of each modality's own head, bias included.

    Needs ``model.unimodal_heads`` (or, for the domain side, a method that
    brings unimodal discriminators).

    Example:
        >>> import torch
        >>> logits = {'v': torch.ones(1, 2)}
        >>> head = JointHead(lambda f: f['v'], torch.zeros(2), logits)
        >>> UnimodalContribution()(head, {'v': torch.zeros(1, 2)})
        {'v': tensor([[1., 1.]])}

    Source: the released code of GMP (arXiv 2603.14175); strategies with
    auxiliary heads.
    """

    needs_unimodal_heads = True

    def __call__(
        self, head: JointHead, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return ``(N, K)`` per modality; see the base class."""
        return {m: head.unimodal_logits[m].detach() for m in features}
