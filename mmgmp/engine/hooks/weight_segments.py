"""Means of a model's weights over pieces of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmgmp.engine.hooks.loss_valley import Valley

Weights = dict[str, Tensor]


class WeightSegments:
    """The mean of the present piece, and those of earlier ones as needed.

    Weights are those that are trained, and floating-point buffers such as
    batch norm's statistics. Pieces that may still be left out are kept one
    by one, in the memory of the host; those that stay are one mean.
    """

    def __init__(self) -> None:
        self.running: Weights = {}
        self.num_running = 0
        self.waiting: dict[int, Weights] = {}
        self.merged: Weights = {}
        self.num_merged = 0

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Take the present weights into the present piece.

        Args:
            model: The model.
        """
        values = _changing(model)
        self.num_running += 1
        if self.num_running == 1:
            self.running = {n: v.clone() for n, v in values.items()}
            return
        # One that was resumed comes from the host.
        for name, value in values.items():
            self.running[name] = self.running[name].to(value.device)
        torch._foreach_lerp_(
            [self.running[name] for name in values],
            list(values.values()),
            1 / self.num_running,
        )

    def close(self, number: int) -> None:
        """End the present piece.

        Args:
            number: By which it is known.
        """
        self.waiting[number] = {n: v.cpu() for n, v in self.running.items()}
        self.running, self.num_running = {}, 0

    def settle(self, valley: Valley, first_open: int) -> None:
        """Merge the pieces that stay, and forget those that are out.

        Args:
            valley: Which pieces count by now.
            first_open: The first piece about which later losses decide.
        """
        for number in sorted(self.waiting):
            is_in = valley.start <= number < valley.stop
            if is_in and number < first_open:
                self._merge(self.waiting.pop(number))
            elif number < valley.start or valley.is_closed:
                del self.waiting[number]

    def forget(self, first: int) -> None:
        """Forget the pieces before one.

        Args:
            first: Its number.
        """
        self.waiting = {n: w for n, w in self.waiting.items() if n >= first}

    def mean(self, valley: Valley) -> Weights:
        """Return the mean of all pieces that count, each as one.

        Args:
            valley: Which pieces count by now.
        """
        total = WeightSegments()
        total.merged = {n: v.clone() for n, v in self.merged.items()}
        total.num_merged = self.num_merged
        for number, weights in self.waiting.items():
            if valley.start <= number < valley.stop:
                total._merge(weights)
        return total.merged

    def _merge(self, weights: Weights) -> None:
        self.num_merged += 1
        if self.num_merged == 1:
            self.merged = {n: v.clone() for n, v in weights.items()}
            return
        torch._foreach_lerp_(
            [self.merged[name] for name in weights],
            list(weights.values()),
            1 / self.num_merged,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return everything, to be stored."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Args:
            state: The state.
        """
        vars(self).update(state)


def _changing(model: nn.Module) -> Weights:
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    return {
        name: value.detach()
        for name, value in model.state_dict().items()
        if value.is_floating_point() and name not in frozen
    }
