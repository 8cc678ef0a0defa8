"""Optimizer wrapper that keeps the gradients of the tasks apart."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, get_world_size
from mmengine.logging import MessageHub, print_log
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import (
    Gradients,
    accumulation_dtype,
    add_,
    backward_into,
    explained_checkpointing,
    inner_product,
    scale_,
    squared_norm,
)
from mmgmp.engine.optim.reduction import (
    GradientReduction,
    HostCopy,
    sum_over_ranks,
)
from mmgmp.engine.optim.strategies.base import (
    Modulation,
    Projection,
    identity_coefficients,
)
from mmgmp.engine.optim.strategies.ratios import domain_ratio, semantic_ratio
from mmgmp.engine.optim.window import Window
from mmgmp.registry import MODULATIONS, OPTIM_WRAPPERS, PROJECTIONS
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
    get_task_losses,
)

_LEVELS = ('parameter', 'feature')
_SHARDED = (
    'DeepSpeedEngine',
    'FSDPModule',
    'FullyShardedDataParallel',
    'MMDeepSpeedEngineWrapper',
    'ZeroRedundancyOptimizer',
)
_RATIO_TASKS = (Task.CLASSIFICATION, Task.DOMAIN)


@OPTIM_WRAPPERS.register_module()
class TaskGradientOptimWrapper(OptimWrapper):
    """Differentiate per task, reduce over ranks, combine, clip, step.

    Owns the mechanics of every gradient strategy; the maths sits in a
    modulation (how strongly each task gradient of each encoder counts) and a
    projection (what happens where the two conflict). Heads and fusion layers
    keep their ordinary gradients. With both parts off the update is that of
    the stock wrapper.

    The number of passes follows from the strategy: one if every task has the
    same factor, one through each encoder if there is no projection, one per
    task otherwise. Nothing is moved to the host inside a step.

    Args:
        optimizer: The optimizer of the whole model.
        modulation: Config of a registered modulation, an instance, or None.
        projection: Config of a registered projection, an instance, or None.
        level: ``'parameter'`` applies the rule to the gradients of all
            encoder parameters, as the paper does. ``'feature'`` applies it to
            the gradients that arrive at each encoder's output and makes one
            backward pass: exact without a projection, an approximation of
            ours with one.
        accumulative_counts: Micro-batches per optimizer step. The tasks'
            gradients are accumulated apart and combined once per step.
            However the samples of a step are spread over micro-batches and
            ranks, the update is that of one batch with all of them.
        clip_grad: As in MMEngine's ``OptimWrapper``; acts on the combined
            gradient.

    Raises:
        ValueError: If the level is unknown, ``level='feature'`` is combined
            with gradient accumulation, or a modulation that acts on single
            tensors with what needs whole gradients.
        TypeError: If modulation or projection is of the wrong kind.
        NotImplementedError: If the model is sharded over ranks.
        RuntimeError: If the loss carries no ``TaskLosses``.

    Example:
        >>> from mmgmp.structures import attach_task_losses
        >>> w = nn.Parameter(torch.tensor([1., 0.]))
        >>> wrapper = TaskGradientOptimWrapper(
        ...     torch.optim.SGD([w], lr=1.), projection=dict(
        ...         type='TaskProjection', rule='fixed_class'))
        >>> task_losses = TaskLosses(
        ...     {Task.CLASSIFICATION: w[0], Task.DOMAIN: w[1] - w[0]},
        ...     {'video': [w]})
        >>> wrapper.update_params(attach_task_losses(w[1], task_losses))
        >>> w.data
        tensor([ 1.5000, -1.5000])

    Source: GMP (arXiv 2603.14175), Eq. (1)-(3) and (9)-(15).
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        modulation: Mapping[str, Any] | Modulation | None = None,
        projection: Mapping[str, Any] | Projection | None = None,
        level: str = 'parameter',
        accumulative_counts: int = 1,
        clip_grad: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            optimizer,
            accumulative_counts,
            dict(clip_grad) if clip_grad is not None else None,
        )
        if level not in _LEVELS:
            raise ValueError(
                f'level must be one of {list(_LEVELS)}, got {level!r}; set '
                'optim_wrapper.level'
            )
        if level == 'feature' and accumulative_counts > 1:
            raise ValueError(
                "level='feature' decides within one forward pass and allows "
                f'no gradient accumulation, got accumulative_counts='
                f"{accumulative_counts}; use optim_wrapper.level='parameter'"
            )
        self.modulation: Modulation | None = _build(
            'modulation', modulation, MODULATIONS, Modulation
        )
        self.projection: Projection | None = _build(
            'projection', projection, PROJECTIONS, Projection
        )
        self.level = level
        self._refuse_sharding(optimizer)
        self._task_groups = self._group_tasks()
        self._check_selection()
        self._groups = EncoderGroups()
        self._window = Window()
        self._saved_window: dict[str, Any] | None = None
        self._unreached: set[str] = set()
        self._steps = 0
        self._shared_seed: int | None = None
        self._diagnostics: dict[str, Tensor] = {}

    # -- the step ---------------------------------------------------------

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Add one micro-batch and, at the end of its window, update.

        Args:
            loss: The summed loss with attached ``TaskLosses``.
            step_kwargs: Passed to the optimizer's ``step``.
            zero_kwargs: Passed to the optimizer's ``zero_grad``.
        """
        tasks = get_task_losses(loss)
        self._update_groups(tasks)
        self._restore_window()
        self._observe(tasks)
        is_boundary = self.should_sync()
        signals = self._reduce_signals() if is_boundary else None
        # Which way is taken must not depend on this rank's batch: every
        # rank has to join the same collectives in the same order.
        if self.level == 'feature' and len(self._task_groups) > 1:
            self._differentiate_features(tasks, signals)
        elif signals is not None and self._is_separable:
            self._differentiate_modalities(tasks, signals)
        else:
            self._differentiate_tasks(loss, tasks, signals)
        self._inner_count += 1
        if signals is not None:
            self._write_gradients(signals)
            self.step(**(step_kwargs or {}))
            self.zero_grad(**(zero_kwargs or {}))
            self._steps += 1
            if self.modulation is not None and tasks.feedback is not None:
                tasks.feedback(self.modulation.feedback())

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients and everything kept for this step."""
        super().zero_grad(**kwargs)
        self._window = Window()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass without automatic gradient averaging.

        Data-parallel wrappers would average the sum of the tasks; this
        wrapper reduces each task's gradient by itself.

        Args:
            model: The model, wrapped or not.

        Raises:
            NotImplementedError: If parameters are sharded over ranks.
        """
        self._refuse_sharding(model)
        if getattr(model, 'broadcast_buffers', False):
            # Without a backward pass of its own, DistributedDataParallel
            # would broadcast the buffers in the first step only.
            setattr(model, 'require_forward_param_sync', True)  # noqa: B010
        no_sync = getattr(model, 'no_sync', nullcontext)
        with no_sync():
            yield

    def _refuse_sharding(self, part: object) -> None:
        for kind in type(part).__mro__:
            if kind.__name__ in _SHARDED:
                raise NotImplementedError(
                    f'{type(self).__name__} needs whole parameters, '
                    'gradients and optimizer states on every rank, got '
                    f'{kind.__name__}; use '
                    'model_wrapper_cfg=dict(type="MMDistributedDataParallel")'
                    ', strategy=None and an ordinary optimizer'
                )

    # -- what a step is decided from --------------------------------------

    def _observe(self, tasks: TaskLosses) -> None:
        """Add this batch's sums and sample count to the window's."""
        device = self._device
        dtype = accumulation_dtype(device)
        count = 1 if tasks.num_samples is None else tasks.num_samples
        if count:
            self._check_requirements(tasks)
        sums = {'': torch.full((1,), count, dtype=dtype, device=device)}
        for task, confidences in tasks.confidences.items():
            sums[task.value] = torch.stack(
                [
                    confidences[m].detach().to(dtype).sum()
                    for m in self._groups.by_modality
                ]
            )
        if self.modulation is not None:
            for name, value in self.modulation.observe(tasks).items():
                sums[f'mean_{name}'] = value.detach().to(dtype)
        attached = self._attached(tasks)
        self._window.add(
            count,
            round(1 / self.scale_loss(1.0)),
            sums,
            [
                group[0]
                for group in self._task_groups
                if any(task in attached for task in group)
            ],
        )

    def _reduce_signals(self) -> BatchSignals:
        """Sum over ranks, then form the ratios."""
        local_count = self._window.sums['']
        total, known = self._window.sums, None
        if get_world_size() > 1:
            total, known = self._sum_over_ranks()
        count = total['']
        # A batch without samples on all ranks gives 0 / 1, not NaN.
        self._window.rank_weight = (local_count / count.clamp(min=1))[0]
        ratios = []
        for index, (task, name, form) in enumerate(
            (
                (Task.CLASSIFICATION, 'semantic_ratio', semantic_ratio),
                (Task.DOMAIN, 'domain_ratio', domain_ratio),
            )
        ):
            ratio = count.new_ones(len(self._groups.by_modality))
            if task.value in total:
                formed = form(total[task.value])
                ratio = (
                    formed
                    if known is None
                    else torch.where(known[index] > 0, formed, ratio)
                )
                self._record(name, ratio)
            ratios.append(ratio)
        means = {
            name.removeprefix('mean_'): value / count.clamp(min=1)
            for name, value in total.items()
            if name.startswith('mean_')
        }
        return BatchSignals(
            modalities=tuple(self._groups.by_modality),
            semantic_ratio=ratios[0],
            domain_ratio=ratios[1],
            means=means,
            epoch=self._epoch,
            step=self._steps,
            seed=self._seed,
        )

    def _sum_over_ranks(self) -> tuple[dict[str, Tensor], Tensor]:
        """Sum the window over ranks in a layout that all of them share.

        A rank without samples may lack losses and confidences. Which groups
        of tasks any rank has is on its way to the host meanwhile.

        Returns:
            The sums, and which confidences any rank has.
        """
        count = self._window.sums['']
        known = [task.value in self._window.sums for task in _RATIO_TASKS]
        groups = [group[0] in self._window.seen for group in self._task_groups]
        values = {
            **{
                t.value: count.new_zeros(len(self._groups.by_modality))
                for t in _RATIO_TASKS
            },
            **self._window.sums,
            'flags': count.new_tensor([float(x) for x in known + groups]),
        }
        names = sorted(values)
        packed = sum_over_ranks(torch.cat([values[n] for n in names]))
        parts = packed.split([len(values[n]) for n in names])
        total = dict(zip(names, parts, strict=True))
        flags = total.pop('flags')
        self._window.group_flags = HostCopy(flags[len(known) :])
        return total, flags[: len(known)]

    def _modulate(self, signals: BatchSignals) -> Coefficients:
        if self.modulation is None:
            return identity_coefficients(signals)
        # Outside its window a modulation still updates running statistics.
        coefficients = self.modulation.coefficients(signals)
        if not self.modulation.is_active(signals.epoch):
            coefficients = identity_coefficients(signals)
        self._record('semantic_coefficient', coefficients.classification)
        self._record('domain_coefficient', coefficients.domain)
        return coefficients

    def _combine_rule(
        self, products: GradientProducts, signals: BatchSignals
    ) -> Coefficients:
        """Modulate, project, and record what was found."""
        coefficients = self._modulate(signals)
        scale = self._unit_loss_scale()
        norm_c = products.classification.sqrt()
        norm_d = products.domain.sqrt()
        for task, norm in zip(self._pair, (norm_c, norm_d), strict=True):
            self._record(f'{task.name.lower()}_grad_norm', norm / scale)
        tiny = torch.finfo(products.cross.dtype).tiny
        self._record(
            'cosine', products.cross / (norm_c * norm_d).clamp(min=tiny)
        )
        if self.projection is None:
            self._record('conflict', products.cross < 0)
            return coefficients
        projected, conflict = self.projection.project(
            products, coefficients, signals
        )
        self._record('conflict', conflict)
        if not self.projection.is_active(signals.epoch):
            return coefficients
        self._window.modulated = coefficients
        return projected

    # -- differentiation --------------------------------------------------

    def _differentiate_tasks(
        self, loss: Tensor, tasks: TaskLosses, signals: BatchSignals | None
    ) -> None:
        """One pass per group of tasks, into separate encoder gradients."""
        attached = self._attached(tasks)
        present = [
            group
            for group in self._task_groups
            if any(task in attached for task in group)
        ]
        absent: Gradients = [None] * len(self._groups.flat)
        for index, group in enumerate(self._task_groups):
            key = group[0]
            if group in present:
                self._window.gradients[key] = backward_into(
                    self._scale(
                        loss
                        if len(present) == 1
                        else _sum_losses(attached, group)
                    ),
                    self._groups.flat,
                    self._window.gradients.get(key, list(absent)),
                    self._groups.others,
                    retain_graph=group != present[-1],
                )
            if signals is None:
                continue
            if key in self._window.gradients:
                self._window.even_out(self._window.gradients[key])
            if self._window.group_flags is not None and (
                self._window.group_flags.tolist()[index] > 0
            ):
                self._window.reductions[key] = GradientReduction(
                    self._groups.flat,
                    self._window.gradients.get(key, list(absent)),
                    self._window.rank_weight,
                )

    def _differentiate_modalities(
        self, tasks: TaskLosses, signals: BatchSignals
    ) -> None:
        """One pass through each encoder, of its own weighted sum of tasks.

        Without a projection the combined gradient is linear in the task
        losses, so weighting the losses before differentiating is exact.
        """
        coefficients = self._modulate(signals)
        attached = self._attached(tasks)
        if not attached:
            self._window.combined = [None] * len(self._groups.flat)
            return
        gradients: Gradients = []
        total = _sum_losses(attached, tuple(Task))
        backward_into(self._scale(total), [], [], self._groups.others, True)
        for index, parameters in enumerate(self._groups.by_modality.values()):
            weighted = torch.stack(
                [
                    coefficients.of(task)[index].to(loss.dtype) * loss
                    for task, loss in attached.items()
                ]
            ).sum()
            gradients += backward_into(
                self._scale(weighted),
                parameters,
                [None] * len(parameters),
                [],
                retain_graph=index + 1 < len(self._groups.by_modality),
            )
        self._window.combined = gradients

    def _differentiate_features(
        self, tasks: TaskLosses, signals: BatchSignals | None
    ) -> None:
        """Apply the rule at the encoders' outputs, then go back once."""
        attached = self._attached(tasks)
        if signals is None or (
            attached and set(tasks.features) != set(self._groups.by_modality)
        ):
            raise ValueError(
                "level='feature' needs TaskLosses.features of shape (N, D_m) "
                f'for the modalities {list(self._groups.by_modality)}, got '
                f'{list(tasks.features)}; use optim_wrapper.level='
                "'parameter' for models whose losses reach an encoder by "
                'other ways than its output'
            )
        features = [
            tasks.features[m] for m in self._groups.by_modality if attached
        ]
        arrived: dict[Task, Gradients] = {}
        for task, loss in attached.items():
            arrived[task] = list(
                torch.autograd.grad(
                    self._scale(loss),
                    features,
                    retain_graph=True,
                    allow_unused=True,
                )
            )
        if attached:
            total = _sum_losses(attached, tuple(Task))
            backward_into(
                self._scale(total), [], [], self._groups.others, True
            )
        products = self._products(
            arrived,
            [slice(i, i + 1) for i in range(len(self._groups.by_modality))],
        )
        if get_world_size() > 1:
            # Each rank's share of the batch carries its weight, squared.
            local = torch.stack(
                [products.classification, products.domain, products.cross]
            )
            products = GradientProducts(
                *sum_over_ranks(local * self._window.rank_weight.square())
            )
        weights = self._combine_rule(products, signals)
        outputs, combined = [], []
        for index, feature in enumerate(features):
            parts = [
                gradient * weights.of(task)[index].to(feature.dtype)
                for task, gradients in arrived.items()
                if (gradient := gradients[index]) is not None
            ]
            if parts:
                outputs.append(feature)
                combined.append(torch.stack(parts).sum(0))
        if outputs:
            with explained_checkpointing():
                torch.autograd.backward(
                    outputs, combined, inputs=self._groups.flat
                )
        self._window.combined = [p.grad for p in self._groups.flat]

    def _products(
        self, gradients: Mapping[Task, Gradients], parts: Sequence[slice]
    ) -> GradientProducts:
        """Inner products of the compared gradients for each modality."""
        absent: Gradients = [None] * max(part.stop for part in parts)
        g_c, g_d = (gradients.get(task, absent) for task in self._pair)
        device = self._device
        dtype = accumulation_dtype(device)
        rows = [
            torch.stack([value.to(device, dtype) for value in values])
            for values in (
                [squared_norm(g_c[part]) for part in parts],
                [squared_norm(g_d[part]) for part in parts],
                [inner_product(g_c[part], g_d[part]) for part in parts],
            )
        ]
        return GradientProducts(*rows)

    # -- writing ----------------------------------------------------------

    def _write_gradients(self, signals: BatchSignals) -> None:
        """Reduce, combine and hand the result to the optimizer."""
        self._window.even_out([p.grad for p in self._groups.others])
        if get_world_size() > 1:
            self._reduce_plain()
        combined = self._window.combined
        if combined is None:
            combined = self._combine(signals)
        self._check_reached(combined)
        for parameter, gradient in zip(
            self._groups.flat, combined, strict=True
        ):
            parameter.grad = gradient
        if self.modulation is not None and self.modulation.is_active(
            signals.epoch
        ):
            self.modulation.finalize(
                {
                    m: [
                        p.grad
                        for p in parameters
                        if p.grad is not None and self.modulation.selects(p)
                    ]
                    for m, parameters in self._groups.by_modality.items()
                },
                signals,
            )

    def _reduce_plain(self) -> None:
        """Average the gradients of the heads, and finish the encoders'."""
        plain = GradientReduction(
            self._groups.others,
            [p.grad for p in self._groups.others],
            self._window.rank_weight,
        )
        # In the order of the groups, so that every rank adds up alike.
        self._window.gradients = {
            key: reduction.wait()
            for key, reduction in self._window.reductions.items()
        }
        if self._window.combined is not None:
            self._window.combined = GradientReduction(
                self._groups.flat,
                self._window.combined,
                self._window.rank_weight,
            ).wait()
        for parameter, gradient in zip(
            self._groups.others, plain.wait(), strict=True
        ):
            parameter.grad = gradient

    def _check_reached(self, combined: Gradients) -> None:
        """Warn, once per encoder, if no loss has reached it."""
        for modality, part in zip(
            self._groups.by_modality, self._groups.parts, strict=True
        ):
            if (
                self._window.samples
                and modality not in self._unreached
                and all(gradient is None for gradient in combined[part])
            ):
                self._unreached.add(modality)
                print_log(
                    f'No loss reaches the encoder {modality!r} in this step, '
                    'so it is left as it is. Expected where a method drops '
                    'the modality; otherwise look for a detached feature, '
                    'or for with_cp of a backbone, whose inputs need a '
                    'gradient',
                    logger='current',
                    level=logging.WARNING,
                )

    def _combine(self, signals: BatchSignals) -> Gradients:
        """Fold the kept task gradients into one per encoder, in place."""
        parts = self._groups.parts
        if all(task in self._window.gradients for task in self._pair):
            weights = self._combine_rule(
                self._products(self._window.gradients, parts), signals
            )
        else:
            weights = self._modulate(signals)
        self._inspect(signals)
        unpaired = self._unpaired()
        total: Gradients = [None] * len(self._groups.flat)
        for task in list(self._window.gradients):
            gradients = self._window.gradients.pop(task)
            if self.modulation is not None or self.projection is not None:
                factor = weights.of(task)
                for index, part in enumerate(parts):
                    scaled = self._selected(part, gradients)
                    alone = [g for g in scaled if id(g) in unpaired]
                    paired = [g for g in scaled if id(g) not in unpaired]
                    if paired:
                        scale_(paired, factor[index])
                    if alone and self._window.modulated is not None:
                        scale_(alone, self._window.modulated.of(task)[index])
            total = add_(total, gradients)
        return total

    def _unpaired(self) -> set[int]:
        """Ids of compared gradients that the projection leaves out."""
        if (
            self.projection is None
            or not self.projection.keeps_unpaired
            or self._window.modulated is None
        ):
            return set()
        pairs = zip(
            *(self._window.gradients[t] for t in self._pair), strict=True
        )
        return {
            id(first if second is None else second)
            for first, second in pairs
            if (first is None) is not (second is None)
        }

    def _inspect(self, signals: BatchSignals) -> None:
        """Show the raw gradients to a modulation that asks for them."""
        modulation = self.modulation
        if (
            modulation is None
            or type(modulation).inspect is Modulation.inspect
            or not modulation.is_active(signals.epoch)
        ):
            return

        def totals(part: slice) -> Iterator[Tensor]:
            for index in range(part.start, part.stop):
                parts = [
                    gradient
                    for gradients in self._window.gradients.values()
                    if (gradient := gradients[index]) is not None
                ]
                if parts and modulation.selects(self._groups.flat[index]):
                    yield sum(parts[1:], start=parts[0])

        modulation.inspect(
            dict(
                zip(
                    self._groups.by_modality,
                    map(totals, self._groups.parts),
                    strict=True,
                )
            ),
            signals,
        )

    def _selected(self, part: slice, gradients: Gradients) -> list[Tensor]:
        """Present gradients of one encoder that the modulation scales."""
        return [
            gradient
            for parameter, gradient in zip(
                self._groups.flat[part], gradients[part], strict=True
            )
            if gradient is not None
            and (self.modulation is None or self.modulation.selects(parameter))
        ]

    # -- set-up -----------------------------------------------------------

    def _group_tasks(self) -> list[tuple[Task, ...]]:
        """Partition the tasks into those differentiated together."""
        shared = (
            frozenset(Task)
            if self.modulation is None
            else self.modulation.shared_tasks
        )
        pair = () if self.projection is None else self.projection.pair
        together = tuple(t for t in Task if t in shared and t not in pair)
        alone: list[tuple[Task, ...]] = [
            (task,) for task in Task if task not in together
        ]
        return [together, *alone] if together else alone

    @property
    def _pair(self) -> tuple[Task, Task]:
        """The two tasks whose gradients are compared."""
        return (self.projection or Projection).pair

    @property
    def _acts_on_tensors(self) -> bool:
        """Whether the modulation tells the tensors of an encoder apart."""
        if self.modulation is None:
            return False
        kind = type(self.modulation)
        return (
            kind.selects is not Modulation.selects
            or kind.inspect is not Modulation.inspect
        )

    def _check_selection(self) -> None:
        if not self._acts_on_tensors:
            return
        name = type(self.modulation).__name__
        if self.projection is not None:
            raise ValueError(
                f'optim_wrapper.modulation={name} acts on single tensors, a '
                'projection on whole encoders, got '
                f'projection={type(self.projection).__name__}; set '
                'optim_wrapper.projection=None'
            )
        if self.level == 'feature' and len(self._task_groups) > 1:
            raise ValueError(
                f"level='feature' knows no single tensors, which modulation="
                f"{name} needs; use optim_wrapper.level='parameter'"
            )

    def _attached(self, tasks: TaskLosses) -> dict[Task, Tensor]:
        """Losses that have something to differentiate."""
        if tasks.num_samples == 0:
            return {}  # a mean over no samples is NaN
        return {
            task: loss
            for task, loss in tasks.losses.items()
            if loss.requires_grad
        }

    @property
    def _is_separable(self) -> bool:
        """Whether weighting the losses per modality gives the same result.

        Not over several micro-batches, whose ratios are known at their end
        only, and not if a modulation scales some of the tensors only.
        """
        return (
            self.projection is None
            and self._accumulative_counts == 1
            and len(self._task_groups) > 1
            and not self._acts_on_tensors
        )

    def _update_groups(self, tasks: TaskLosses) -> None:
        """Read the parameter groups anew, and log them when they change."""
        before = self._groups.flat
        if not self._groups.update(tasks.encoder_parameters, self.optimizer):
            return
        self._window.follow(before, self._groups.flat)
        counts = ', '.join(
            f'{m}: {sum(p.numel() for p in ps):,} in {len(ps)} tensors'
            for m, ps in self._groups.by_modality.items()
        )
        print_log(
            f'Task gradients act on the encoders ({counts}); all other '
            'parameters keep their ordinary gradient.',
            logger='current',
        )

    def _check_requirements(self, tasks: TaskLosses) -> None:
        for name in ('modulation', 'projection'):
            strategy = getattr(self, name)
            if strategy is None:
                continue
            missing = strategy.required_confidences - set(tasks.confidences)
            if missing:
                raise ValueError(
                    f'optim_wrapper.{name}={type(strategy).__name__} needs '
                    f'confidences for {sorted(t.value for t in missing)}, '
                    f'got {[t.value for t in tasks.confidences]}; set '
                    'model.contribution'
                )
            absent = strategy.required_tasks - set(tasks.losses)
            if absent:
                raise ValueError(
                    f'optim_wrapper.{name}={type(strategy).__name__} needs '
                    f'losses for {sorted(t.value for t in absent)}, got '
                    f'{[t.value for t in tasks.losses]}; add the method that '
                    'brings them to model.methods'
                )

    @property
    def _device(self) -> torch.device:
        return self._groups.flat[0].device

    @property
    def _epoch(self) -> int:
        return int(MessageHub.get_current_instance().get_info('epoch', 0))

    @property
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

    # -- what the mixed-precision twin changes ----------------------------

    def _scale(self, loss: Tensor) -> Tensor:
        """Scale a loss before it is differentiated."""
        scaled: Tensor = self.scale_loss(loss)
        return (
            scaled
            if self._window.share == 1
            else (scaled * self._window.share)
        )

    def _unit_loss_scale(self) -> Tensor | float:
        """Return the factor by which gradients are too large."""
        return 1.0

    def _clip_grad(self) -> None:
        """Clip as MMEngine does, but leave the norm on its device."""
        parameters = [
            p
            for group in self.optimizer.param_groups
            for p in group['params']
            if p.requires_grad and p.grad is not None
        ]
        if parameters:
            norm = self.clip_func(parameters, **self.clip_grad_kwargs)
            if norm is not None:
                self._diagnostics[self.grad_name] = norm.reshape(1)

    # -- logging and state ------------------------------------------------

    def _record(self, name: str, values: Tensor) -> None:
        self._diagnostics[name] = values.detach()

    def read_diagnostics(self) -> dict[str, float]:
        """Return what the last step decided, and forget it.

        Returns:
            Ratio, coefficient, conflict (0 or 1), gradient norms and cosine,
            keyed ``<quantity>_<modality>``; only what the strategy computed,
            and nothing if there was no step since the last call. One copy to
            the host.

        Example:
            >>> wrapper = TaskGradientOptimWrapper(
            ...     torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1))
            >>> wrapper.read_diagnostics()
            {}
        """
        if not self._diagnostics:
            return {}
        names = []
        for name in self._diagnostics:
            if name == getattr(self, 'grad_name', None):
                names.append(name)
            else:
                names += [f'{name}_{m}' for m in self._groups.by_modality]
        dtype = accumulation_dtype(self._device)
        packed = torch.cat(
            [value.to(dtype) for value in self._diagnostics.values()]
        )
        self._diagnostics = {}
        return dict(zip(names, packed.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state and what the strategy remembers.

        Within an accumulation window also what has been accumulated; only
        one process can save that.
        """
        state: dict[str, Any] = super().state_dict()
        state['task_gradient'] = {
            'steps': self._steps,
            'window': self._window_state(),
            **{
                name: strategy.state_dict()
                for name in ('modulation', 'projection')
                if (strategy := getattr(self, name)) is not None
            },
        }
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Args:
            state_dict: From this wrapper, or from a stock one, in which case
                the strategy starts afresh.
        """
        state_dict = dict(state_dict)
        own = state_dict.pop('task_gradient', {})
        self._steps = own.get('steps', 0)
        self._saved_window = own.get('window')
        if self._saved_window:
            self._inner_count = self._saved_window['inner_count']
        for name in ('modulation', 'projection'):
            strategy = getattr(self, name)
            if strategy is not None:
                strategy.load_state_dict(own.get(name, {}))
        super().load_state_dict(state_dict)

    def _window_state(self) -> dict[str, Any] | None:
        if not self._window.sizes:
            return None
        if get_world_size() > 1:
            print_log(
                'This checkpoint is written within an accumulation window; '
                'the gradients of the other ranks are not in it. Resuming '
                'leaves out its micro-batches: save every multiple of '
                f'accumulative_counts={self._accumulative_counts} iterations',
                logger='current',
                level=logging.WARNING,
            )
            return None
        return {
            'inner_count': self._inner_count,
            **self._window.state_dict(self._groups, self._positions()),
        }

    def _restore_window(self) -> None:
        """Go on with the window that a checkpoint was written in."""
        saved, self._saved_window = self._saved_window, None
        if not saved:
            return
        gathered = self._inner_count % self._accumulative_counts
        if gathered == len(saved['sizes']) and get_world_size() == 1:
            self._window.load_state_dict(
                saved, self._groups, self._positions()
            )
            return
        print_log(
            'The accumulation window of the checkpoint does not fit '
            f'accumulative_counts={self._accumulative_counts} and '
            f'{get_world_size()} ranks; its micro-batches are left out',
            logger='current',
            level=logging.WARNING,
        )

    def _positions(self) -> dict[int, int]:
        """Number the optimizer's parameters, as its own state does."""
        parameters = [
            p for group in self.optimizer.param_groups for p in group['params']
        ]
        return {id(p): index for index, p in enumerate(parameters)}


def _build(name: str, value: Any, registry: Any, kind: type) -> Any:
    built = (
        registry.build(dict(value)) if isinstance(value, Mapping) else value
    )
    if built is not None and not isinstance(built, kind):
        raise TypeError(
            f'{name} must be None, a config dict or a {kind.__name__}, got '
            f'{type(value).__name__}; set optim_wrapper.{name}'
        )
    return built


def _sum_losses(
    losses: Mapping[Task, Tensor], group: Sequence[Task]
) -> Tensor:
    return torch.stack(
        [losses[task] for task in group if task in losses]
    ).sum()
