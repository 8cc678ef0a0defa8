"""Time and memory of one training step of the shipped configs."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from measure import in_process, interleaved, peak_memory
from mmaction.registry import DATASETS, LOOPS
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, Runner
from networks import NETWORKS, labels

from mmgmp.utils.protocol import resolve_protocol

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
_SETTING = '_mini-hac.py'
_REFERENCES = ('base/base', 'base/erm', 'gmp/gmp')
#: What the rows of a part are: configs for the mini-HAC, by glob pattern.
ROWS = {
    'strategies': (*_REFERENCES, 'gmp/ablations/pcgrad', 'balance/*'),
    'methods': (*_REFERENCES, 'mmdg/*', 'dg/*'),
}
# The first one's step is that of grad-blending, the copies are trained between
# epochs; the second needs the checkpoints of its teachers.
_LEFT_OUT = ('grad-blending-copies', 'umt')
_STEPS_PER_EPOCH = 28


@DATASETS.register_module()
class RandomClips(torch.utils.data.Dataset):
    """Noise in the shapes of the mini-HAC, so that no data are needed.

    Args:
        size: Number of clips.
        num_views: Random views of each.
    """

    def __init__(self, size: int, num_views: int = 1) -> None:
        self.size = size
        self.num_views = num_views

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        shapes = NETWORKS['SlowFast-18']['shapes']
        views = [
            {
                'video': torch.randint(
                    256, shapes['video'], dtype=torch.uint8
                ),
                'audio': torch.randn(shapes['audio']),
            }
            for _ in range(self.num_views)
        ]
        sample = labels(index)
        if self.num_views == 1:
            return dict(inputs=views[0], data_samples=sample)
        return dict(
            inputs={m: [view[m] for view in views] for m in views[0]},
            data_samples=[sample] * self.num_views,
        )


@LOOPS.register_module()
class StepwiseLoop(EpochBasedTrainLoop):
    """Go to the middle of the training and wait for :meth:`step`.

    Then warm-up is over everywhere and averaged teachers teach.
    """

    def run(self) -> torch.nn.Module:
        """Run what comes before an iteration, and read one batch."""
        self.runner.call_hook('before_train')
        self._epoch = self.max_epochs // 2
        self._iter = self._epoch * len(self.dataloader)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.batch = next(iter(self.dataloader))
        return self.runner.model

    def step(self) -> None:
        """Make one iteration, with what the hooks do in it."""
        self.run_iter(0, self.batch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()


def prepare(path: Path, device: str) -> Runner:
    """Return a runner in the middle of training, on random clips.

    Args:
        path: Config for the mini-HAC.
        device: ``'cpu'`` or ``'cuda'``.

    Raises:
        ValueError: If MMEngine trains on another device.
    """
    config = resolve_protocol(Config.fromfile(path))
    plan = config.model.get('forward_plan') or {}
    for part in ('train_dataloader', 'val_dataloader'):
        loader = config[part]
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset = dict(
            type='RandomClips',
            size=_STEPS_PER_EPOCH * loader.batch_size,
            num_views=plan.get('num_views', 1),
        )
    for hook in config.default_hooks.values():
        if hook and hook['type'] == 'PrototypeHook':
            # Random clips have no pipeline whose augmentation could be cut.
            hook['train_dataloader'] = config.train_dataloader
    config.train_cfg.type = 'StepwiseLoop'
    config.default_hooks.update(checkpoint=None, logger=None)
    config.update(log_level='ERROR', randomness=dict(seed=0))
    with tempfile.TemporaryDirectory() as folder:
        config.work_dir = folder
        runner = Runner.from_cfg(config)
        found = next(runner.model.parameters()).device.type
        if found != device:
            raise ValueError(
                f'--device must be {found!r}, on which MMEngine trains here, '
                f'got {device!r}; CUDA_VISIBLE_DEVICES= hides the GPUs'
            )
        runner.train()
    return runner


def configs(part: str) -> dict[str, Path]:
    """Return the configs of a part by the name of their row.

    Args:
        part: Key of :data:`ROWS`.
    """
    found: dict[str, Path] = {}
    for pattern in ROWS[part]:
        paths = CONFIGS.glob(f'{pattern}{_SETTING}')
        named = {path.stem.split('_')[0]: path for path in paths}
        found.update(sorted(named.items()))
    return {n: path for n, path in found.items() if n not in _LEFT_OUT}


def rows(part: str, rounds: int, device: str) -> list[dict[str, Any]]:
    """Measure a step of every config of a part against Base.

    Args:
        part: Key of :data:`ROWS`.
        rounds: Timed steps of each.
        device: ``'cpu'`` or ``'cuda'``.
    """
    paths = configs(part)
    # First, while this process is small.
    peaks = {
        name: in_process(__file__, str(path), device)['peak']
        for name, path in paths.items()
    }
    runners = {name: prepare(path, device) for name, path in paths.items()}
    ratios, seconds = interleaved(
        {name: runner.train_loop.step for name, runner in runners.items()},
        rounds,
        'base',
    )
    table = [
        {
            'config': name,
            'step / Base': ratios[name],
            'peak memory / Base': peaks[name] / peaks['base'],
            'Base seconds': seconds,
            'between epochs, not in the step': between_epochs(runner),
        }
        for name, runner in runners.items()
    ]
    # Runner, hooks and loops hold each other.
    runners.clear()
    gc.collect()
    return table


def between_epochs(runner: Runner) -> str:
    """Name the config's own hooks that act, but never in an iteration.

    Args:
        runner: Runner of the config.
    """
    return ', '.join(
        type(hook).__name__
        for hook in runner.hooks
        if type(hook).__module__.startswith('mmgmp.')
        and 'after_train_epoch' in hook.get_triggered_stages()
        and 'after_train_iter' not in hook.get_triggered_stages()
    )


def main(path: str, device: str) -> None:
    """Print the peak memory of three steps.

    Args:
        path: Config for the mini-HAC.
        device: ``'cpu'`` or ``'cuda'``.
    """
    loop = prepare(Path(path), device).train_loop
    for _ in range(3):
        loop.step()
    print(json.dumps({'peak': peak_memory(device)}))


if __name__ == '__main__':
    main(*sys.argv[1:])
