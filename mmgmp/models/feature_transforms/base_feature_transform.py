"""The interface of a feature transform."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mmengine.model import BaseModule
from torch import Tensor

from mmgmp.structures import Task


@dataclass(frozen=True)
class FeatureContext:
    """What a feature transform may know beside the features.

    Args:
        labels: Class labels ``(N,)`` on the device of the features; None
            outside training.
        contribute: Per-modality class logits ``(N, K)`` of given features,
            detached and in eval mode; None outside training.
    """

    labels: Tensor | None = None
    contribute: (
        Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] | None
    ) = None


class BaseFeatureTransform(BaseModule):
    """Change the features before fusion, heads and methods see them.

    Runs in training and at test time alike; a transform that acts in one of
    them only asks ``self.training``.

    Args:
        in_channels: Feature width D_m per modality, in modality order; the
            recognizer fills it in.
        init_cfg: As in MMEngine.
    """

    #: Whether nothing happens outside training. Confidences are then those
    #: of the features as they were before.
    training_only = False
    #: Tasks whose head sees the changed features. The discriminator sees the
    #: features as they are at test time if one transform leaves DOMAIN out.
    tasks: frozenset[Task] = frozenset({Task.CLASSIFICATION, Task.DOMAIN})
    #: Whether samples may lack a modality in training; their feature is zero
    #: before and after the transform.
    allows_missing = True

    def __init__(
        self, in_channels: Mapping[str, int], init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = dict(in_channels)

    @abstractmethod
    def forward(
        self, features: Mapping[str, Tensor], context: FeatureContext
    ) -> dict[str, Tensor]:
        """Return the changed features, of the same widths.

        Args:
            features: ``(N, D_m)`` per modality that is there; at test time
                one may be missing.
            context: What else is known.
        """
