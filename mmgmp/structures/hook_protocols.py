"""What hooks of gradient strategies ask of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.nn import Parameter


@runtime_checkable
class LossBlender(Protocol):
    """A module that weights the losses of several heads, and sums them up.

    All tensors over heads have shape ``(H,)``, in the order of ``heads``.
    """

    #: Names of the heads.
    heads: tuple[str, ...]
    #: Weight of each head's loss; in the checkpoint.
    weights: Tensor
    #: Training and validation losses at the last boundary, ``(2, H)``; in
    #: the checkpoint.
    boundary_losses: Tensor
    #: How often the losses have been measured, 0-dim; in the checkpoint.
    num_boundaries: Tensor

    def start_measuring(self) -> None:
        """Forget the losses summed so far."""

    def measured(self) -> Tensor:
        """Return summed losses, then the number of samples, ``(H + 1,)``."""


@runtime_checkable
class EncodingModel(Protocol):
    """A model with one encoder per modality."""

    @property
    def num_classes(self) -> int:
        """Number of classes K."""

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return encoder outputs, ``(N, D_m)`` per modality."""

    def trainable_encoder_parameters(
        self,
    ) -> Mapping[str, Sequence[Parameter]]:
        """Return the trainable parameters of each encoder."""


@runtime_checkable
class PrototypeMethod(Protocol):
    """A method with one prototype per class and modality."""

    #: Epoch that the prototypes were made for, 0-dim; in the checkpoint.
    epoch: Tensor

    def sums(
        self, features: Mapping[str, Tensor], labels: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return sums ``(K, D_m)`` of features by class, and counts."""

    def update(self, sums: Mapping[str, Tensor], counts: Tensor) -> None:
        """Move the prototypes of the classes that have samples."""


@runtime_checkable
class AdaptableModel(Protocol):
    """A model whose parts can be told apart while it is tested."""

    encoders: Any
    fusion: Any
    cls_head: Any
    unimodal_heads: Any

    def extract_feat(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the features that fusion and heads see."""

    def predict_features(
        self, features: Mapping[str, Tensor], data_samples: list[Any]
    ) -> list[Any]:
        """Add scores to the samples of features."""
