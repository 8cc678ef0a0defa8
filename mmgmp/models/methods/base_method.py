"""The interface of an MMDG method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from mmengine.model import BaseModule
from torch import Tensor

from mmgmp.structures import MultiModalBatch, Task


class BaseMethod(BaseModule):
    """Losses added to the recognizer's own, each tagged with a task.

    A method sees features, logits and labels of one batch. It knows neither
    the train loop nor the gradient strategy: what the strategy does with a
    term follows from its task alone.

    Args:
        in_channels: Feature width D_m per modality, in modality order; the
            recognizer fills it in.
        num_classes: Number of classes K; the recognizer fills it in.
        init_cfg: As in MMEngine.
    """

    #: Whether ``model.unimodal_heads`` must be configured.
    needs_unimodal_heads = False
    #: Whether the method brings its own loss of the fused classifier, so
    #: that the recognizer leaves its cross-entropy out.
    replaces_cls_loss = False

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = dict(in_channels)
        self.num_classes = num_classes

    @abstractmethod
    def losses(
        self, batch: MultiModalBatch
    ) -> Mapping[Task, Mapping[str, Tensor]]:
        """Return named 0-dim losses by task.

        A name ends up in the log as ``loss_<task>_<name>``.

        Args:
            batch: Features, logits and labels, attached to the graph.
        """
