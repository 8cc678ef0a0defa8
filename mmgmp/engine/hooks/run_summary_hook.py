"""Say in a few lines what a training is, before its first step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmgmp.registry import HOOKS


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Log what is trained, on what, how and where it is written down.

    The whole config is in ``<timestamp>/vis_data/config.py`` of the work
    directory, environment and hooks in the log file beside it; on the screen
    they would hide what a person checks before leaving a run alone.

    Example:
        >>> HOOKS.build(dict(type='RunSummaryHook')).priority
        'VERY_LOW'
    """

    # Behind the hooks that still change something before training.
    priority = 'VERY_LOW'

    def before_train(self, runner: Runner) -> None:
        """Log the summary.

        Args:
            runner: Runner, with all it needs to train.
        """
        runner.logger.info('\n  '.join(summarise(runner)))


def summarise(runner: Runner) -> Iterator[str]:
    """Describe a training in at most ten lines.

    Args:
        runner: Runner, with all it needs to train.

    Yields:
        The lines: name, corpus and domains, network, algorithm, optimizer,
        length, files.
    """
    model = runner.model
    model = model.module if is_model_wrapper(model) else model
    loader = runner.train_dataloader
    yield f'Training {runner.experiment_name}, seed {runner.seed}'
    yield _data(runner, loader.dataset)
    yield from _networks(model)
    yield _algorithm(runner, model)
    clips = len(loader.dataset)
    yield (
        f'{clips} clips in batches of {_batch_size(loader)}'
        f'{f" on {runner.world_size} ranks" if runner.distributed else ""}, '
        f'{len(loader)} steps per epoch, {runner.max_epochs} epochs'
    )
    yield f'log, scalars and config: {runner.log_dir}'


def run_title(runner: Runner) -> str:
    """Name a run in the title of a figure.

    Args:
        runner: Runner of the training.

    Returns:
        Config, corpus, whether it is rendered, unseen domain and seed, as
        far as they are known.
    """
    dataset = runner.train_dataloader.dataset
    meta = getattr(dataset, 'metainfo', None) or {}
    protocol = runner.cfg.get('protocol') or {}
    corpus = str(meta.get('corpus', ''))
    if getattr(dataset, 'is_synthetic', False):
        corpus += ' (SYNTHETIC)'
    target = protocol.get('target')
    if target and not isinstance(target, str):
        target = ', '.join(map(str, target))
    facts = [corpus, f'target {target}' if target else '']
    if protocol.get('in_domain'):
        facts.append('in domain')
    facts = [*filter(None, facts), f'seed {runner.seed}']
    name = runner.cfg.filename
    name = Path(name).stem if name else runner.experiment_name
    return f'{name}: {", ".join(facts)}'


def _data(runner: Runner, dataset: Any) -> str:
    meta = getattr(dataset, 'metainfo', {})
    protocol = runner.cfg.get('protocol') or {}
    sources = list(meta.get('domains', ()))
    line = f'{meta.get("corpus", "a corpus without a name")}: '
    line += f'{len(meta.get("classes", ()))} classes, trained on '
    line += ', '.join(map(str, sources)) or 'all domains'
    target = protocol.get('target')
    if protocol.get('in_domain'):
        return f'{line}; tested on other clips of them, no domain is unseen'
    if protocol.get('oracle'):
        return f'{line}; {target} is the target of an oracle'
    return line + (f'; {target} is not seen' if target else '')


def _networks(model: nn.Module) -> Iterator[str]:
    for name, encoder in getattr(model, 'encoders', {}).items():
        sizes = [(p.numel(), p.requires_grad) for p in encoder.parameters()]
        trained = sum(size for size, is_trained in sizes if is_trained)
        backbone = type(getattr(encoder, 'backbone', encoder)).__name__
        yield (
            f'{name}: {backbone}, {_size(trained)} of '
            f'{_size(sum(size for size, _ in sizes))} parameters trained'
        )


def _algorithm(runner: Runner, model: nn.Module) -> str:
    wrapper = runner.optim_wrapper
    parts = {
        'methods': ', '.join(
            type(method).__name__ for method in getattr(model, 'methods', ())
        ),
        'modulation': _type(getattr(wrapper, 'modulation', None)),
        'projection': _type(getattr(wrapper, 'projection', None)),
    }
    line = '; '.join(f'{name}: {part}' for name, part in parts.items() if part)
    optimizer = wrapper.optimizer
    group = optimizer.param_groups[0]
    return (
        f'{line or "plain losses"}; {type(optimizer).__name__}, '
        f'lr {group.get("initial_lr", group["lr"]):g}'
    )


def _type(part: Any) -> str:
    return '' if part is None else type(part).__name__


def _batch_size(loader: Any) -> Any:
    return getattr(loader, 'batch_size', None) or '?'


def _size(count: int) -> str:
    is_small = count < 1e5
    return f'{count / 1e3:.1f} k' if is_small else f'{count / 1e6:.1f} M'
