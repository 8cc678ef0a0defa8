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
from mmgmp.engine.optim.sums import Sums
from mmgmp.engine.optim.window import Window
from mmgmp.structures import BatchSignals, Task, TaskLosses, keep_present
from mmgmp.utils import log_names
from mmgmp.utils.activity import current_epoch
from mmgmp.utils.ratios import poison

_FLAGS = 'flags'
_RATIOS = (
    (Task.CLASSIFICATION, log_names.SEMANTIC_RATIO, semantic_ratio),
    (Task.DOMAIN, log_names.DOMAIN_RATIO, domain_ratio),
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


@dataclass(frozen=True)
class _Totals:
    """Sums over all ranks.

    Args:
        sums: The sums.
        known: Whether any rank has the confidences of each ratio, on the
            device; None on a single rank, which knows by itself.
        group_flags: As in :class:`Boundary`.
    """

    sums: Sums
    known: Tensor | None = None
    group_flags: HostCopy | None = None


class Observer:
    """Sums what batches show, and forms the signals at a window's end.

    Sums and counts come first, over micro-batches and then over ranks, and
    ratios last: the ratio of a whole batch is not the mean of its parts'.
    """

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
        """Add this batch's sums and sample count to the window's.

        Args:
            tasks: The losses of the batch.
            divisor: What they are divided by.
            window: The window.
        """
        # A batch that does not say its size counts as one.
        count = 1 if tasks.num_samples is None else tasks.num_samples
        if count:
            self._rule.check(tasks)
        attached = tasks.attached()
        seen = [
            group[0]
            for group in self._rule.task_groups
            if any(task in attached for task in group)
        ]
        window.add(count, divisor, self._sums(tasks, count), seen)

    def _sums(self, tasks: TaskLosses, count: int) -> Sums:
        device = self._groups.flat[0].device
        # In float64: a sum over a large batch of half-precision confidences
        # would stop growing.
        dtype = accumulation_dtype(device)
        names = list(self._groups.by_modality)
        absent = torch.zeros(len(names), dtype=dtype, device=device)
        for modality, mask in tasks.present.items():
            absent[names.index(modality)] = (~mask).sum()
        return Sums(
            torch.full((1,), count, dtype=dtype, device=device),
            {
                task: torch.stack(
                    [
                        keep_present(confidences, tasks.present)[m]
                        .detach()
                        .to(dtype)
                        .sum()
                        for m in names
                    ]
                )
                for task, confidences in tasks.confidences.items()
            },
            {
                name: value.detach().to(dtype)
                for name, value in self._rule.observe(tasks).items()
            },
            absent,
        )

    def finish(self, window: Window, step: int) -> Boundary:
        """Sum over ranks, then form the ratios.

        Args:
            window: With at least one micro-batch.
            step: Optimizer steps before this one.
        """
        assert window.sums is not None
        totals = _Totals(window.sums)
        if get_world_size() > 1:
            totals = self._sum_over_ranks(window, window.sums)
        # A step without samples on any rank gives 0 / 1, not NaN.
        count = totals.sums.count.clamp(min=1)
        rho, sigma = self._ratios(totals)
        signals = BatchSignals(
            modalities=tuple(self._groups.by_modality),
            semantic_ratio=rho,
            domain_ratio=sigma,
            means={
                name: value / count
                for name, value in totals.sums.observed.items()
            },
            epoch=current_epoch(),
            step=step,
            seed=self._seed(),
        )
        weight = (window.sums.count / count)[0]
        return Boundary(signals, weight, totals.group_flags)

    def _ratios(self, totals: _Totals) -> list[Tensor]:
        """Rho and sigma, Eq. (8); ones where there are no confidences.

        Where samples lack a modality its confidences are averaged over those
        that have it. The factor is 1 if none does, so that the sums of the
        paper stay as they are.
        """
        ratios = []
        count, absent = totals.sums.count, totals.sums.absent
        if absent is None:
            absent = torch.zeros_like(count)
        scale = count / (count - absent).clamp(min=1)
        # Nothing to compare with in a step that no sample of a modality is in.
        is_alone = ((absent > 0) & (absent == count)).any()
        for index, (task, name, form) in enumerate(_RATIOS):
            ratio = totals.sums.count.new_ones(len(self._groups.by_modality))
            if task in totals.sums.confidences:
                confidences = totals.sums.confidences[task] * scale
                formed = torch.where(
                    is_alone, 1 + poison(confidences), form(confidences)
                )
                # Another rank may know what this one does not; asking the
                # host which would make it wait.
                ratio = (
                    formed
                    if totals.known is None
                    else torch.where(totals.known[index] > 0, formed, ratio)
                )
                self._diagnostics.record(name, ratio)
            ratios.append(ratio)
        return ratios

    def _sum_over_ranks(self, window: Window, sums: Sums) -> _Totals:
        """Sum the window over ranks in a layout that all of them share.

        The first collective of a step, and the only one before its
        gradients. A rank whose batch lacks confidences or losses must send
        as many numbers in the same order as the others, or their sums would
        land in each other's places: hence zeros for what it lacks, names in
        sorted order, and flags that say who had what.
        """
        count = sums.count
        known = [task in sums.confidences for task, *_ in _RATIOS]
        groups = [g[0] in window.seen for g in self._rule.task_groups]
        values = {
            **{
                task.value: count.new_zeros(len(self._groups.by_modality))
                for task, *_ in _RATIOS
            },
            **sums.flat(),
            _FLAGS: torch.tensor(known + groups).to(count, non_blocking=True),
        }
        names = sorted(values)
        packed = sum_over_ranks(torch.cat([values[n] for n in names]))
        parts = torch.split(packed, [len(values[n]) for n in names])
        total = dict(zip(names, parts, strict=True))
        flags = total.pop(_FLAGS)
        return _Totals(
            Sums.from_flat(total),
            flags[: len(known)],
            HostCopy(flags[len(known) :]),
        )

    def _seed(self) -> int:
        """Seed of the run; rank 0's, for it may differ between ranks."""
        if self._shared_seed is not None:
            return self._shared_seed
        hub = MessageHub.get_current_instance()
        seed = [int(hub.get_info('seed', None) or 0)]
        if get_world_size() > 1:
            # Once, in the first step, which all ranks take together.
            broadcast_object_list(seed)
            self._shared_seed = seed[0]
        return seed[0]
