"""The interface of a forward plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from mmaction.structures import ActionDataSample
from torch import Tensor

from mmgmp.structures import MultiModalBatch

Inputs = Mapping[str, Tensor]


class PlannedModel(Protocol):
    """What a plan uses of the recognizer."""

    encoders: Any
    fusion: Any
    cls_head: Any
    unimodal_heads: Any

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuse inputs that lack a modality."""

    def encode(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return encoder outputs before ``feature_transforms``."""

    def transform_features(
        self, outputs: Mapping[str, Tensor], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return what fusion, heads and methods see."""

    def assemble(
        self,
        outputs: Mapping[str, Tensor],
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Transform, fuse and classify encoder outputs."""


class BaseForwardPlan(ABC):
    """Turn a training batch into the features and logits of one step.

    Methods that need more than one plain pass name what they need; a plan
    names what it provides. Testing is always one plain pass.
    """

    #: What a batch of this plan holds beyond the ordinary: ``'views'`` for
    #: several views per sample, ``'inner_features'`` for those after an
    #: inner step.
    provides: ClassVar[frozenset[str]] = frozenset()
    #: Whether samples may lack a modality; the plan then has to take its
    #: features from ``model.encode``.
    allows_missing: bool = True

    def check(self, model: PlannedModel) -> None:  # noqa: B027
        """Refuse a model that the plan cannot run.

        Args:
            model: The model, built.
        """

    @abstractmethod
    def run(
        self,
        model: PlannedModel,
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Return the batch that losses are computed from.

        Args:
            model: The model.
            inputs: Preprocessed inputs.
            data_samples: One per row of the inputs.
        """
