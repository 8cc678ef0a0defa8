"""Which of a pipeline's steps a modality's maps depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmgmp.utils.feature_cache.identity import as_plain
from mmgmp.utils.feature_cache.manifest import differences

_FIRST, _LAST = 'MultiModalPipeline', 'PackMultiModalInputs'


def split_pipeline(
    transforms: Sequence[Mapping[str, Any]], where: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the two steps of a pipeline that a cache can stand for.

    Args:
        transforms: The pipeline.
        where: Its place in the config, for the message.

    Raises:
        ValueError: If it has other steps.
    """
    types = [step.get('type') for step in transforms]
    if types != [_FIRST, _LAST]:
        raise ValueError(
            f'{where} must be [{_FIRST}, {_LAST}] with protocol.cache, got '
            f'{types}; a cache holds what comes out of the first. Move other '
            'steps into its lists, or leave protocol.cache out'
        )
    return transforms[0], transforms[1]


def describe_pipeline(
    step: Mapping[str, Any], loads: Sequence[str]
) -> dict[str, Any]:
    """Collect what the input of each modality depends on.

    Sound that is cut to the sampled clip depends on what samples it, the
    first modality that is read.

    Args:
        step: Config of the ``MultiModalPipeline``.
        loads: Modalities that are read.

    Returns:
        By modality its ``steps``, and ``follows``: name and steps of what it
        is cut to, or None.

    Example:
        >>> step = dict(video=[dict(type='PyAVSeekInit')],
        ...             audio=[dict(type='LoadAudioSegment', crop='clip')])
        >>> found = describe_pipeline(step, ['video', 'audio'])
        >>> found['video']['follows'], found['audio']['follows']['modality']
        (None, 'video')
    """
    names = step.get('order') or [
        name for name in step if name not in ('type', 'order', '_scope_')
    ]
    read = [name for name in names if name in loads]
    described = {}
    for place, name in enumerate(read):
        follows = None
        if place and any(s.get('crop') == 'clip' for s in step[name]):
            first = read[0]
            follows = {'modality': first, 'steps': as_plain(step[first])}
        described[name] = {'steps': as_plain(step[name]), 'follows': follows}
    return described


def check_pipelines(
    known: Mapping[str, Any], wanted: Mapping[str, Any], names: Sequence[str]
) -> list[str]:
    """Say what hinders a cached part from standing for a pipeline.

    Args:
        known: Description of the cached one.
        wanted: Description of the config's.
        names: Modalities that the model looks at.

    Returns:
        One text per difference.
    """
    found = []
    for name in names:
        if name not in known:
            found.append(f'{name} is not in it, it has {list(known)}')
        else:
            found += differences(known[name], wanted[name], name)
    return found
