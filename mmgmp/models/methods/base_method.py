"""The interface of an MMDG method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from mmengine.model import BaseModule
from torch import Tensor

from mmgmp.structures import MultiModalBatch, Task


class BaseMethod(BaseModule):
    """Losses added to the recognizer's own, each tagged with a task.

    A method sees features, logits and labels of one batch. It knows neither
    the train loop nor the gradient strategy: what the strategy does with a
    term follows from its task alone. Its losses are computed in full
    precision, also under autocast.

    What only some methods offer (a teacher's word, domain discriminators,
    translations, statistics for a strategy, an ear for its feedback) is not
    part of this class: such a method has what one of the protocols in
    ``mmgmp.models.methods.protocols`` names.

    Args:
        in_channels: Feature width D_m per modality, in modality order; the
            recognizer fills it in.
        num_classes: Number of classes K; the recognizer fills it in.
        init_cfg: As in MMEngine.
        tasks: Task by term, replacing the method's own tags;
            ``dict(distance='extra')`` keeps that term out of modulation and
            projection.

    Raises:
        ValueError: If ``tasks`` names an unknown term or task.
    """

    #: Task of each term that the method may return.
    default_tasks: ClassVar[Mapping[str, Task]] = {}
    #: Whether ``model.unimodal_heads`` must be configured.
    needs_unimodal_heads = False
    #: Whether the method brings its own loss of the fused classifier, so
    #: that the recognizer leaves its cross-entropy out.
    replaces_cls_loss = False
    #: What the recognizer passes to the constructor beside the sizes:
    #: ``'encoders'``, the configs of its encoders; ``'hidden_channels'``, the
    #: width of ``batch.hidden``.
    build_with: ClassVar[frozenset[str]] = frozenset()
    #: What the forward plan must provide; see ``BaseForwardPlan.provides``.
    needs_plan: ClassVar[frozenset[str]] = frozenset()
    #: Whether samples may lack a modality: :meth:`losses` then reads
    #: ``batch.present``.
    allows_missing = False

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        init_cfg: dict | None = None,
        tasks: Mapping[str, str | Task] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = dict(in_channels)
        self.num_classes = num_classes
        self.tasks = {**self.default_tasks, **self._read_tasks(tasks or {})}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modality names in the order of the encoders."""
        return tuple(self.in_channels)

    @abstractmethod
    def losses(
        self, batch: MultiModalBatch
    ) -> Mapping[Task, Mapping[str, Tensor]]:
        """Return named 0-dim losses by task.

        A name ends up in the log as ``loss_<task>_<name>``.

        Args:
            batch: Features, logits and labels, attached to the graph.
        """

    def check_labels(self, labels: Tensor, domain_labels: Tensor) -> None:
        """Refuse labels that the method cannot use.

        Args:
            labels: Class labels on the host, ``(N,)``.
            domain_labels: Domain labels on the host, ``(N,)``.
        """

    def tagged(self, **terms: Tensor) -> dict[Task, dict[str, Tensor]]:
        """Sort weighted terms by their task.

        Args:
            **terms: 0-dim losses by name.
        """
        by_task: dict[Task, dict[str, Tensor]] = {}
        for name, value in terms.items():
            by_task.setdefault(self.tasks[name], {})[name] = value
        return by_task

    def check_positive(self, **options: float) -> None:
        """Refuse options that must be above zero.

        Args:
            **options: Values by name.

        Raises:
            ValueError: If one is not.
        """
        wrong = {key: x for key, x in options.items() if not x > 0}
        if wrong:
            raise ValueError(
                f'{", ".join(wrong)} of {type(self).__name__} must be > 0, '
                f'got {wrong}; correct model.methods'
            )

    def _read_tasks(self, tasks: Mapping[str, str | Task]) -> dict[str, Task]:
        name = type(self).__name__
        unknown = sorted(set(tasks) - set(self.default_tasks))
        if unknown:
            raise ValueError(
                f'tasks of {name} must name its terms '
                f'{sorted(self.default_tasks)}, got {unknown}; correct '
                'model.methods'
            )
        known = [task.value for task in Task]
        for term, task in tasks.items():
            if task not in known:
                raise ValueError(
                    f'tasks of {name} must be among {known}, got {task!r} '
                    f'for {term!r}; correct model.methods'
                )
        return {term: Task(task) for term, task in tasks.items()}
