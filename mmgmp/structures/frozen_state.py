"""What the frozen stages of an encoder made of an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrozenState:
    """Maps between the frozen and the trainable stages of an encoder.

    It takes the place of an input: an encoder that is given one goes on from
    there. Of a sample in a data loader, of a batch in a model.

    Args:
        maps: One tensor per pathway, ``(N * clips, C, ...)``.
        clips: Clips per sample.

    Example:
        >>> state = FrozenState((torch.ones(3, 8, 4, 4),), clips=3)
        >>> state.numel(), state.device
        (384, device(type='cpu'))
    """

    maps: tuple[Tensor, ...]
    clips: int = 1

    def numel(self) -> int:
        """Count the elements, as of a tensor."""
        return sum(m.numel() for m in self.maps)

    @property
    def device(self) -> torch.device:
        """Where the maps are."""
        return self.maps[0].device

    def to(
        self, device: torch.device | str, non_blocking: bool = False
    ) -> FrozenState:
        """Move the maps.

        Args:
            device: Where to.
            non_blocking: As in PyTorch.
        """
        moved = [m.to(device, non_blocking=non_blocking) for m in self.maps]
        return replace(self, maps=tuple(moved))

    def pin_memory(
        self, device: torch.device | str | None = None
    ) -> FrozenState:
        """Pin the maps, which a data loader with ``pin_memory`` asks for.

        Args:
            device: As in PyTorch.
        """
        pinned = [m.pin_memory(device) for m in self.maps]
        return replace(self, maps=tuple(pinned))


def stack_states(states: Sequence[FrozenState]) -> FrozenState:
    """Make a batch of samples.

    Args:
        states: One per sample, at least one.

    Returns:
        Their maps, one behind the other.

    Raises:
        ValueError: If they differ in their number of clips.

    Example:
        >>> one = FrozenState((torch.ones(1, 8, 4),))
        >>> stack_states([one, one]).maps[0].shape
        torch.Size([2, 8, 4])
    """
    clips = {state.clips for state in states}
    if len(clips) > 1:
        raise ValueError(
            'the samples of a batch must have one number of clips, got '
            f'{sorted(clips)}; use one test pipeline for all of them'
        )
    pathways = zip(*(state.maps for state in states), strict=True)
    return FrozenState(tuple(map(torch.cat, pathways)), clips.pop())
