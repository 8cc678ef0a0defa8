"""UMT: features held near those of encoders that were trained alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmgmp.models.encoders import load_strictly, tensors_of
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import (
    FrozenState,
    MultiModalBatch,
    Task,
    presence_key,
    spread_rows,
)
from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.settings import TrainedOn

_EXAMPLE = (
    'train each modality alone (protocol.modalities="[video]") and set '
    'model.methods.<n>.checkpoints.video=..., or use a row of a plan '
    '(docs/benchmark.md)'
)


@MODELS.register_module()
class UnimodalTeachers(BaseMethod):
    """Distil encoders that were trained on one modality alone.

    Joint training leaves an encoder weaker than its twin that was trained
    alone. Each encoder's output is drawn to that of its frozen twin for the
    same input (term ``distance``), and the twin sees what the student sees:
    the same augmented input, in eval mode and without gradient.

    The teachers are read when weights are initialised, hence in training
    only. They are no part of the model's state: a checkpoint holds the
    student alone and is tested without their files. Where an encoder's frozen
    stages are those of its teacher, they run once for both, also on what a
    feature cache holds.

    Args:
        in_channels: As in :class:`BaseMethod`.
        num_classes: As in :class:`BaseMethod`.
        checkpoints: Checkpoint by modality, one for every modality of the
            model; others are not read. Tensors ``encoders.<modality>.*``
            are taken.
        weight: Lambda of the distances, > 0.
        sources: Domains that the student is trained on; the protocol fills
            them in where a config says None.
        allow_other_domains: Whether teachers may have been trained on
            domains that are not ``sources``, such as the target.
        encoders: Encoder configs by modality; the recognizer fills them in.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If ``weight`` is not positive; when weights are
            initialised, if a checkpoint is missing, does not hold the
            encoder, does not fit it, or was trained on other domains.
        FileNotFoundError: When weights are initialised, if there is no file.

    Example:
        >>> method = UnimodalTeachers({'video': 4}, 2, weight=10)
        >>> method.distance(torch.tensor([[1., 2.]]), torch.zeros(1, 2))
        tensor(2.5000)

    Source: Du et al., "On Uni-Modal Feature Learning in Supervised
    Multi-Modal Learning", ICML 2023. Weight 10 as BalanceBenchmark has it
    [release-B]. The term is ``extra`` [choice]: it carries no label and aims
    at the modality's own solution, which modulation or projection would
    undo; ``tasks=dict(distance='cls')`` is the other reading.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {'distance': Task.EXTRA}
    needs_encoders = True
    allows_missing = True

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        checkpoints: Mapping[str, str] | None = None,
        weight: float = 10.0,
        sources: Sequence[str] | None = None,
        allow_other_domains: bool = False,
        encoders: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.check_positive(weight=weight)
        self.checkpoints = dict(checkpoints or {})
        self.weight = weight
        self.sources = None if sources is None else list(sources)
        self.allow_other_domains = allow_other_domains
        self._encoders = copy.deepcopy(dict(encoders or {}))
        # In a plain list: modules of a module double every checkpoint.
        self._teachers: list[nn.Module] = []
        self._shared: frozenset[str] | None = None
        # Follows the model to its device, which the teachers are then put on.
        self.register_buffer('_place', torch.empty(0), persistent=False)

    # -- teachers ---------------------------------------------------------

    def init_weights(self) -> None:
        """Read the teachers; see the class."""
        super().init_weights()
        # Other rows of a plan start from the same random numbers.
        with torch.random.fork_rng(devices=[]):
            self._teachers = [self._read(m) for m in self.modalities]
        self._shared = None

    def _read(self, modality: str) -> nn.Module:
        path = self.checkpoints.get(modality)
        if not path:
            raise ValueError(
                'checkpoints of UnimodalTeachers must name a checkpoint for '
                f'each modality of {list(self.modalities)}, got '
                f'{self.checkpoints}; {_EXAMPLE}'
            )
        content = read_checkpoint(path)
        self._check_domains(path, content)
        prefix = f'encoders.{modality}.'
        weights = tensors_of(content, prefix)
        if not weights:
            raise ValueError(
                f'checkpoints.{modality} of UnimodalTeachers must hold '
                f'tensors {prefix}*, got {path} without; {_EXAMPLE}'
            )
        config = {**self._encoders[modality], 'pretrained': None}
        teacher: nn.Module = MODELS.build(copy.deepcopy(config))
        what = f'checkpoints.{modality} of UnimodalTeachers'
        load_strictly(teacher, weights, path, what)
        print_log(f'{what}: {path}', logger='current')
        return teacher.requires_grad_(False).eval().to(self._place.device)

    def _check_domains(self, path: str, content: Any) -> None:
        if self.allow_other_domains:
            return
        if self.sources is None:
            raise ValueError(
                'sources of UnimodalTeachers must be the domains that are '
                'trained on, got None; a protocol fills them in where a '
                'config says sources=None. Or set allow_other_domains=True'
            )
        meta = content.get('meta') if isinstance(content, Mapping) else None
        trained = TrainedOn.from_meta(meta or {})
        seen = None if trained is None else list(trained.seen)
        if seen is None or not {*seen} <= {*self.sources}:
            raise ValueError(
                'checkpoints of UnimodalTeachers must be trained on source '
                f'domains of this run, {self.sources}, got {path} of '
                f'{seen or "domains that it does not name"}; the target '
                'would not be unseen. Take teachers of the same fold, or set '
                'allow_other_domains=True'
            )

    def shared_stages(self, encoders: Mapping[str, Any]) -> Collection[str]:
        """Return the modalities whose frozen stages are the teacher's.

        Compared once, with the first batch, which waits for the device.

        Args:
            encoders: Encoders of the student by modality.
        """
        if self._shared is None:
            self._shared = frozenset(
                modality
                for modality, teacher in self._by_modality().items()
                if _has_same_frozen(encoders[modality], teacher)
            )
        return self._shared

    @torch.no_grad()
    def ask(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the teachers' features of a batch.

        Args:
            inputs: Preprocessed inputs by modality, or what the frozen stages
                made of them; rows of a modality that samples lack are left
                out, as its mask says.

        Returns:
            ``(N, D_m)`` per modality, zeros for samples that lack it.

        Raises:
            RuntimeError: If no teacher was read.
            ValueError: If an input has passed frozen stages that are not the
                teacher's.
        """
        return {
            modality: self._features(modality, teacher, inputs)
            for modality, teacher in self._by_modality().items()
        }

    def _features(
        self, modality: str, teacher: nn.Module, inputs: Mapping[str, Any]
    ) -> Tensor:
        rows, present = inputs[modality], inputs.get(presence_key(modality))
        if isinstance(rows, FrozenState) and modality not in (
            self._shared or ()
        ):
            raise ValueError(
                f'the teacher of {modality} must have the frozen stages that '
                'the feature cache was filled with, got others; train from '
                'the files (protocol.cache=None), or take a teacher that '
                'started from the same weights'
            )
        if present is None:
            feature: Tensor = teacher(rows)
            return feature
        if not rows.numel():
            width = self.in_channels[modality]
            return self._place.new_zeros(len(present), width)
        return spread_rows(teacher(rows), present)

    def _by_modality(self) -> dict[str, nn.Module]:
        if not self._teachers:
            raise RuntimeError(
                'UnimodalTeachers has no teachers yet: they are read when '
                'weights are initialised; call init_weights() of the model, '
                'as the runner does, before it is trained'
            )
        return dict(zip(self.modalities, self._teachers, strict=True))

    def _apply(self, fn: Callable, *args: Any, **kwargs: Any) -> Any:
        for teacher in self._teachers:
            teacher._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)

    # -- the loss ---------------------------------------------------------

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted sum of the distances over modalities.

        Encoder outputs are compared, before any feature transform; under a
        forward plan that gives none, the features.
        """
        students = batch.outputs or batch.clean_features or batch.features
        distances = [
            self.distance(students[m], batch.teacher[m])
            for m in self.modalities
        ]
        return self.tagged(distance=torch.stack(distances).sum() * self.weight)

    @staticmethod
    def distance(student: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean squared difference, 0-dim, in float32 or better.

        A sample that lacks the modality is zeros on both sides: it adds
        nothing, and counts in the mean.

        Args:
            student: Features ``(N, D)``.
            teacher: Features ``(N, D)``, without graph.
        """
        least = torch.promote_types(student.dtype, torch.float32)
        difference = student.to(least) - teacher.to(least)
        return difference.square().mean()


def _has_same_frozen(student: Any, teacher: Any) -> bool:
    """Whether the frozen stages are one function, now and later."""
    has_frozen = getattr(student, 'frozen_stages', -1) >= 0
    if not has_frozen or not student.frozen_norm_eval:
        return False
    own, other = student.frozen_state_dict(), teacher.frozen_state_dict()
    return all(torch.equal(value, other[name]) for name, value in own.items())
