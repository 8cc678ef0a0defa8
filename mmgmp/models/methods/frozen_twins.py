"""Frozen twins of the encoders, which say what they see of a batch."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.structures import FrozenState, presence_key, spread_rows


class FrozenTwins(BaseMethod):
    """A method with a frozen twin of each encoder (``OwnTeachers``).

    A twin sees what the model's encoder sees: the same augmented input, in
    eval mode and without gradient. Twins are made when weights are
    initialised, hence in training only. They are no part of the model's
    state: a checkpoint holds the model alone and is tested without their
    files. Where an encoder's frozen stages are those of its twin, they run
    once for both, also on what a feature cache holds.

    Args:
        in_channels: As in :class:`BaseMethod`.
        num_classes: As in :class:`BaseMethod`.
        encoders: Encoder configs by modality; the recognizer fills them in.
        **kwargs: As in :class:`BaseMethod`.
    """

    build_with = frozenset({'encoders'})
    allows_missing = True

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        encoders: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self._encoders = copy.deepcopy(dict(encoders or {}))
        # In a plain list: modules of a module double every checkpoint.
        self._twins: list[nn.Module] = []
        self._shared: frozenset[str] | None = None
        # Follows the model to its device, which the twins are then put on.
        self.register_buffer('_place', torch.empty(0), persistent=False)

    @abstractmethod
    def make_twin(self, modality: str) -> nn.Module:
        """Return the twin of an encoder, with its weights.

        Args:
            modality: The encoder's.
        """

    def init_weights(self) -> None:
        """Make the twins; see the class."""
        super().init_weights()
        # Other rows of a plan start from the same random numbers.
        with torch.random.fork_rng(devices=[]):
            twins = [self.make_twin(m) for m in self.modalities]
        self._twins = [
            twin.requires_grad_(False).eval().to(self._place.device)
            for twin in twins
        ]
        self._shared = None

    def encoder_config(self, modality: str) -> dict[str, Any]:
        """Return a copy of an encoder's config, to build from.

        Args:
            modality: The encoder's.
        """
        return copy.deepcopy(dict(self._encoders[modality]))

    def shared_stages(self, encoders: Mapping[str, Any]) -> Collection[str]:
        """Return the modalities whose frozen stages are the twin's.

        Compared once, with the first batch, which waits for the device.

        Args:
            encoders: Encoders of the student by modality.
        """
        if self._shared is None:
            self._shared = frozenset(
                modality
                for modality, twin in self._by_modality().items()
                if _has_same_frozen(encoders[modality], twin)
            )
        return self._shared

    @torch.no_grad()
    def ask(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the twins' features of a batch.

        Args:
            inputs: Preprocessed inputs by modality, or what the frozen stages
                made of them; rows of a modality that samples lack are left
                out, as its mask says.

        Returns:
            ``(N, D_m)`` per modality, zeros for samples that lack it.

        Raises:
            RuntimeError: If there are no twins yet.
            ValueError: If an input has passed frozen stages that are not the
                twin's.
        """
        return {
            modality: self._features(modality, twin, inputs)
            for modality, twin in self._by_modality().items()
        }

    def _features(
        self, modality: str, twin: nn.Module, inputs: Mapping[str, Any]
    ) -> Tensor:
        rows, present = inputs[modality], inputs.get(presence_key(modality))
        if isinstance(rows, FrozenState) and modality not in (
            self._shared or ()
        ):
            raise ValueError(
                f'the twin of {modality} in {type(self).__name__} must have '
                'the frozen stages that the feature cache was filled with, '
                'got others; train from the files (protocol.cache=None), or '
                'take a twin that started from the same weights'
            )
        if present is None:
            feature: Tensor = twin(rows)
            return feature
        if not rows.numel():
            width = self.in_channels[modality]
            return self._place.new_zeros(len(present), width)
        return spread_rows(twin(rows), present)

    def _by_modality(self) -> dict[str, nn.Module]:
        if not self._twins:
            raise RuntimeError(
                f'{type(self).__name__} has no twins of the encoders yet: '
                'they are made when weights are initialised; call '
                'init_weights() of the model, as the runner does, before it '
                'is trained'
            )
        return dict(zip(self.modalities, self._twins, strict=True))

    def _apply(self, fn: Callable, *args: Any, **kwargs: Any) -> Any:
        for twin in self._twins:
            twin._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)


def _has_same_frozen(encoder: Any, twin: Any) -> bool:
    """Whether the frozen stages are one function, now and later."""
    has_frozen = getattr(encoder, 'frozen_stages', -1) >= 0
    if not has_frozen or not encoder.frozen_norm_eval:
        return False
    own, other = encoder.frozen_state_dict(), twin.frozen_state_dict()
    return all(torch.equal(value, other[name]) for name, value in own.items())
