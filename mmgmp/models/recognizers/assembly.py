"""Build the parts of a recognizer that depend on each other's sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import ModuleDict, ModuleList
from torch.nn import Parameter

from mmgmp.models.contributions import BaseContribution
from mmgmp.models.recognizers.requirements import check_contribution
from mmgmp.models.recognizers.shares import SharedParts, domain_provider
from mmgmp.registry import MODELS
from mmgmp.structures import Task

Config = Mapping[str, Any]

_CONTRIBUTIONS = {
    'masked': 'MaskedContribution',
    'shapley': 'ShapleyContribution',
    'unimodal': 'UnimodalContribution',
}
_SIDES = {Task.CLASSIFICATION: 'semantic', Task.DOMAIN: 'domain'}


def build(config: Config, **defaults: Any) -> Any:
    """Build a part; what its config says goes before the defaults.

    Args:
        config: Config with a ``type``.
        **defaults: What the other parts imply, such as a width.
    """
    return MODELS.build({**defaults, **config})


def build_encoders(configs: Config) -> ModuleDict:
    """Build one encoder per modality, in the order of the configs.

    Args:
        configs: One config per modality.

    Returns:
        MMEngine's container: PyTorch's would hide ``init_weights`` of what
        it holds, and so its pretrained weights.

    Raises:
        ValueError: If there are none.
    """
    if not configs:
        raise ValueError(
            'model.encoders must name at least one modality, got none; '
            'for example dict(video=dict(...), audio=dict(...))'
        )
    return ModuleDict(
        {name: MODELS.build(dict(cfg)) for name, cfg in configs.items()}
    )


def build_unimodal_heads(
    config: Config | None, widths: Mapping[str, int]
) -> ModuleDict:
    """Build one classifier per modality.

    Args:
        config: One config for all, one by modality, or None for no heads.
        widths: Feature width D_m by modality.

    Raises:
        ValueError: If the configs do not name the modalities.
    """
    if config is None:
        return ModuleDict()
    by_modality = dict.fromkeys(widths, config) if 'type' in config else config
    if set(by_modality) != set(widths):
        raise ValueError(
            'model.unimodal_heads must be one config or name the '
            f'modalities {list(widths)}, got {list(by_modality)}'
        )
    return ModuleDict(
        {m: build(by_modality[m], in_channels=d) for m, d in widths.items()}
    )


def build_methods(
    configs: Sequence[Config],
    widths: Mapping[str, int],
    num_classes: int,
    encoders: Config,
    hidden_channels: int,
) -> ModuleList:
    """Build the MMDG methods.

    Args:
        configs: One config per method.
        widths: Feature width D_m by modality.
        num_classes: Number of classes K.
        encoders: Encoder configs, for methods that build some, too.
        hidden_channels: Width of what the classifier's last layer reads, for
            methods that read it, too.
    """
    sizes = {'in_channels': widths, 'num_classes': num_classes}
    on_demand = {'encoders': encoders, 'hidden_channels': hidden_channels}
    built = []
    for config in configs:
        kind = config['type']
        method = MODELS.get(kind) if isinstance(kind, str) else kind
        asked: Any = getattr(method, 'build_with', ())
        more = {key: on_demand[key] for key in on_demand if key in asked}
        built.append(build(config, **sizes, **more))
    return ModuleList(built)


def build_contributions(
    config: Config | str | None, model: SharedParts
) -> dict[Task, BaseContribution]:
    """Build one contribution per head that the model has.

    Args:
        config: As ``contribution`` of the recognizer.
        model: The model with fusion, heads and methods.

    Raises:
        ValueError: If a side is unknown, or a contribution has nothing to
            read.
    """
    by_side = _split_sides(config)
    built = {}
    for task, side in _SIDES.items():
        named = by_side.get(side, by_side.get('both'))
        if task is Task.DOMAIN and model.domain_head is None:
            if domain_provider(model.methods) is None:
                continue
            # A name for both sides means the joint heads, of which there is
            # none on this side.
            named = by_side.get(side) or 'unimodal'
        built[task] = _build_contribution(
            named or model.fusion.default_contribution
        )
        check_contribution(model, task, built[task])
    return built


def _split_sides(config: Config | str | None) -> dict[str, Any]:
    """Return the config by side, or under ``'both'``."""
    is_split = isinstance(config, Mapping) and not {'type', 'method'} & set(
        config
    )
    if not is_split:
        return {'both': config}
    assert isinstance(config, Mapping)
    if unknown := set(config) - set(_SIDES.values()):
        raise ValueError(
            'model.contribution must be a name, a config with a type, or '
            f"have the keys 'semantic' and 'domain', got {sorted(config)}; "
            f'{sorted(unknown)} is neither'
        )
    return dict(config)


def _build_contribution(value: Config | str) -> BaseContribution:
    """Build from a short name, a class name or a config with either."""
    config = dict(method=value) if isinstance(value, str) else dict(value)
    name = config.pop('method', None) or config.pop('type')
    config['type'] = _CONTRIBUTIONS.get(name, name)
    contribution: BaseContribution = MODELS.build(config)
    return contribution


def encoder_parameters(
    model: SharedParts, with_fusion: bool, with_heads: bool
) -> dict[str, list[Parameter]]:
    """Group what a gradient strategy acts on, by modality.

    Args:
        model: The model with encoders, fusion and heads.
        with_fusion: Whether a fusion layer that reads one modality's feature
            belongs to that modality.
        with_heads: Whether a unimodal head belongs to its modality.

    Returns:
        All parameters by modality, frozen ones included.

    Raises:
        ValueError: If there are no heads to add, a modality has nothing to
            train, or two share a parameter.
    """
    if with_heads and not model.unimodal_heads:
        raise ValueError(
            'model.unimodal_heads_in_modality=True needs '
            'model.unimodal_heads, got none; give one of both'
        )
    fusion = model.fusion.modality_parameters() if with_fusion else {}
    heads: Any = model.unimodal_heads if with_heads else {}
    groups = {
        m: [
            *e.parameters(),
            *fusion.get(m, []),
            *(heads[m].parameters() if m in heads else ()),
        ]
        for m, e in model.encoders.items()
    }
    _check_groups(groups)
    return groups


def _check_groups(groups: Mapping[str, Sequence[Parameter]]) -> None:
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
