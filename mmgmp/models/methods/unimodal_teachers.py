"""UMT: features held near those of encoders that were trained alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmgmp.models.encoders import load_strictly, tensors_of
from mmgmp.models.methods.frozen_twins import FrozenTwins
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.settings import TrainedOn

_EXAMPLE = (
    'train each modality alone (protocol.modalities="[video]") and set '
    'model.methods.<n>.checkpoints.video=..., or use a row of a plan '
    '(docs/benchmark.md)'
)


@MODELS.register_module()
class UnimodalTeachers(FrozenTwins):
    """Distil encoders that were trained on one modality alone.

    Joint training leaves an encoder weaker than its twin that was trained
    alone. Each encoder's output is drawn to that of its frozen twin for the
    same input (term ``distance``). The twins are read from checkpoints; what
    else holds for them is said in :class:`FrozenTwins`.

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
        **kwargs: As in :class:`FrozenTwins`.

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

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        checkpoints: Mapping[str, str] | None = None,
        weight: float = 10.0,
        sources: Sequence[str] | None = None,
        allow_other_domains: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.check_positive(weight=weight)
        self.checkpoints = dict(checkpoints or {})
        self.weight = weight
        self.sources = None if sources is None else list(sources)
        self.allow_other_domains = allow_other_domains

    def make_twin(self, modality: str) -> nn.Module:
        """Read a teacher; see the base class."""
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
        config = {**self.encoder_config(modality), 'pretrained': None}
        teacher: nn.Module = MODELS.build(config)
        what = f'checkpoints.{modality} of UnimodalTeachers'
        load_strictly(teacher, weights, path, what)
        print_log(f'{what}: {path}', logger='current')
        return teacher

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
