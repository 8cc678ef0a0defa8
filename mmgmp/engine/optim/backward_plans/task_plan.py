"""One backward pass per group of tasks."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.dist import get_world_size
from torch import Tensor

from mmgmp.engine.optim.backward_plans.base_plan import BackwardPlan
from mmgmp.engine.optim.gradients import (
    Gradients,
    add_,
    backward_into,
    scale_,
)
from mmgmp.engine.optim.observation import Boundary
from mmgmp.engine.optim.reduction import GradientReduction
from mmgmp.engine.optim.window import Window
from mmgmp.structures import Coefficients, Task, TaskLosses


class TaskPlan(BackwardPlan):
    """Keeps the gradients of the tasks apart until the end of the window."""

    def add(
        self,
        loss: Tensor,
        tasks: TaskLosses,
        window: Window,
        boundary: Boundary | None,
    ) -> None:
        """Differentiate one micro-batch; see the base class."""
        attached = tasks.attached()
        present = [
            group
            for group in self.rule.task_groups
            if any(task in attached for task in group)
        ]
        for index, group in enumerate(self.rule.task_groups):
            key = group[0]
            # The graph is kept until its last task; heads gather the sum of
            # all in their ``.grad`` on the way.
            if group in present:
                is_alone = len(present) == 1
                window.gradients[key] = backward_into(
                    self.scale(loss if is_alone else tasks.sum_of(group)),
                    self.groups.flat,
                    window.gradients.get(key, self._absent()),
                    self.groups.others,
                    retain_graph=group != present[-1],
                )
            if boundary is not None:
                self._close(index, key, window, boundary)

    def _absent(self) -> Gradients:
        return [None] * len(self.groups.flat)

    def _close(
        self, index: int, key: Task, window: Window, boundary: Boundary
    ) -> None:
        """End the window of one group of tasks, and send it to the ranks."""
        if key in window.gradients:
            window.even_out(window.gradients[key])
        # Known to be wanted by any rank, so all ranks join: a rank with
        # no such loss sends zeros. Reading the flags waits for their
        # copy alone, and the reduction overlaps the next group's pass.
        flags = boundary.group_flags
        if flags is not None and flags.tolist()[index] > 0:
            window.reductions[key] = GradientReduction(
                self.groups.flat,
                window.gradients.get(key, self._absent()),
                boundary.rank_weight,
            )

    def combined(self, window: Window, boundary: Boundary) -> Gradients:
        """Fold the task gradients into one, in place; see the base class."""
        if get_world_size() > 1:
            # In the order of the groups, so that every rank adds up alike.
            window.gradients = {
                key: reduction.wait()
                for key, reduction in window.reductions.items()
            }
        self.update_scale.measure(window.gradients.values())
        rule, signals, modulated = self.rule, boundary.signals, None
        if all(task in window.gradients for task in rule.pair):
            products = self.products(window.gradients, self.groups.parts)
            weights, modulated = rule.decide(products, signals, self.unit())
        else:
            weights = rule.coefficients(signals)
        rule.inspect(self.groups, window.gradients, signals)
        unpaired = self._unpaired(window.gradients, modulated)
        total: Gradients = [None] * len(self.groups.flat)
        dropped = rule.dropped(signals)
        for task in list(window.gradients):
            gradients = window.gradients.pop(task)
            if task in dropped:
                continue
            if rule.parts:
                self._scale(gradients, task, weights, modulated, unpaired)
            total = add_(total, gradients)
        return total

    def _scale(
        self,
        gradients: Gradients,
        task: Task,
        weights: Coefficients,
        modulated: Coefficients | None,
        unpaired: set[int],
    ) -> None:
        is_wide = modulated is not None
        for index, part in enumerate(self.groups.parts):
            scaled = self.rule.selected(self.groups, part, gradients)
            alone = [g for g in scaled if id(g) in unpaired]
            paired = [g for g in scaled if id(g) not in unpaired]
            if paired:
                scale_(paired, weights.of(task)[index], is_wide)
            if alone and modulated is not None:
                scale_(alone, modulated.of(task)[index])

    def _unpaired(
        self,
        gradients: Mapping[Task, Gradients],
        modulated: Coefficients | None,
    ) -> set[int]:
        """Ids of compared gradients that the projection leaves out."""
        if modulated is None or not self.rule.keeps_unpaired:
            return set()
        pairs = zip(*(gradients[t] for t in self.rule.pair), strict=True)
        return {
            id(first if second is None else second)
            for first, second in pairs
            if (first is None) is not (second is None)
        }
