"""Optimizer wrapper that keeps the gradients of the tasks apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmgmp.engine.optim import backward_plans
from mmgmp.engine.optim.combine_rule import CombineRule
from mmgmp.engine.optim.diagnostics import Diagnostics
from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import clippable
from mmgmp.engine.optim.loss_scaling import KEY as SCALER
from mmgmp.engine.optim.loss_scaling import LossScaling
from mmgmp.engine.optim.observation import Boundary, Observer
from mmgmp.engine.optim.reduction import GradientReduction
from mmgmp.engine.optim.sharding import refuse_sharding
from mmgmp.engine.optim.strategies.base import Modulation, Projection
from mmgmp.engine.optim.strategies.building import build_part
from mmgmp.engine.optim.update_scale import build_update_scale
from mmgmp.engine.optim.window import Window, restore_window, save_window
from mmgmp.registry import MODULATIONS, OPTIM_WRAPPERS, PROJECTIONS
from mmgmp.structures import TaskLosses, get_task_losses
from mmgmp.utils.compat import private_names


@OPTIM_WRAPPERS.register_module()
class TaskGradientOptimWrapper(OptimWrapper):
    """Differentiate per task, reduce over ranks, combine, clip, step.

    Owns the mechanics of every gradient strategy; the maths sits in a
    modulation (how strongly each task gradient of each encoder counts) and a
    projection (what happens where the two conflict). Heads and fusion keep
    their ordinary gradients; with both parts off the update is the stock one.

    The passes follow from the strategy: one if every task has the same
    factor, one per encoder if there is no projection, one per task otherwise.
    Nothing is moved to the host inside a step.

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
            gradient, and not on what ``TaskLosses.unclipped`` lists.
        acts_on: ``'gradient'``, as in the paper, or ``'update'``, ours: the
            encoder's step is scaled, which Adam cannot divide out again
            (``UpdateScale``).
        loss_scaling: How losses are scaled; the AMP twin hands in its own.

    Raises:
        ValueError: If an option is unknown, ``level='feature'`` is combined
            with accumulation or ``acts_on='update'``, or a modulation that
            acts on single tensors with what needs whole gradients.
        TypeError: If modulation or projection is of the wrong kind.
        NotImplementedError: If the model is sharded over ranks.
        RuntimeError: If the loss carries no ``TaskLosses``.

    Example:
        >>> from mmgmp.structures import Task, attach_task_losses
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
        acts_on: str = 'gradient',
        loss_scaling: LossScaling | None = None,
    ) -> None:
        clip_grad = dict(clip_grad) if clip_grad is not None else None
        super().__init__(optimizer, accumulative_counts, clip_grad)
        refuse_sharding(self, optimizer)
        self.level = level
        self._scaling = loss_scaling or LossScaling()
        self._groups = EncoderGroups()
        self._diagnostics = Diagnostics()
        part = build_part('modulation', modulation, MODULATIONS, Modulation)
        self._modulation: Modulation | None = part
        part = build_part('projection', projection, PROJECTIONS, Projection)
        self._projection: Projection | None = part
        self._rule = CombineRule(
            self._modulation, self._projection, self._diagnostics
        )
        plan = backward_plans.choose(
            self._rule, level, accumulative_counts, acts_on
        )
        shared = self._groups, self._diagnostics
        self._observer = Observer(self._rule, *shared)
        self._update_scale = build_update_scale(acts_on, *shared)
        seams = self._scale, self._unit, self._update_scale
        self._plan = plan(self._rule, self._groups, *seams)
        self._window = Window()
        self._saved_window: dict[str, Any] | None = None
        self._steps = 0
        self._unclipped: frozenset[int] = frozenset()

    @property
    def modulation(self) -> Modulation | None:
        """How strongly each task gradient of each encoder counts."""
        return self._modulation

    @property
    def projection(self) -> Projection | None:
        """What happens where two tasks conflict."""
        return self._projection

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
        # Nothing below depends on whether this rank has a loss for a task:
        # each call that reduces is reached by all ranks, or by none.
        tasks = self._rule.view(get_task_losses(loss))
        self._update_groups(tasks)
        self._unclipped = frozenset(id(p) for p in tasks.unclipped)
        self._restore_window()
        # MMEngine divides by the window's planned length, which is shorter
        # at the end of training; asking it is the one public way to know.
        divisor = round(1 / self.scale_loss(1.0))
        self._observer.add(tasks, divisor, self._window)
        boundary = None
        if self.should_sync():
            boundary = self._observer.finish(self._window, self._steps)
        self._plan.add(loss, tasks, self._window, boundary)
        private_names.count_batch(self)
        if boundary is None:
            return
        self._write_gradients(boundary)
        self.step(**(step_kwargs or {}))
        self.zero_grad(**(zero_kwargs or {}))
        self._steps += 1
        self._rule.feed_back(tasks)

    def _write_gradients(self, boundary: Boundary) -> None:
        """Reduce, combine and hand the result to the optimizer.

        The order of collectives is the same on every rank: the signals'
        (``Observer.finish``), each group of tasks' as it is differentiated
        (``TaskPlan.add``) or, where that is one sum, the encoders'
        (``combined``) after the heads' below. Gloo and NCCL match calls by
        their order alone.
        """
        others = self._groups.others
        plain = [p.grad for p in others]
        self._window.even_out(plain)
        heads = None
        if get_world_size() > 1:
            heads = GradientReduction(others, plain, boundary.rank_weight)
        # Under way while the encoders' gradients are combined.
        combined = self._plan.combined(self._window, boundary)
        if heads is not None:
            plain = heads.wait()
        if self._window.samples:
            self._diagnostics.check_reached(self._groups, combined)
        for parameter, gradient in zip(
            [*others, *self._groups.flat], [*plain, *combined], strict=True
        ):
            parameter.grad = gradient
        self._rule.finalize(self._groups, boundary.signals, self._unit())
        self._update_scale.split()

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
        refuse_sharding(self, model)
        if getattr(model, 'broadcast_buffers', False):
            # Without a backward pass of its own, DistributedDataParallel
            # would broadcast the buffers in the first step only.
            setattr(model, 'require_forward_param_sync', True)  # noqa: B010
        no_sync = getattr(model, 'no_sync', nullcontext)
        with no_sync():
            yield

    def _update_groups(self, tasks: TaskLosses) -> None:
        """Read the parameter groups anew, and log them when they change."""
        before = self._groups.flat
        if not self._groups.update(tasks.encoder_parameters, self.optimizer):
            return
        self._window.follow(before, self._groups.flat)
        print_log(
            f'Task gradients act on the encoders ({self._groups}); all other '
            'parameters keep their ordinary gradient.',
            logger='current',
        )

    def step(self, **kwargs: Any) -> None:
        """Unscale, clip, and let the optimizer step.

        Under loss scaling a step with an overflow is skipped.

        Args:
            **kwargs: Passed to the optimizer's ``step``.
        """
        if self.clip_grad_kwargs:
            # Norms have a meaning in the true unit only.
            self._scaling.unscale_(self.optimizer)
            self._clip()
        with self._update_scale.scaled_step():
            self._scaling.step(self.optimizer, **kwargs)

    def _scale(self, loss: Tensor) -> Tensor:
        """Scale a loss before it is differentiated."""
        scaled: Tensor = self.scale_loss(loss)
        share = self._window.share
        return self._scaling.scale(scaled if share == 1 else scaled * share)

    def _unit(self) -> Tensor | float:
        """Return the factor by which gradients are too large."""
        return self._scaling.unit(self._groups.flat[0].device)

    def _clip(self) -> None:
        """Clip as MMEngine does, but leave the norm on its device."""
        parameters = clippable(self.optimizer, self._unclipped)
        if parameters:
            norm = self.clip_func(parameters, **self.clip_grad_kwargs)
            if norm is not None:
                self._diagnostics.record(self.grad_name, norm, shared=True)

    # -- logging and state ------------------------------------------------

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
        return self._diagnostics.read(self._groups.by_modality)

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state and what the strategy remembers.

        Within an accumulation window also what has been accumulated; only
        one process can save that.
        """
        state: dict[str, Any] = super().state_dict()
        state.update(self._scaling.state_dict())
        state['task_gradient'] = {
            'steps': self._steps,
            # Loaded and not yet gone on with: a checkpoint may be written
            # again before the first step of a resumed run.
            'window': self._saved_window
            or save_window(
                self._window,
                self._groups,
                self.optimizer,
                private_names.counted_batches(self),
                private_names.accumulative_counts(self),
            ),
            **self._rule.state_dict(),
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
        self._scaling.load_state_dict(state_dict.pop(SCALER, None))
        self._steps = own.get('steps', 0)
        self._saved_window = own.get('window')
        if self._saved_window:
            count = self._saved_window['inner_count']
            private_names.set_counted_batches(self, count)
        self._rule.load_state_dict(own)
        super().load_state_dict(state_dict)

    def _restore_window(self) -> None:
        """Go on with the window that a checkpoint was written in."""
        saved, self._saved_window = self._saved_window, None
        if saved:
            restore_window(
                self._window,
                saved,
                self._groups,
                self.optimizer,
                private_names.counted_batches(self),
                private_names.accumulative_counts(self),
            )
