"""The audio-visual recognizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmaction.structures import ActionDataSample
from mmengine.model import BaseModel, ModuleDict, ModuleList
from torch import Tensor, nn

from mmgmp.models.contributions import (
    BaseContribution,
    JointHead,
    evaluating,
)
from mmgmp.models.feature_transforms import FeatureContext
from mmgmp.models.methods import BaseMethod
from mmgmp.models.methods.watching import unclipped_parameters
from mmgmp.models.recognizers.partial_samples import (
    check_partial,
    encode_rows,
)
from mmgmp.models.recognizers.requirements import (
    check_contribution,
    check_methods,
    check_missing,
    check_transforms,
    fill_missing,
    order_modalities,
)
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
from mmgmp.structures.loss_report import loss_name
from mmgmp.utils.modality_order import trained_order

Inputs = Mapping[str, Tensor]
Config = Mapping[str, Any]

_CONTRIBUTIONS = {
    'masked': 'MaskedContribution',
    'shapley': 'ShapleyContribution',
    'unimodal': 'UnimodalContribution',
}


@MODELS.register_module()
class AudioVisualRecognizer(BaseModel):
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

    def __init__(
        self,
        encoders: Config,
        cls_head: Config,
        fusion: Config | None = None,
        domain_head: Config | None = None,
        unimodal_heads: Config | None = None,
        methods: Sequence[Config] = (),
        contribution: Config | str | None = None,
        fusion_params_in_modality: bool = False,
        unimodal_heads_in_modality: bool = False,
        feature_transforms: Sequence[Config] = (),
        forward_plan: Config | None = None,
        missing_modalities: Mapping[str, str] | None = None,
        modality_order: Sequence[str] | None = None,
        data_preprocessor: Config | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        encoders = order_modalities(encoders, modality_order)
        if not encoders:
            raise ValueError(
                'model.encoders must name at least one modality, got none; '
                'for example dict(video=dict(...), audio=dict(...))'
            )
        # MMEngine's containers: PyTorch's would hide `init_weights` of what
        # they hold, and so its pretrained weights.
        self.encoders: Any = ModuleDict(
            {name: MODELS.build(dict(cfg)) for name, cfg in encoders.items()}
        )
        self.modalities = tuple(self.encoders)
        widths: dict[str, Any] = {
            m: e.out_channels for m, e in self.encoders.items()
        }
        self.fusion = _build(
            fusion or dict(type='ConcatFusion'), in_channels=widths
        )
        width = self.fusion.out_channels
        self.cls_head = _build(cls_head, in_channels=width)
        self.domain_head = (
            None
            if domain_head is None
            else _build(domain_head, in_channels=width)
        )
        self.unimodal_heads = self._build_unimodal_heads(
            unimodal_heads, widths
        )
        self.feature_transforms: Any = ModuleList(
            _build(config, in_channels=widths) for config in feature_transforms
        )
        check_transforms(self.feature_transforms)
        self.methods: Any = self._build_methods(methods, widths)
        self.contributions = self._build_contributions(contribution)
        self.forward_plan = MODELS.build(
            dict(forward_plan or dict(type='SinglePassPlan'))
        )
        self.forward_plan.check(self)
        check_methods(self)
        self.missing_modalities = dict(missing_modalities or {})
        check_missing(self)
        self._teacher: Teacher | None = None
        # Then an encoder's feature is not the only way to its parameters.
        self._has_heads = (
            fusion_params_in_modality or unimodal_heads_in_modality
        )
        self._encoder_parameters = self._collect_parameters(
            fusion_params_in_modality, unimodal_heads_in_modality
        )

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

    def check_inputs(self, inputs: Inputs, skip: Iterable[str] = ()) -> None:
        """Refuse inputs that lack a modality.

        Args:
            inputs: As in :meth:`forward`.
            skip: Modalities that may be absent.

        Raises:
            ValueError: If a modality of the model is not in the batch.
        """
        missing = [
            m for m in self.modalities if m not in inputs and m not in skip
        ]
        if missing:
            raise ValueError(
                f'model.encoders names {missing}, which the batch lacks; it '
                f'has {list(inputs)}. Rename the encoder, or add the modality '
                'to dataset.modalities and to the pipeline'
            )

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
        return self._drop(self._prepare(outputs, labels), labels)

    def _prepare(
        self, outputs: Mapping[str, Tensor], labels: Tensor | None
    ) -> dict[str, Tensor]:
        """Apply the transforms that also act at test time."""
        return self._apply_transforms(outputs, labels, training_only=False)

    def _drop(
        self, features: Mapping[str, Tensor], labels: Tensor | None
    ) -> dict[str, Tensor]:
        """Apply the transforms that act in training only."""
        return self._apply_transforms(features, labels, training_only=True)

    def _apply_transforms(
        self,
        features: Mapping[str, Tensor],
        labels: Tensor | None,
        training_only: bool,
    ) -> dict[str, Tensor]:
        context = FeatureContext(
            labels,
            None
            if labels is None
            else lambda f: self._share(Task.CLASSIFICATION, f),
        )
        transformed = dict(features)
        for transform in self.feature_transforms:
            if transform.training_only is training_only:
                transformed = transform(transformed, context)
        return transformed

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
        batch = self.forward_plan.run(self, inputs, data_samples)
        terms: dict[Task, dict[str, Tensor]] = {}
        if not any(method.replaces_cls_loss for method in self.methods):
            loss = self.cls_head.loss(batch.logits, batch.labels)
            terms[Task.CLASSIFICATION] = {'': loss}
        if self.domain_head is not None and batch.domain_logits is not None:
            loss = self.domain_head.loss(
                batch.domain_logits, batch.domain_labels
            )
            terms[Task.DOMAIN] = {'': loss}
        for tagged in self._method_terms(batch):
            for task, named in tagged.items():
                _add_terms(terms.setdefault(task, {}), task, named)
        return LossReport(
            terms,
            self._confidences(batch),
            # Then an encoder's feature is not the only way to its parameters.
            {} if self._has_heads else batch.outputs,
            self._statistics(batch),
            self._log_values(batch),
            batch.present,
        ).as_losses()

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
        features = self.extract_feat(inputs)
        scores = self.cls_head(self.fusion(features)).softmax(1)
        shares = self._share(Task.CLASSIFICATION, features)
        by_modality = {m: share.softmax(1) for m, share in shares.items()}
        for index, (sample, score) in enumerate(
            zip(data_samples, scores, strict=True)
        ):
            sample.set_pred_score(score)
            sample.set_pred_label(score.argmax(0, keepdim=True))
            sample.set_field(
                {
                    m: s[index]
                    for m, s in by_modality.items()
                    if m not in sample.get('missing_modalities', ())
                },
                'modality_scores',
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
            self._receive,
            unclipped_parameters(self.methods),
        )

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Tensor], prefix: str, *args: Any
    ) -> None:
        """Refuse weights of encoders in another order.

        A concatenated feature would be put together in another order than
        the one its head was trained for, with no error from anywhere.
        """
        own = [name for name in state_dict if name.startswith(prefix)]
        order = trained_order(name.removeprefix(prefix) for name in own)
        common = [m for m in order if m in self.modalities]
        if common != [m for m in self.modalities if m in order]:
            raise ValueError(
                f'model.encoders are in the order {list(self.modalities)}, '
                f'the checkpoint was trained with {order}; use the original '
                'config file, or set model.modality_order: MMEngine sorts the '
                'keys of a config that it writes into a work directory or a '
                'checkpoint'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    # -- parts ------------------------------------------------------------

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return int(self.cls_head.num_classes)

    def trainable_encoder_parameters(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters that a gradient strategy acts on."""
        return {
            modality: [p for p in parameters if p.requires_grad]
            for modality, parameters in self._encoder_parameters.items()
        }

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
        labels = _gather(data_samples, 'gt_label')
        domain_labels = _gather(data_samples, 'domain_label')
        self.cls_head.check_labels(labels)
        if self.domain_head is not None:
            self.domain_head.check_labels(domain_labels)
        for method in self.methods:
            method.check_labels(labels, domain_labels)
        device = next(iter(outputs.values())).device
        labels = labels.to(device, non_blocking=True)
        # Once more: a norm shifts zeros, and no gradient may reach them.
        clean = keep_present(
            self._prepare(outputs, labels), read_presence(inputs)
        )
        features = self._drop(clean, labels)
        fused = self.fusion(features)
        return MultiModalBatch(
            features=features,
            clean_features=clean,
            labels=labels,
            domain_labels=domain_labels.to(device, non_blocking=True),
            fused=fused,
            logits=self.cls_head(fused),
            domain_logits=self._discriminate(fused, clean),
            unimodal_logits={
                m: head(features[m]) for m, head in self.unimodal_heads.items()
            },
            unimodal_domain_logits=self._domain_logits_in_pass(features),
            inputs=inputs,
            outputs=outputs,
            classify=lambda f: self.cls_head(self.fusion(f)),
            output_weight=self.cls_head.output.weight,
        )

    def _discriminate(
        self, fused: Tensor, clean: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Domain logits, of clean features if a transform asks for it."""
        if self.domain_head is None:
            return None
        if any(Task.DOMAIN not in t.tasks for t in self.feature_transforms):
            fused = self.fusion(clean)
        logits: Tensor = self.domain_head(fused)
        return logits

    def _domain_logits_in_pass(
        self, features: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Unimodal domain logits, for a method that wants them only once."""
        provider = self._domain_provider()
        if provider is None or not provider.domain_logits_in_pass:
            return {}
        device = next(iter(features.values())).device.type
        with torch.autocast(device, enabled=False):
            return provider.domain_logits(features)

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
        with torch.autocast(logits.device.type, enabled=False):
            return [method.teach(features, logits) for method in self.methods]

    def _method_terms(
        self, batch: MultiModalBatch
    ) -> Iterator[Mapping[Task, Mapping[str, Tensor]]]:
        """Losses of each method, in full precision."""
        taught: Sequence[Mapping[str, Tensor]] = [{}] * len(self.methods)
        if any(method.needs_teacher for method in self.methods):
            if self._teacher is None:
                raise RuntimeError(
                    'model.methods has one that needs a teacher, got none; '
                    "add dict(type='TeacherHook', ...) to custom_hooks"
                )
            if self._teacher.is_ready:
                taught = self._teacher.teach(batch.inputs)
        for method, told in zip(self.methods, taught, strict=True):
            with torch.autocast(batch.logits.device.type, enabled=False):
                yield method.losses(replace(batch, teacher=told))

    def _statistics(
        self, batch: MultiModalBatch
    ) -> dict[str, Mapping[str, Tensor]]:
        """Per-sample numbers of the methods, for gradient strategies."""
        with torch.autocast(batch.logits.device.type, enabled=False):
            return {
                name: by_modality
                for method in self.methods
                for name, by_modality in method.statistics(batch).items()
            }

    def _receive(self, feedback: Mapping[str, Tensor]) -> None:
        """Hand the methods what the modulation tells after a step."""
        for method in self.methods:
            method.receive(feedback)

    def _log_values(self, batch: MultiModalBatch) -> dict[str, Tensor]:
        """Accuracies on the batch; the discriminator's beside chance."""
        values = {'accuracy': _accuracy(batch.logits, batch.labels)}
        if batch.domain_logits is not None:
            values['domain_accuracy'] = _accuracy(
                batch.domain_logits, batch.domain_labels
            )
            values['domain_chance'] = torch.full_like(
                values['accuracy'], 1 / batch.domain_logits.shape[1]
            )
        return values

    def _confidences(
        self, batch: MultiModalBatch
    ) -> dict[Task, dict[str, Tensor]]:
        """Probability of the true label in each modality's share."""
        confidences = {}
        features = batch.clean_features or batch.features
        for task, labels in (
            (Task.CLASSIFICATION, batch.labels),
            (Task.DOMAIN, batch.domain_labels),
        ):
            if task not in self.contributions:
                continue
            shares: Mapping[str, Tensor] = {}
            if task is Task.DOMAIN:
                shares = batch.unimodal_domain_logits
            if not shares:
                shares = self._share(task, features, batch.unimodal_logits)
            confidences[task] = {
                modality: share.detach()
                .softmax(1)
                .gather(1, labels[:, None])
                .squeeze(1)
                for modality, share in shares.items()
            }
        return confidences

    def _share(
        self,
        task: Task,
        features: Mapping[str, Tensor],
        unimodal_logits: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Contribution logits of one side, detached, full precision."""
        detached = {m: x.detach() for m, x in features.items()}
        device = next(iter(detached.values())).device.type
        provider = self._domain_provider()
        if task is Task.DOMAIN and provider is not None:
            with evaluating(provider), torch.autocast(device, enabled=False):
                return dict(provider.domain_logits(detached))
        head: Any = (
            self.cls_head if task is Task.CLASSIFICATION else self.domain_head
        )
        with (
            evaluating(self.fusion, head, self.unimodal_heads),
            torch.autocast(device, enabled=False),
        ):
            contribution = self.contributions[task]
            if unimodal_logits is None and contribution.needs_unimodal_heads:
                unimodal_logits = {
                    m: h(detached[m]) for m, h in self.unimodal_heads.items()
                }
            return contribution(
                JointHead(
                    lambda f: head(self.fusion(f)),
                    head.output.bias,
                    unimodal_logits or {},
                ),
                detached,
            )

    def _domain_provider(self) -> BaseMethod | None:
        """Return the method that brings its own discriminators, if any."""
        return next((m for m in self.methods if m.has_domain_logits), None)

    # -- construction -----------------------------------------------------

    def _build_unimodal_heads(
        self, config: Config | None, widths: Mapping[str, int]
    ) -> ModuleDict:
        if config is None:
            return ModuleDict()
        by_modality = (
            dict.fromkeys(self.modalities, config)
            if 'type' in config
            else config
        )
        if set(by_modality) != set(self.modalities):
            raise ValueError(
                'model.unimodal_heads must be one config or name the '
                f'modalities {list(self.modalities)}, got {list(by_modality)}'
            )
        return ModuleDict(
            {
                m: _build(by_modality[m], in_channels=widths[m])
                for m in self.modalities
            }
        )

    def _build_methods(
        self, configs: Sequence[Config], widths: Mapping[str, int]
    ) -> ModuleList:
        return ModuleList(
            _build(
                config,
                in_channels=widths,
                num_classes=self.cls_head.num_classes,
            )
            for config in configs
        )

    def _build_contributions(
        self, config: Config | str | None
    ) -> dict[Task, BaseContribution]:
        """Build one contribution per head that the model has."""
        sides: dict[str, Any] = {'semantic': config, 'domain': config}
        is_split = False
        if isinstance(config, Mapping) and not {'type', 'method'} & set(
            config
        ):
            unknown = set(config) - set(sides)
            if unknown:
                raise ValueError(
                    'model.contribution must be a name, a config with a '
                    "type, or have the keys 'semantic' and 'domain', got "
                    f'{sorted(config)}'
                )
            sides = {side: config.get(side) for side in sides}
            is_split = True
        built = {}
        for task, side in (
            (Task.CLASSIFICATION, 'semantic'),
            (Task.DOMAIN, 'domain'),
        ):
            value = sides[side] or self.fusion.default_contribution
            if task is Task.DOMAIN and self.domain_head is None:
                if self._domain_provider() is None:
                    continue
                if not is_split or not sides[side]:
                    value = 'unimodal'
            built[task] = _build_contribution(value)
            check_contribution(self, task, built[task])
        return built

    def _collect_parameters(
        self, with_fusion: bool, with_heads: bool
    ) -> dict[str, list[nn.Parameter]]:
        """Group encoder parameters, and refuse groups that cannot work."""
        if with_heads and not self.unimodal_heads:
            raise ValueError(
                'model.unimodal_heads_in_modality=True needs '
                'model.unimodal_heads, got none; give one of both'
            )
        fusion = self.fusion.modality_parameters() if with_fusion else {}
        heads: Any = self.unimodal_heads if with_heads else {}
        groups = {
            m: [
                *e.parameters(),
                *fusion.get(m, []),
                *(heads[m].parameters() if m in heads else ()),
            ]
            for m, e in self.encoders.items()
        }
        owners: dict[int, str] = {}
        for modality, parameters in groups.items():
            if not any(p.requires_grad for p in parameters):
                raise ValueError(
                    f'model.encoders.{modality} must have a trainable '
                    'parameter, got none; lower its frozen_stages or drop '
                    'the modality'
                )
            for parameter in parameters:
                owner = owners.setdefault(id(parameter), modality)
                if owner != modality:
                    raise ValueError(
                        f'model.encoders.{owner} and .{modality} share a '
                        'parameter; give each its own backbone'
                    )
        return groups


def _build(config: Config, **defaults: Any) -> Any:
    return MODELS.build({**defaults, **config})


def _build_contribution(value: Config | str) -> BaseContribution:
    """Build from a short name, a class name or a config with either."""
    config = dict(method=value) if isinstance(value, str) else dict(value)
    name = config.pop('method', None) or config.pop('type')
    config['type'] = _CONTRIBUTIONS.get(name, name)
    contribution: BaseContribution = MODELS.build(config)
    return contribution


def _gather(data_samples: Iterable[ActionDataSample], field: str) -> Tensor:
    """Concatenate one label per sample."""
    return torch.cat([sample.get(field) for sample in data_samples])


def _add_terms(
    own: dict[str, Tensor], task: Task, named: Mapping[str, Tensor]
) -> None:
    twice = set(own) & set(named)
    if twice:
        raise ValueError(
            f'model.methods return two terms {loss_name(task, min(twice))!r}; '
            'leave one of the two methods out'
        )
    own.update(named)


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == labels).float().mean()
