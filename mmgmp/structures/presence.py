"""Which samples of a batch have which modality."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_PREFIX = 'present/'


def presence_key(modality: str) -> str:
    """Name the mask of a modality among the inputs of a batch.

    The mask is bool of shape ``(N,)``. It is there only if a sample lacks the
    modality, whose input then holds the rows of the other samples alone.

    Args:
        modality: Name of the modality.

    Example:
        >>> presence_key('audio')
        'present/audio'
    """
    return _PREFIX + modality


def read_presence(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Collect the masks of a batch.

    Args:
        inputs: Inputs by modality, and masks.

    Returns:
        ``(N,)`` bool by modality; those that every sample has are left out.

    Example:
        >>> mask = torch.tensor([True, False])
        >>> read_presence({'audio': torch.ones(1, 4), 'present/audio': mask})
        {'audio': tensor([ True, False])}
    """
    return {
        name.removeprefix(_PREFIX): mask
        for name, mask in inputs.items()
        if name.startswith(_PREFIX)
    }


def keep_present(
    values: Mapping[str, Tensor], present: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Put zeros where a sample lacks a modality.

    Args:
        values: ``(N, ...)`` per modality.
        present: Masks, as from :func:`read_presence`.

    Returns:
        The values; no gradient flows through the zeros.

    Example:
        >>> mask = torch.tensor([True, False])
        >>> keep_present({'audio': torch.ones(2)}, {'audio': mask})
        {'audio': tensor([1., 0.])}
    """
    return {
        modality: _masked(value, present[modality])
        if modality in present
        else value
        for modality, value in values.items()
    }


def spread_rows(rows: Tensor, present: Tensor) -> Tensor:
    """Give rows of the samples that have a modality their places.

    Args:
        rows: ``(P, D)``, in order, for P >= 1 of N samples.
        present: Which samples they belong to, bool ``(N,)``.

    Returns:
        ``(N, D)`` with zeros between them.

    Example:
        >>> present = torch.tensor([False, True, False])
        >>> spread_rows(torch.tensor([[7.]]), present).tolist()
        [[0.0], [7.0], [0.0]]
    """
    # By the running number of a row: no index has to reach the host.
    places = (present.cumsum(0) - 1).clamp(min=0)
    return _masked(rows[places], present)


def _masked(value: Tensor, present: Tensor) -> Tensor:
    shape = (-1,) + (1,) * (value.ndim - 1)
    return torch.where(present.reshape(shape), value, value.new_zeros(()))
