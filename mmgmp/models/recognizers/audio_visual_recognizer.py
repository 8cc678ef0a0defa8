"""The audio-visual recognizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from mmaction.structures import ActionDataSample
from torch import Tensor

from mmgmp.models.recognizers import batch_assembly
from mmgmp.models.recognizers.method_terms import (
    add_method_terms,
    hand_on_feedback,
    run_shared_stages,
    statistics,
    teach,
    unclipped_parameters,
)
from mmgmp.models.recognizers.partial_samples import (
    check_partial,
    encode_rows,
)
from mmgmp.models.recognizers.recognizer_parts import RecognizerParts
from mmgmp.models.recognizers.requirements import fill_missing
from mmgmp.models.recognizers.shares import confidences, share
from mmgmp.registry import MODELS
from mmgmp.structures import (
    REPORT,
    LossReport,
    MultiModalBatch,
    Task,
    Teacher,
    keep_present,
    read_presence,
)

Inputs = Mapping[str, Tensor]


@MODELS.register_module()
class AudioVisualRecognizer(RecognizerParts):
    """Encoders, fusion, classifier and domain discriminator.

    The three MMEngine modes are the usual ones. In ``loss`` mode every loss
    is named ``loss_<task>[_...]``; :meth:`parse_losses` sums them to the
    scalar that any optimizer wrapper minimises and attaches the sums per task
    for those that modulate gradients.

    Args:
        encoders: One encoder config per modality; their order is the order of
            the modalities everywhere, unless ``modality_order`` says it. None
            drops a modality that a parent config has.
        fusion: Config of the fusion.
        cls_head: Config of the classifier.
        domain_head: Config of the domain discriminator; None for a single
            source domain or plain empirical risk minimisation.
        unimodal_heads: Config of one classifier per modality on its own
            feature: one for all, or a dict with a config per modality. Their
            losses come from the methods that use them.
        methods: Configs of MMDG methods, which add losses.
        feature_transforms: Configs of what happens to the encoder outputs,
            in this order, before fusion, heads and methods see them; those
            that act in training only come last.
        forward_plan: Config of how a training batch passes the model; None
            is one pass. Some methods need another one.
        missing_modalities: What stands for a modality that is not there at
            test time, by name: ``'zeros'``, or ``'translate'`` with a method
            that has translators. Such an input is neither needed nor used.
        contribution: How the logits of a joint head are split into
            per-modality shares: ``'masked'``, ``'shapley'``, ``'unimodal'``
            or the config of a contribution, or ``dict(semantic=...,
            domain=...)`` with one each. None takes the fusion's default.
        fusion_params_in_modality: Whether a fusion layer that reads one
            modality's feature belongs to that modality's encoder parameters.
        unimodal_heads_in_modality: Whether a unimodal head belongs to its
            modality's encoder parameters.
        modality_order: Names of all encoders, in order; those that are
            dropped may be among them. A config that MMEngine has written out
            again keeps the order of a list, but not that of a dict.
        data_preprocessor: As in MMEngine.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If there are no encoders, one has nothing to train, two
            share parameters, or a piece lacks what it needs.

    Example:
        >>> import torch
        >>> backbone = dict(type='ResNet', depth=18, in_channels=1)
        >>> model = AudioVisualRecognizer(
        ...     encoders=dict(audio=dict(
        ...         type='ModalityEncoder', backbone=backbone)),
        ...     cls_head=dict(type='MLPClassifierHead', num_classes=3))
        >>> inputs = dict(audio=torch.zeros(2, 1, 65, 60))
        >>> model(inputs, mode='tensor').shape
        torch.Size([2, 3])

    Source: GMP (arXiv 2603.14175), Section 3 and implementation details.
    """

    # -- the three modes --------------------------------------------------

    def forward(
        self,
        inputs: Inputs,
        data_samples: list[ActionDataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run one of MMEngine's three modes.

        Args:
            inputs: One batch per modality, e.g. ``video`` of shape
                ``(N, 1, C, T, H, W)`` and ``audio`` of shape
                ``(N, 1, F, T)``. Where samples lack a modality, the rows of
                the others and a mask (``mmgmp.structures.presence``).
            data_samples: Labels, one sample each; needed except for
                ``'tensor'``.
            mode: ``'tensor'`` returns fused class logits ``(N, K)``,
                ``'predict'`` the samples with scores, ``'loss'`` a dict of
                losses and logged values.

        Raises:
            ValueError: If the mode is unknown, a modality is missing or the
                samples are.
        """
        if mode == 'tensor':
            return self.cls_head(self.fusion(self.extract_feat(inputs)))
        if mode not in ('loss', 'predict'):
            raise ValueError(
                "mode must be 'tensor', 'loss' or 'predict', got " + repr(mode)
            )
        if data_samples is None:
            raise ValueError(
                f'data_samples must be given with mode={mode!r}, got None; '
                "use mode='tensor' for logits without samples"
            )
        run = self.loss if mode == 'loss' else self.predict
        return run(inputs, data_samples)

    def extract_feat(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the features that fusion and heads see at test time.

        Args:
            inputs: As in :meth:`forward`.

        Returns:
            ``(N, D_m)`` per modality; stand-ins for ``missing_modalities``.

        Raises:
            ValueError: If a modality of the model is not in the batch.
        """
        outputs = self.encode(inputs, skip=self.missing_modalities)
        features = keep_present(
            self.transform_features(outputs), read_presence(inputs)
        )
        if self.missing_modalities:
            features = fill_missing(self, features)
        return features

    def encode(
        self, inputs: Inputs, skip: Iterable[str] = ()
    ) -> dict[str, Tensor]:
        """Return encoder outputs, before any feature transform.

        Args:
            inputs: As in :meth:`forward`.
            skip: Modalities to leave out.

        Returns:
            ``(N, D_m)`` per modality.

        Raises:
            ValueError: If a modality of the model is not in the batch.
        """
        self.check_inputs(inputs, skip)
        return {
            m: encode_rows(encoder, inputs, m)
            for m, encoder in self.encoders.items()
            if m not in skip
        }

    def transform_features(
        self, outputs: Mapping[str, Tensor], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Apply ``feature_transforms``.

        Args:
            outputs: Encoder outputs, ``(N, D_m)`` per modality.
            labels: Class labels ``(N,)`` in training, else None.

        Returns:
            Features ``(N, D_m)`` per modality.
        """
        for training_only in (False, True):
            outputs = batch_assembly.apply_transforms(
                self, outputs, labels, training_only
            )
        return dict(outputs)

    def loss(
        self, inputs: Inputs, data_samples: list[ActionDataSample]
    ) -> dict[str, Any]:
        """Return losses by task, confidences and values to log.

        Args:
            inputs: As in :meth:`forward`.
            data_samples: With ``gt_label`` and ``domain_label``.

        Returns:
            0-dim losses named ``loss_<task>...``, confidences ``(N,)`` and
            0-dim values.
        """
        check_partial(self, inputs)
        inputs = run_shared_stages(self.encoders, self.methods, inputs)
        batch = self.forward_plan.run(self, inputs, data_samples)
        terms = self._head_terms(batch)
        add_method_terms(terms, self.methods, batch, self._teacher)
        return LossReport(
            terms,
            confidences(self, batch),
            # With heads among the encoder parameters, an encoder's feature is
            # not the only way from a loss to them.
            {} if self._has_heads else batch.outputs,
            statistics(self.methods, batch),
            batch_assembly.batch_accuracies(batch),
            batch.present,
        ).as_losses()

    def _head_terms(
        self, batch: MultiModalBatch
    ) -> dict[Task, dict[str, Tensor]]:
        """Losses of the joint heads, but for one that a method replaces."""
        terms: dict[Task, dict[str, Tensor]] = {}
        if not any(method.replaces_cls_loss for method in self.methods):
            loss = self.cls_head.loss(batch.logits, batch.labels)
            terms[Task.CLASSIFICATION] = {'': loss}
        if self.domain_head is not None and batch.domain_logits is not None:
            loss = self.domain_head.loss(
                batch.domain_logits, batch.domain_labels
            )
            terms[Task.DOMAIN] = {'': loss}
        return terms

    def predict(
        self, inputs: Inputs, data_samples: list[ActionDataSample]
    ) -> list[ActionDataSample]:
        """Add scores to the samples.

        Args:
            inputs: As in :meth:`forward`.
            data_samples: Samples to fill in.

        Returns:
            The samples with ``pred_score`` (K,), ``pred_label`` and
            ``modality_scores``, a dict with the scores (K,) of each
            modality's share of the classifier; modalities that a sample
            lacks (``missing_modalities``) are left out.
        """
        return self.predict_features(self.extract_feat(inputs), data_samples)

    def predict_features(
        self,
        features: Mapping[str, Tensor],
        data_samples: list[ActionDataSample],
    ) -> list[ActionDataSample]:
        """Add scores to the samples of features; see :meth:`predict`.

        Args:
            features: What :meth:`extract_feat` returned.
            data_samples: Samples to fill in.
        """
        scores = self.cls_head(self.fusion(features)).softmax(1)
        shares = share(self, Task.CLASSIFICATION, features)
        batch_assembly.write_predictions(
            data_samples,
            scores,
            {m: logits.softmax(1) for m, logits in shares.items()},
        )
        return data_samples

    def parse_losses(
        self, losses: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the losses, and attach their parts to the sum.

        Args:
            losses: What :meth:`loss` returned.

        Returns:
            The sum with attached ``TaskLosses``, and detached values to log.
        """
        report: LossReport = losses[REPORT]
        return report.parse(
            self.trainable_encoder_parameters(),
            partial(hand_on_feedback, self.methods),
            unclipped_parameters(self.methods),
        )

    def assemble(
        self,
        outputs: Mapping[str, Tensor],
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Transform, fuse and classify encoder outputs of one batch.

        Args:
            outputs: What :meth:`encode` returned.
            inputs: What it was given.
            data_samples: With ``gt_label`` and ``domain_label``.

        Returns:
            The batch, attached to the graph.

        Raises:
            ValueError: If a label is outside the classes or source domains.
        """
        return batch_assembly.assemble(self, outputs, inputs, data_samples)

    # -- methods and their teacher ----------------------------------------

    def set_teacher(self, teacher: Teacher | None) -> None:
        """Take an averaged model, which a hook owns, or let go of it.

        Args:
            teacher: The teacher, or None.
        """
        self._teacher = teacher

    def teach(self, inputs: Inputs) -> list[Mapping[str, Tensor]]:
        """Return what each method, as the teacher's copy, tells the student.

        Args:
            inputs: As in :meth:`forward`.
        """
        features = self.transform_features(self.encode(inputs))
        logits = self.cls_head(self.fusion(features))
        return teach(self.methods, features, logits)
