"""What a step is decided from: sums over a window, then over the ranks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.dist import broadcast_object_list, get_world_size
from mmengine.logging import MessageHub
from torch import Tensor

from mmgmp.engine.optim.combine_rule import CombineRule
from mmgmp.engine.optim.diagnostics import Diagnostics
from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import accumulation_dtype
from mmgmp.engine.optim.reduction import HostCopy, sum_over_ranks
from mmgmp.engine.optim.strategies.ratios import domain_ratio, semantic_ratio
from mmgmp.engine.optim.window import Window
from mmgmp.structures import BatchSignals, Task, TaskLosses, keep_present

_RATIOS = (
    (Task.CLASSIFICATION, 'semantic_ratio', semantic_ratio),
    (Task.DOMAIN, 'domain_ratio', domain_ratio),
)


@dataclass(frozen=True)
class Boundary:
    """What is known at the end of a window, before its gradients.

    Args:
        signals: The scalars that strategies decide from.
        rank_weight: This rank's share of the samples, 0-dim.
        group_flags: Whether any rank has a loss for each group of tasks, on
            its way to the host; None on a single rank.
    """

    signals: BatchSignals
    rank_weight: Tensor
    group_flags: HostCopy | None = None


class Observer:
    """Sums what batches show, and forms the signals at a window's end."""

    def __init__(
        self,
        rule: CombineRule,
        groups: EncoderGroups,
        diagnostics: Diagnostics,
    ) -> None:
        self._rule = rule
        self._groups = groups
        self._diagnostics = diagnostics
        self._shared_seed: int | None = None

    def add(self, tasks: TaskLosses, divisor: int, window: Window) -> None:
        """Add this batch's sums and sample count to the window's."""
        device = self._groups.flat[0].device
        dtype = accumulation_dtype(device)
        count = 1 if tasks.num_samples is None else tasks.num_samples
        if count:
            self._rule.check(tasks)
        sums = {
            '': torch.full((1,), count, dtype=dtype, device=device),
            'absent': torch.zeros(
                len(self._groups.by_modality), dtype=dtype, device=device
            ),
        }
        for index, modality in enumerate(self._groups.by_modality):
            if modality in tasks.present:
                sums['absent'][index] = (~tasks.present[modality]).sum()
        for task, values in tasks.confidences.items():
            confidences = keep_present(values, tasks.present)
            sums[task.value] = torch.stack(
                [
                    confidences[m].detach().to(dtype).sum()
                    for m in self._groups.by_modality
                ]
            )
        for name, value in self._rule.observe(tasks).items():
            sums[f'mean_{name}'] = value.detach().to(dtype)
        attached = tasks.attached()
        seen = [
            group[0]
            for group in self._rule.task_groups
            if any(task in attached for task in group)
        ]
        window.add(count, divisor, sums, seen)

    def finish(self, window: Window, step: int) -> Boundary:
        """Sum over ranks, then form the ratios."""
        total, known, flags = window.sums, None, None
        if get_world_size() > 1:
            total, known, flags = self._sum_over_ranks(window)
        count = total['']
        # Means over the samples that have a modality; the factor is 1 where
        # all have it, so that the sums of the paper stay as they are.
        absent = total.get('absent', torch.zeros_like(count))
        scale = count / (count - absent).clamp(min=1)
        is_alone = ((absent > 0) & (absent == count)).any()
        ratios = []
        for index, (task, name, form) in enumerate(_RATIOS):
            ratio = count.new_ones(len(self._groups.by_modality))
            if task.value in total:
                formed = form(total[task.value] * scale)
                # Nothing to compare with in a step without a modality.
                formed = torch.where(is_alone, 1, formed)
                ratio = (
                    formed
                    if known is None
                    else torch.where(known[index] > 0, formed, ratio)
                )
                self._diagnostics.record(name, ratio)
            ratios.append(ratio)
        signals = BatchSignals(
            modalities=tuple(self._groups.by_modality),
            semantic_ratio=ratios[0],
            domain_ratio=ratios[1],
            means={
                name.removeprefix('mean_'): value / count.clamp(min=1)
                for name, value in total.items()
                if name.startswith('mean_')
            },
            epoch=int(MessageHub.get_current_instance().get_info('epoch', 0)),
            step=step,
            seed=self._seed(),
        )
        # A batch without samples on all ranks gives 0 / 1, not NaN.
        weight = (window.sums[''] / count.clamp(min=1))[0]
        return Boundary(signals, weight, flags)

    def _sum_over_ranks(
        self, window: Window
    ) -> tuple[dict[str, Tensor], Tensor, HostCopy]:
        """Sum the window over ranks in a layout that all of them share."""
        count = window.sums['']
        known = [task.value in window.sums for task, *_ in _RATIOS]
        groups = [g[0] in window.seen for g in self._rule.task_groups]
        values = {
            **{
                task.value: count.new_zeros(len(self._groups.by_modality))
                for task, *_ in _RATIOS
            },
            'absent': count.new_zeros(len(self._groups.by_modality)),
            **window.sums,
            'flags': count.new_tensor([float(x) for x in known + groups]),
        }
        names = sorted(values)
        packed = sum_over_ranks(torch.cat([values[n] for n in names]))
        parts = packed.split([len(values[n]) for n in names])
        total = dict(zip(names, parts, strict=True))
        flags = total.pop('flags')
        return total, flags[: len(known)], HostCopy(flags[len(known) :])

    def _seed(self) -> int:
        """Seed of the run; rank 0's, for it may differ between ranks."""
        if self._shared_seed is not None:
            return self._shared_seed
        hub = MessageHub.get_current_instance()
        seed = [int(hub.get_info('seed', None) or 0)]
        if get_world_size() > 1:
            broadcast_object_list(seed)
            self._shared_seed = seed[0]
        return seed[0]
