"""Optimizer wrapper that keeps the gradients of the tasks apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import MessageHub, print_log
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn import Parameter

from mmgmp.engine.optim.gradients import (
    Gradients,
    accumulation_dtype,
    add_,
    backward_into,
    inner_product,
    scale_,
    squared_norm,
)
from mmgmp.engine.optim.reduction import GradientReduction, sum_over_ranks
from mmgmp.engine.optim.strategies.base import (
    Modulation,
    Projection,
    identity_coefficients,
)
from mmgmp.engine.optim.strategies.ratios import domain_ratio, semantic_ratio
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
_SHARDED = ('FullyShardedDataParallel', 'FSDPModule', 'DeepSpeedEngine')


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
        clip_grad: As in MMEngine's ``OptimWrapper``; acts on the combined
            gradient.

    Raises:
        ValueError: If the level is unknown, or ``level='feature'`` is
            combined with gradient accumulation.
        TypeError: If modulation or projection is of the wrong kind.
        NotImplementedError: If the model is sharded over ranks.
        RuntimeError: If the loss carries no ``TaskLosses``.

    Example:
        >>> from mmgmp.structures import attach_task_losses
        >>> w = Parameter(torch.tensor([1., 0.]))
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
        self._task_groups = self._group_tasks()
        self._encoders: dict[str, list[Parameter]] = {}
        self._encoder_source: list[Sequence[Parameter]] = []
        self._encoder_flat: list[Parameter] = []
        self._encoder_parts: list[slice] = []
        self._others: list[Parameter] = []
        self._steps = 0
        self._diagnostics: dict[str, Tensor] = {}
        self._grad_norm: Tensor | None = None
        self._clear_window()

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
        self._set_encoders(tasks)
        self._check_confidences(tasks)
        self._observe(tasks)
        is_boundary = self.should_sync()
        signals = self._reduce_signals() if is_boundary else None
        if self.level == 'feature' and len(self._present_groups(tasks)) > 1:
            self._differentiate_features(tasks, signals)
        elif signals is not None and self._is_separable(tasks):
            self._differentiate_modalities(tasks, signals)
        else:
            self._differentiate_tasks(loss, tasks, signals)
        self._inner_count += 1
        if signals is not None:
            self._write_gradients(signals)
            self.step(**(step_kwargs or {}))
            self.zero_grad(**(zero_kwargs or {}))
            self._steps += 1

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients and everything kept for this step."""
        super().zero_grad(**kwargs)
        self._clear_window()

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
        for kind in type(model).__mro__:
            if kind.__name__ in _SHARDED:
                raise NotImplementedError(
                    f'{type(self).__name__} needs whole parameters on every '
                    f'rank, got a model wrapped by {kind.__name__}; use '
                    'model_wrapper_cfg=dict(type="MMDistributedDataParallel")'
                    ' and strategy=None'
                )
        no_sync = getattr(model, 'no_sync', nullcontext)
        with no_sync():
            yield

    # -- what a step is decided from --------------------------------------

    def _observe(self, tasks: TaskLosses) -> None:
        """Add this batch's sums and sample count to the window's."""
        device = self._device
        dtype = accumulation_dtype(device)
        count = tasks.num_samples
        sums = {
            '': torch.full(
                (1,),
                1 if count is None else count,
                dtype=dtype,
                device=device,
            )
        }
        for task, confidences in tasks.confidences.items():
            sums[task.value] = torch.stack(
                [
                    confidences[m].detach().to(dtype).sum()
                    for m in self._encoders
                ]
            )
        if self.modulation is not None:
            for name, value in self.modulation.observe(tasks).items():
                sums[f'mean_{name}'] = value.detach().to(dtype)
        for name, value in sums.items():
            self._sums[name] = (
                self._sums[name] + value if name in self._sums else value
            )

    def _reduce_signals(self) -> BatchSignals:
        """Sum over ranks, then form the ratios."""
        names = list(self._sums)
        local_count = self._sums['']
        sizes = [len(value) for value in self._sums.values()]
        packed = sum_over_ranks(torch.cat(list(self._sums.values())))
        total = dict(zip(names, packed.split(sizes), strict=True))
        count = total['']
        # A batch without samples on all ranks gives 0 / 1, not NaN.
        self._rank_weight = (local_count / count.clamp(min=1))[0]
        ones = torch.ones(
            len(self._encoders), dtype=count.dtype, device=count.device
        )
        rho, sigma = ones, ones
        if Task.CLASSIFICATION.value in total:
            rho = semantic_ratio(total[Task.CLASSIFICATION.value])
            self._record('semantic_ratio', rho)
        if Task.DOMAIN.value in total:
            sigma = domain_ratio(total[Task.DOMAIN.value])
            self._record('domain_ratio', sigma)
        means = {
            name.removeprefix('mean_'): value / count.clamp(min=1)
            for name, value in total.items()
            if name.startswith('mean_')
        }
        return BatchSignals(
            tuple(self._encoders), rho, sigma, means, self._epoch, self._steps
        )

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
        self._record('classification_grad_norm', norm_c / scale)
        self._record('domain_grad_norm', norm_d / scale)
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
        return projected

    # -- differentiation --------------------------------------------------

    def _differentiate_tasks(
        self, loss: Tensor, tasks: TaskLosses, signals: BatchSignals | None
    ) -> None:
        """One pass per group of tasks, into separate encoder gradients."""
        groups = self._present_groups(tasks)
        for index, group in enumerate(groups):
            task_loss = (
                loss if len(groups) == 1 else _sum_losses(tasks.losses, group)
            )
            key = group[0]
            gradients = backward_into(
                self._scale(task_loss),
                self._encoder_flat,
                self._gradients.get(key, [None] * len(self._encoder_flat)),
                self._others,
                retain_graph=index + 1 < len(groups),
            )
            if tasks.num_samples == 0:
                gradients = [None] * len(gradients)
            self._gradients[key] = gradients
            if signals is not None and get_world_size() > 1:
                self._reductions[key] = GradientReduction(
                    self._encoder_flat, gradients, self._rank_weight
                )

    def _differentiate_modalities(
        self, tasks: TaskLosses, signals: BatchSignals
    ) -> None:
        """One pass through each encoder, of its own weighted sum of tasks.

        Without a projection the combined gradient is linear in the task
        losses, so weighting the losses before differentiating is exact.
        """
        coefficients = self._modulate(signals)
        gradients: Gradients = []
        total = _sum_losses(tasks.losses, tuple(Task))
        backward_into(self._scale(total), [], [], self._others, True)
        for index, parameters in enumerate(self._encoders.values()):
            weighted = sum(
                _factor(coefficients, task)[index].to(loss.dtype) * loss
                for task, loss in tasks.losses.items()
            )
            gradients += backward_into(
                self._scale(weighted),
                parameters,
                [None] * len(parameters),
                [],
                retain_graph=index + 1 < len(self._encoders),
            )
        if tasks.num_samples == 0:
            gradients = [None] * len(gradients)
        self._combined = gradients

    def _differentiate_features(
        self, tasks: TaskLosses, signals: BatchSignals | None
    ) -> None:
        """Apply the rule at the encoders' outputs, then go back once."""
        if signals is None or set(tasks.features) != set(self._encoders):
            raise ValueError(
                "level='feature' needs TaskLosses.features of shape (N, D_m) "
                f'for the modalities {list(self._encoders)}, got '
                f'{list(tasks.features)}; use optim_wrapper.level='
                "'parameter' for models whose losses reach an encoder by "
                'other ways than its output'
            )
        features = [tasks.features[m] for m in self._encoders]
        dtype = features[0].dtype
        arrived: dict[Task, Gradients] = {}
        for task, loss in tasks.losses.items():
            arrived[task] = list(
                torch.autograd.grad(
                    self._scale(loss),
                    features,
                    retain_graph=True,
                    allow_unused=True,
                )
            )
            if tasks.num_samples == 0:
                arrived[task] = [None] * len(features)
        total = _sum_losses(tasks.losses, tuple(Task))
        backward_into(self._scale(total), [], [], self._others, True)
        products = self._products(
            arrived, [slice(i, i + 1) for i in range(len(features))]
        )
        if get_world_size() > 1:
            # Each rank's share of the batch carries its weight, squared.
            products = GradientProducts(
                *(
                    sum_over_ranks(value * self._rank_weight.square())
                    for value in (
                        products.classification,
                        products.domain,
                        products.cross,
                    )
                )
            )
        weights = self._combine_rule(products, signals)
        combined: Gradients = []
        for index in range(len(features)):
            parts = [
                gradient[index] * _factor(weights, task)[index].to(dtype)
                for task, gradient in arrived.items()
                if gradient[index] is not None
            ]
            combined.append(torch.stack(parts).sum(0) if parts else None)
        reached = [i for i, g in enumerate(combined) if g is not None]
        if reached:
            torch.autograd.backward(
                [features[i] for i in reached],
                [combined[i] for i in reached],
                inputs=self._encoder_flat,
            )
        self._combined = [p.grad for p in self._encoder_flat]

    def _products(
        self, gradients: Mapping[Task, Gradients], parts: Sequence[slice]
    ) -> GradientProducts:
        """Inner products of the two task gradients for each modality."""
        absent: Gradients = [None] * max(part.stop for part in parts)
        g_c = gradients.get(Task.CLASSIFICATION, absent)
        g_d = gradients.get(Task.DOMAIN, absent)
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
        if get_world_size() > 1:
            self._reduce_plain()
        combined = self._combined
        if combined is None:
            combined = self._combine(signals)
        for parameter, gradient in zip(
            self._encoder_flat, combined, strict=True
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
                    for m, parameters in self._encoders.items()
                },
                signals,
            )

    def _reduce_plain(self) -> None:
        """Average the gradients of the heads, and finish the encoders'."""
        plain = GradientReduction(
            self._others, [p.grad for p in self._others], self._rank_weight
        )
        for key, reduction in self._reductions.items():
            self._gradients[key] = reduction.wait()
        if self._combined is not None:
            self._combined = GradientReduction(
                self._encoder_flat, self._combined, self._rank_weight
            ).wait()
        for parameter, gradient in zip(
            self._others, plain.wait(), strict=True
        ):
            parameter.grad = gradient

    def _combine(self, signals: BatchSignals) -> Gradients:
        """Fold the kept task gradients into one per encoder, in place."""
        parts = self._encoder_parts
        if Task.CLASSIFICATION in self._gradients and (
            Task.DOMAIN in self._gradients
        ):
            weights = self._combine_rule(
                self._products(self._gradients, parts), signals
            )
        else:
            weights = self._modulate(signals)
        total: Gradients = [None] * len(self._encoder_flat)
        for task in list(self._gradients):
            gradients = self._gradients.pop(task)
            if self.modulation is not None or self.projection is not None:
                factor = _factor(weights, task)
                for index, part in enumerate(parts):
                    scaled = self._selected(part, gradients)
                    if scaled:
                        scale_(scaled, factor[index])
            total = add_(total, gradients)
        return total

    def _selected(self, part: slice, gradients: Gradients) -> list[Tensor]:
        """Present gradients of one encoder that the modulation scales."""
        return [
            gradient
            for parameter, gradient in zip(
                self._encoder_flat[part], gradients[part], strict=True
            )
            if gradient is not None
            and (self.modulation is None or self.modulation.selects(parameter))
        ]

    # -- set-up -----------------------------------------------------------

    def _group_tasks(self) -> list[tuple[Task, ...]]:
        """Partition the tasks into those differentiated together."""
        if self.projection is not None:
            return [(task,) for task in Task]
        shared = (
            frozenset(Task)
            if self.modulation is None
            else self.modulation.shared_tasks
        )
        together = tuple(task for task in Task if task in shared)
        alone = [(task,) for task in Task if task not in shared]
        return [together, *alone] if together else alone

    def _present_groups(self, tasks: TaskLosses) -> list[tuple[Task, ...]]:
        return [
            group
            for group in self._task_groups
            if any(
                task in tasks.losses and tasks.losses[task].requires_grad
                for task in group
            )
        ]

    def _is_separable(self, tasks: TaskLosses) -> bool:
        """Whether weighting the losses per modality gives the same result.

        Not over several micro-batches, whose ratios are known at their end
        only, and not if a modulation scales some of the tensors only.
        """
        return (
            self.projection is None
            and self._accumulative_counts == 1
            and len(self._present_groups(tasks)) > 1
            and type(self.modulation).selects is Modulation.selects
        )

    def _set_encoders(self, tasks: TaskLosses) -> None:
        """Check and log the parameter groups when they first appear."""
        sequences = list(tasks.encoder_parameters.values())
        if len(sequences) == len(self._encoder_source) and all(
            new is old
            for new, old in zip(sequences, self._encoder_source, strict=True)
        ):
            return
        encoders = {
            modality: [p for p in parameters if p.requires_grad]
            for modality, parameters in tasks.encoder_parameters.items()
        }
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
        flat = [p for ps in encoders.values() for p in ps]
        self._encoder_source = sequences
        if list(encoders) == list(self._encoders) and [
            id(p) for p in flat
        ] == [id(p) for p in self._encoder_flat]:
            return
        known = [
            p
            for group in self.optimizer.param_groups
            for p in group['params']
            if p.requires_grad
        ]
        self._encoders = encoders
        self._encoder_flat = flat
        self._others = [p for p in known if id(p) not in owner]
        self._encoder_parts = []
        for parameters in encoders.values():
            start = sum(part.stop - part.start for part in self._encoder_parts)
            self._encoder_parts.append(slice(start, start + len(parameters)))
        counts = ', '.join(
            f'{m}: {sum(p.numel() for p in ps):,} in {len(ps)} tensors'
            for m, ps in encoders.items()
        )
        print_log(
            f'Task gradients act on the encoders ({counts}); '
            f'{sum(p.numel() for p in self._others):,} other parameters '
            'keep their ordinary gradient.',
            logger='current',
        )

    def _check_confidences(self, tasks: TaskLosses) -> None:
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

    def _clear_window(self) -> None:
        self._gradients: dict[Task, Gradients] = {}
        self._reductions: dict[Task, GradientReduction] = {}
        self._combined: Gradients | None = None
        self._sums: dict[str, Tensor] = {}
        self._rank_weight = torch.ones(())

    @property
    def _device(self) -> torch.device:
        return self._encoder_flat[0].device

    @property
    def _epoch(self) -> int:
        return int(MessageHub.get_current_instance().get_info('epoch', 0))

    # -- what the mixed-precision twin changes ----------------------------

    def _scale(self, loss: Tensor) -> Tensor:
        """Scale a loss before it is differentiated."""
        scaled: Tensor = self.scale_loss(loss)
        return scaled

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
            ...     torch.optim.SGD([Parameter(torch.ones(1))], lr=0.1))
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
                names += [f'{name}_{m}' for m in self._encoders]
        dtype = accumulation_dtype(self._device)
        packed = torch.cat(
            [value.to(dtype) for value in self._diagnostics.values()]
        )
        self._diagnostics = {}
        return dict(zip(names, packed.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state and what the strategy remembers."""
        state: dict[str, Any] = super().state_dict()
        state['task_gradient'] = {
            'steps': self._steps,
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
        for name in ('modulation', 'projection'):
            strategy = getattr(self, name)
            if strategy is not None:
                strategy.load_state_dict(own.get(name, {}))
        super().load_state_dict(state_dict)


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


def _factor(coefficients: Coefficients, task: Task) -> Tensor:
    return {
        Task.CLASSIFICATION: coefficients.classification,
        Task.DOMAIN: coefficients.domain,
        Task.EXTRA: coefficients.extra,
    }[task]
