"""Which parameters belong to which modality's encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch.nn import Parameter


class EncoderGroups:
    """The encoders' trainable parameters, and all others of the optimizer.

    Example:
        >>> video, head = Parameter(torch.ones(2)), Parameter(torch.ones(1))
        >>> groups = EncoderGroups()
        >>> groups.update({'video': [video]}, torch.optim.SGD([video, head]))
        True
        >>> groups.parts, len(groups.others)
        ([slice(0, 1, None)], 1)
    """

    def __init__(self) -> None:
        #: Trainable parameters per modality.
        self.by_modality: dict[str, list[Parameter]] = {}
        #: The same, one modality after the other.
        self.flat: list[Parameter] = []
        #: Where each modality is in ``flat``.
        self.parts: list[slice] = []
        #: Trainable parameters of the optimizer that are in no encoder.
        self.others: list[Parameter] = []

    def __str__(self) -> str:
        return ', '.join(
            f'{m}: {sum(p.numel() for p in ps):,} in {len(ps)} tensors'
            for m, ps in self.by_modality.items()
        )

    def update(
        self,
        encoder_parameters: Mapping[str, Sequence[Parameter]],
        optimizer: torch.optim.Optimizer,
    ) -> bool:
        """Read the groups anew: a hook may freeze or thaw between steps.

        Args:
            encoder_parameters: As in ``TaskLosses``.
            optimizer: The optimizer of the whole model.

        Returns:
            Whether the encoders have changed.

        Raises:
            ValueError: If an encoder has nothing to train, or shares a
                parameter with another one.
        """
        encoders = {
            modality: [p for p in parameters if p.requires_grad]
            for modality, parameters in encoder_parameters.items()
        }
        is_new = self._regroup(encoders)
        own = set(_ids(self.flat))
        self.others = [
            p
            for group in optimizer.param_groups
            for p in group['params']
            if p.requires_grad and id(p) not in own
        ]
        return is_new

    def _regroup(self, encoders: dict[str, list[Parameter]]) -> bool:
        flat = [p for ps in encoders.values() for p in ps]
        if list(encoders) == list(self.by_modality) and _ids(flat) == _ids(
            self.flat
        ):
            return False
        _check(encoders)
        self.by_modality, self.flat, self.parts = encoders, flat, []
        for parameters in encoders.values():
            start = self.parts[-1].stop if self.parts else 0
            self.parts.append(slice(start, start + len(parameters)))
        return True


def _ids(parameters: Iterable[Parameter]) -> list[int]:
    return [id(p) for p in parameters]


def _check(encoders: Mapping[str, Sequence[Parameter]]) -> None:
    owner: dict[int, str] = {}
    for modality, parameters in encoders.items():
        if not parameters:
            raise ValueError(
                f'encoder_parameters[{modality!r}] must hold a trainable '
                'parameter, got none; lower model.encoders.'
                f'{modality}.frozen_stages or drop the modality'
            )
        for parameter in parameters:
            other = owner.setdefault(id(parameter), modality)
            if other != modality:
                raise ValueError(
                    'encoder_parameters must be disjoint, got a '
                    f'parameter shared by {other!r} and {modality!r}; '
                    'give each entry of model.encoders its own backbone'
                )
