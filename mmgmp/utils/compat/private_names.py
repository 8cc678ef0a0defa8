"""What MMEngine keeps to itself and this package needs all the same.

MMEngine 0.10.7 has no public way to any of it. Each function says why it is
needed, and has a test that fails where a release renames what it reads.
Where a class of ours extends a private method, the method and its arguments
are listed in ``EXTENDED``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Private methods that subclasses extend, with their arguments.
EXTENDED: Mapping[tuple[str, str, str], tuple[str, ...]] = {
    ('mmengine.hooks', 'CheckpointHook', '_save_checkpoint_with_step'): (
        'runner',
        'step',
        'meta',
    ),
    ('mmengine.hooks', 'CheckpointHook', '_save_best_checkpoint'): (
        'runner',
        'metrics',
    ),
    ('mmengine.dataset', 'BaseDataset', '_get_unserialized_subset'): (
        'indices',
    ),
    ('mmengine.dataset', 'BaseDataset', '_join_prefix'): (),
    ('mmengine.infer', 'BaseInferencer', '_init_model'): (
        'cfg',
        'weights',
        'device',
    ),
    ('mmengine.infer', 'BaseInferencer', '_load_weights_to_model'): (
        'model',
        'checkpoint',
        'cfg',
    ),
    ('mmengine.infer', 'BaseInferencer', '_init_pipeline'): ('cfg',),
    ('mmengine.infer', 'BaseInferencer', '_init_visualizer'): ('cfg',),
    ('mmengine.infer', 'BaseInferencer', '_inputs_to_list'): ('inputs',),
}


# -- runner -----------------------------------------------------------------


def is_resuming(runner: Any) -> bool:
    """Whether a runner goes on with a checkpoint, and not from its weights.

    Args:
        runner: MMEngine's runner.
    """
    return bool(runner._resume)


def named_checkpoint(runner: Any) -> str | None:
    """Return the checkpoint that a runner was told to load, if any.

    Hooks that look at it act before the runner has read it.

    Args:
        runner: MMEngine's runner.
    """
    path: str | None = runner._load_from
    return path


def has_built(runner: Any, mode: str) -> bool:
    """Whether a runner has built a loop: it does so when it is to run it.

    The public properties build it themselves.

    Args:
        runner: MMEngine's runner.
        mode: ``'train'``, ``'val'`` or ``'test'``.
    """
    loop = getattr(runner, f'_{mode}_loop')
    return loop is not None and not isinstance(loop, Mapping)


def update_val_interval(loop: Any) -> None:
    """Let a train loop look up how often it validates at this point.

    The loop itself does so only at the end of an epoch.

    Args:
        loop: MMEngine's train loop.
    """
    loop._decide_current_val_interval()


# -- optimizer wrapper ------------------------------------------------------


def count_batch(wrapper: Any) -> None:
    """Count a micro-batch, for ``should_update`` and the loss's scale.

    MMEngine counts in ``update_params``, which ours replaces.

    Args:
        wrapper: MMEngine's optimizer wrapper.
    """
    wrapper._inner_count += 1


def counted_batches(wrapper: Any) -> int:
    """Return the micro-batches that :func:`count_batch` has counted.

    Args:
        wrapper: MMEngine's optimizer wrapper.
    """
    return int(wrapper._inner_count)


def set_counted_batches(wrapper: Any, count: int) -> None:
    """Go on counting where a checkpoint has left off.

    Args:
        wrapper: MMEngine's optimizer wrapper.
        count: What :func:`counted_batches` returned.
    """
    wrapper._inner_count = count


def accumulative_counts(wrapper: Any) -> int:
    """Return the micro-batches that make one step.

    Args:
        wrapper: MMEngine's optimizer wrapper.
    """
    return int(wrapper._accumulative_counts)


# -- others -----------------------------------------------------------------


def swap_averaged(hook: Any, checkpoint: dict[str, Any]) -> None:
    """Exchange the trained and the averaged weights of a checkpoint.

    Args:
        hook: MMEngine's ``EMAHook``.
        checkpoint: With ``state_dict`` and ``ema_state_dict``.
    """
    hook._swap_ema_state_dict(checkpoint)


def fill_metainfo(dataset: Any, values: Mapping[str, Any]) -> None:
    """Add what a file says about a dataset, where its config says nothing.

    The public property is a copy.

    Args:
        dataset: MMEngine's dataset, while it loads.
        values: Metainfo of the file.
    """
    for key, value in values.items():
        dataset._metainfo.setdefault(key, value)


def chunks(inferencer: Any, items: Iterable[Any], size: int) -> Iterator[Any]:
    """Cut prepared inputs into lists, as MMEngine's inferencer does.

    Args:
        inferencer: MMEngine's inferencer.
        items: Inputs.
        size: Most items of a list.
    """
    return iter(inferencer._get_chunk_data(items, size))


def add_registry_location(registry: Any, module: str) -> None:
    """Let a registry import a module before its next look-up.

    MMEngine takes locations when a registry is made, and walks them once.

    Args:
        registry: MMEngine's registry.
        module: Full dotted name.
    """
    if module not in registry._locations:
        registry._locations.append(module)
        registry._imported = False
