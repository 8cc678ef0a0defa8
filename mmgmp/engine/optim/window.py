"""What is gathered over the micro-batches of one optimizer step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import Gradients, by_dtype
from mmgmp.engine.optim.reduction import GradientReduction, HostCopy
from mmgmp.structures import Coefficients, Task


class Window:
    """Gradients, sums and sample counts since the last optimizer step.

    Losses are means over the samples of their micro-batch and are divided by
    the planned number of micro-batches, as MMEngine does. Where sizes differ,
    :attr:`share` and :meth:`even_out` turn that into a mean over samples.

    Example:
        >>> window = Window()
        >>> for size in (4, 2):
        ...     window.add(size, 2, {}, [])
        >>> window.share  # the second counts half as much as the first
        0.5
        >>> gradient = torch.ones(1) / 2 + 0.5 * torch.ones(1) / 2
        >>> window.even_out([gradient])
        >>> gradient
        tensor([1.])
    """

    def __init__(self) -> None:
        #: Encoder gradients, by the first task of their group.
        self.gradients: dict[Task, Gradients] = {}
        #: Their reductions over ranks, under way.
        self.reductions: dict[Task, GradientReduction] = {}
        #: Combined encoder gradients, where they are made at once.
        self.combined: Gradients | None = None
        #: Sums over samples, by name; the count has no name.
        self.sums: dict[str, Tensor] = {}
        #: Samples of each micro-batch.
        self.sizes: list[int] = []
        #: Groups of tasks that had a loss.
        self.seen: set[Task] = set()
        #: Whether any rank has seen each group, on its way to the host.
        self.group_flags: HostCopy | None = None
        #: This rank's share of the samples.
        self.rank_weight = torch.ones(())
        #: Factors before projection, where there was one.
        self.modulated: Coefficients | None = None
        self._divisor = 1

    def add(
        self,
        size: int,
        divisor: int,
        sums: Mapping[str, Tensor],
        seen: Iterable[Task],
    ) -> None:
        """Count one micro-batch.

        Args:
            size: Its samples, >= 0.
            divisor: What its losses are divided by.
            sums: Its sums over samples.
            seen: Groups of tasks that it has a loss for.
        """
        self.sizes.append(size)
        self.seen.update(seen)
        self._divisor = divisor
        for name, value in sums.items():
            self.sums[name] = (
                self.sums[name] + value if name in self.sums else value
            )

    @property
    def samples(self) -> int:
        """Samples of all its micro-batches."""
        return sum(self.sizes)

    @property
    def share(self) -> float:
        """Weight of the last micro-batch against the first with samples."""
        return self.sizes[-1] / self._first

    @property
    def _first(self) -> int:
        return next((size for size in self.sizes if size), 0)

    def even_out(self, gradients: Gradients) -> None:
        """Make means over samples, in place; nothing if sizes are equal.

        Args:
            gradients: Sums over the window's micro-batches.
        """
        planned = self._divisor * self._first
        if self.samples in (0, planned):
            return
        present = [gradient for gradient in gradients if gradient is not None]
        for group in by_dtype(present):
            torch._foreach_mul_(group, planned / self.samples)

    def follow(self, before: list[Parameter], after: list[Parameter]) -> None:
        """Keep what is kept when encoder parameters are frozen or thawed.

        Args:
            before: What the gradients belong to now.
            after: What they have to belong to.
        """
        for key, gradients in self.gradients.items():
            kept = {id(p): g for p, g in zip(before, gradients, strict=True)}
            self.gradients[key] = [kept.get(id(p)) for p in after]

    # -- checkpoints ------------------------------------------------------

    def state_dict(
        self, groups: EncoderGroups, positions: Mapping[int, int]
    ) -> dict[str, Any]:
        """Return what was gathered so far.

        Args:
            groups: What the gradients belong to.
            positions: Number of each parameter, by id.
        """
        plain: Gradients = [p.grad for p in groups.others]
        kept = {
            **{
                task.value: (groups.flat, gradients)
                for task, gradients in self.gradients.items()
            },
            '': (groups.others, plain),
        }
        return {
            'sizes': list(self.sizes),
            'seen': sorted(task.value for task in self.seen),
            'sums': dict(self.sums),
            'gradients': {
                name: {
                    positions[id(p)]: g
                    for p, g in zip(parameters, gradients, strict=True)
                    if g is not None and id(p) in positions
                }
                for name, (parameters, gradients) in kept.items()
            },
        }

    def load_state_dict(
        self,
        state: Mapping[str, Any],
        groups: EncoderGroups,
        positions: Mapping[int, int],
    ) -> None:
        """Restore what :meth:`state_dict` returned.

        Args:
            state: The state.
            groups: What the gradients belong to.
            positions: Number of each parameter, by id.
        """
        device = groups.flat[0].device
        self.sizes = list(state['sizes'])
        self.seen = {Task(value) for value in state['seen']}
        self.sums = {n: x.to(device) for n, x in state['sums'].items()}
        for name, saved in state['gradients'].items():
            parameters = groups.flat if name else groups.others
            restored: Gradients = [
                None
                if (gradient := saved.get(positions.get(id(p), -1))) is None
                else gradient.to(p.device)
                for p in parameters
            ]
            if name:
                self.gradients[Task(name)] = restored
                continue
            for parameter, gradient in zip(parameters, restored, strict=True):
                parameter.grad = gradient
