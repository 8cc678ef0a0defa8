"""What a method may offer beyond losses; who needs it asks for it by type."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.nn import Parameter


@runtime_checkable
class TeachingMethod(Protocol):
    """A method that learns from an averaged copy of the model.

    The copy's own instance of the method speaks: a hook must give the model
    a teacher (``TeacherHook``).
    """

    def teach(
        self, features: Mapping[str, Tensor], logits: Tensor
    ) -> Mapping[str, Tensor]:
        """Return what this method, as the teacher's copy, tells the student.

        Args:
            features: Features of the teacher, ``(N, D_m)`` per modality.
            logits: Fused class logits of the teacher, ``(N, K)``.

        Returns:
            Tensors by name; the student finds them in ``batch.teacher``.
        """


@runtime_checkable
class OwnTeachers(Protocol):
    """A method with encoders of its own that it learns from.

    They never change, and are no part of the model's state.
    """

    def shared_stages(self, encoders: Mapping[str, Any]) -> Collection[str]:
        """Return the modalities whose frozen stages are those of the model.

        Args:
            encoders: Encoders of the model by modality.
        """

    def ask(self, inputs: Mapping[str, Any]) -> Mapping[str, Tensor]:
        """Return what the teachers say, without graph.

        Args:
            inputs: Inputs of the model; those of ``shared_stages`` have
                passed the frozen stages.

        Returns:
            Tensors by name; the method finds them in ``batch.teacher``.
        """


@runtime_checkable
class DomainLogits(Protocol):
    """A method with domain discriminators of its own, one per modality.

    A model with such a method has no ``domain_head``.
    """

    #: Whether the discriminators are there; with one source domain they are
    #: not.
    has_domain_logits: bool
    #: Whether the logits are computed once with the training pass, dropout
    #: and batch statistics included, for losses and confidences alike
    #: (``batch.unimodal_domain_logits``).
    domain_logits_in_pass: bool

    def domain_logits(
        self, features: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Return domain logits ``(N, S)`` of each modality's own feature.

        Args:
            features: ``(N, D_m)`` per modality.
        """


@runtime_checkable
class Translator(Protocol):
    """A method that can guess the feature of a modality from the others."""

    #: Whether it was trained to; with one modality there is nothing to learn.
    can_translate: bool

    def translate(
        self, features: Mapping[str, Tensor], modality: str
    ) -> Tensor:
        """Return a stand-in ``(N, D_m)`` for the feature of a modality.

        Args:
            features: Features of the modalities that are there.
            modality: The one that is missing.
        """


@runtime_checkable
class StatisticsMethod(Protocol):
    """A method that measures something for a gradient strategy."""

    def statistics(self, batch: object) -> Mapping[str, Mapping[str, Tensor]]:
        """Return detached per-sample numbers.

        Args:
            batch: As in ``BaseMethod.losses``.

        Returns:
            Tensors ``(N,)`` by name and modality; names without ``/``.
        """


@runtime_checkable
class FeedbackReceiver(Protocol):
    """A method that is told what the modulation decided."""

    def receive(self, feedback: Mapping[str, Tensor]) -> None:
        """Take what the modulation tells after an optimizer step.

        Args:
            feedback: Tensors ``(M,)`` by name.
        """


@runtime_checkable
class WatchingMethod(Protocol):
    """A method with parameters that gradient clipping must leave alone.

    They only watch the model, as probes do.
    """

    def unclipped_parameters(self) -> list[Parameter]:
        """Return them; see ``TaskLosses.unclipped``."""
