"""How sure and how large each modality's share of the logits is."""

from __future__ import annotations

from torch import Tensor

from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class ShareStatisticsMethod(BaseMethod):
    """Entropy and size of each modality's share, for ``ARLModulation``.

    The shares are those of ``model.contribution``, from heads in eval mode as
    the confidences are. No loss and no parameter.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        init_cfg: As in MMEngine.

    Example:
        >>> ShareStatisticsMethod({'video': 4}, 3).losses(None)
        {}

    Source: ARL, Wei et al., ICCV 2025 (arXiv 2507.10203) [release].
    """

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return none; see the base class."""
        del batch
        return {}

    def statistics(
        self, batch: MultiModalBatch
    ) -> dict[str, dict[str, Tensor]]:
        """Return entropies (nats) and sums of absolute logits, ``(N,)``."""
        shares = batch.shares()
        return {
            'share_entropy': {
                m: -(x.softmax(1) * x.log_softmax(1)).sum(1)
                for m, x in shares.items()
            },
            'share_size': {m: x.abs().sum(1) for m, x in shares.items()},
        }
