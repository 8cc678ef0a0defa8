"""What is gathered over the micro-batches of one optimizer step."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch.nn import Parameter

from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import Gradients, by_dtype
from mmgmp.engine.optim.reduction import GradientReduction
from mmgmp.engine.optim.sums import Sums
from mmgmp.structures import Task


class Window:
    """Gradients, sums and sample counts since the last optimizer step.

    Losses are means over the samples of their micro-batch and are divided by
    the planned number of micro-batches, as MMEngine does. Where sizes differ,
    :attr:`share` and :meth:`even_out` turn that into a mean over samples.

    Example:
        >>> window = Window()
        >>> for size in (4, 2):
        ...     window.add(size, 2, Sums(torch.tensor([size])), [])
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
        #: Sums over samples; None before the first micro-batch.
        self.sums: Sums | None = None
        #: Samples of each micro-batch.
        self.sizes: list[int] = []
        #: Groups of tasks that had a loss.
        self.seen: set[Task] = set()
        self._divisor = 1

    def add(
        self,
        size: int,
        divisor: int,
        sums: Sums,
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
        self.sums = sums if self.sums is None else self.sums + sums

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
            'sums': {} if self.sums is None else self.sums.flat(),
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
        self.sums = Sums.from_flat(
            {n: x.to(device) for n, x in state['sums'].items()}
        )
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


def save_window(
    window: Window,
    groups: EncoderGroups,
    optimizer: torch.optim.Optimizer,
    inner_count: int,
    counts: int,
) -> dict[str, Any] | None:
    """Return an unfinished window for a checkpoint; None if there is none."""
    if not window.sizes:
        return None
    if get_world_size() > 1:
        print_log(
            'This checkpoint is written within an accumulation window; '
            'the gradients of the other ranks are not in it. Resuming '
            'leaves out its micro-batches: save every multiple of '
            f'accumulative_counts={counts} iterations',
            logger='current',
            level=logging.WARNING,
        )
        return None
    return {
        'inner_count': inner_count,
        **window.state_dict(groups, _positions(optimizer)),
    }


def restore_window(
    window: Window,
    saved: Mapping[str, Any],
    groups: EncoderGroups,
    optimizer: torch.optim.Optimizer,
    inner_count: int,
    counts: int,
) -> None:
    """Go on with what :func:`save_window` returned, if it fits."""
    gathered = inner_count % counts
    if gathered == len(saved['sizes']) and get_world_size() == 1:
        window.load_state_dict(saved, groups, _positions(optimizer))
        return
    print_log(
        'The accumulation window of the checkpoint does not fit '
        f'accumulative_counts={counts} and '
        f'{get_world_size()} ranks; its micro-batches are left out',
        logger='current',
        level=logging.WARNING,
    )


def _positions(optimizer: torch.optim.Optimizer) -> dict[int, int]:
    """Number the optimizer's parameters, as its own state does."""
    parameters = [
        p for group in optimizer.param_groups for p in group['params']
    ]
    return {id(p): index for index, p in enumerate(parameters)}
