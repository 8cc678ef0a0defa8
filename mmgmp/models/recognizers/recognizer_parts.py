"""What a recognizer is made of."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine.model import BaseModel, ModuleList
from torch import Tensor, nn

from mmgmp.models.recognizers.assembly import (
    build,
    build_contributions,
    build_encoders,
    build_methods,
    build_unimodal_heads,
    encoder_parameters,
)
from mmgmp.models.recognizers.requirements import (
    check_methods,
    check_missing,
    check_transforms,
    order_modalities,
)
from mmgmp.registry import MODELS
from mmgmp.structures import Teacher
from mmgmp.utils.modality_order import trained_order

Config = Mapping[str, Any]


class RecognizerParts(BaseModel):
    """Builds and checks the parts; a subclass says what is done with them.

    The arguments are those of :class:`AudioVisualRecognizer`. Parts are built
    in an order that checkpoints do not see but seeds do: each draws its
    random start where the one before has left off.
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
        # MMAction2 writes into the configs of SlowFast's pathways.
        untouched = copy.deepcopy(encoders)
        self._build_heads(
            encoders,
            fusion or dict(type='ConcatFusion'),
            cls_head,
            domain_head,
            unimodal_heads,
        )
        self._build_training(
            feature_transforms, methods, contribution, untouched
        )
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
        self._encoder_parameters = encoder_parameters(
            self, fusion_params_in_modality, unimodal_heads_in_modality
        )

    def _build_heads(
        self,
        encoders: Config,
        fusion: Config,
        cls_head: Config,
        domain_head: Config | None,
        unimodal_heads: Config | None,
    ) -> None:
        """The way from inputs to logits."""
        self.encoders: Any = build_encoders(encoders)
        self.modalities = tuple(self.encoders)
        self.fusion = build(fusion, in_channels=self._widths())
        width = self.fusion.out_channels
        self.cls_head = build(cls_head, in_channels=width)
        self.domain_head = (
            None
            if domain_head is None
            else build(domain_head, in_channels=width)
        )
        self.unimodal_heads: Any = build_unimodal_heads(
            unimodal_heads, self._widths()
        )

    def _build_training(
        self,
        feature_transforms: Sequence[Config],
        methods: Sequence[Config],
        contribution: Config | str | None,
        encoders: Config,
    ) -> None:
        """What acts on features and adds losses."""
        widths = self._widths()
        self.feature_transforms: Any = ModuleList(
            build(config, in_channels=widths) for config in feature_transforms
        )
        check_transforms(self.feature_transforms)
        self.methods: Any = build_methods(
            methods,
            widths,
            self.num_classes,
            encoders,
            self.cls_head.output.in_features,
        )
        self.contributions = build_contributions(contribution, self)

    def _widths(self) -> dict[str, int]:
        return {m: e.out_channels for m, e in self.encoders.items()}

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

    def check_inputs(
        self, inputs: Mapping[str, Tensor], skip: Iterable[str] = ()
    ) -> None:
        """Refuse inputs that lack a modality.

        Args:
            inputs: One batch per modality.
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
