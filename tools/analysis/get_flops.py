"""Multiply-adds and parameters of a model, part by part.

    python tools/analysis/get_flops.py configs/gmp/gmp_mini-hac.py

counts one test clip of the config's corpus. Without the data name the shape
of each modality: ``--shape video=1,3,8,56,56 audio=1,129,157`` (views,
channels, frames, height, width; channels, frequencies, times). MMAction2's
script of this name gives a model one tensor, and this one has several.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.registry import DATASETS, MODELS
from mmgmp.utils.protocol import resolve_protocol

#: Parts that training alone uses are counted in parameters only.
_PARTS = ('fusion', 'cls_head', 'domain_head', 'methods')


class _OneCall(nn.Module):
    """A recognizer that takes one tensor after the other, not a dict."""

    def __init__(self, model: nn.Module, modalities: Sequence[str]) -> None:
        super().__init__()
        self.model, self.modalities = model, modalities

    def forward(self, *tensors: Tensor) -> Tensor:
        inputs = dict(zip(self.modalities, tensors, strict=True))
        return self.model(inputs, mode='tensor')


def read_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read ``MODALITY=1,3,8``."""
    name, _, numbers = text.partition('=')
    try:
        shape = tuple(int(number) for number in numbers.split(','))
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(
            f'must be MODALITY=sizes > 0, such as audio=1,129,157, got {text}'
        )
    return name, shape


def clip_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the first test clip, without the batch.

    Args:
        config: Config with its protocol written out.
    """
    sample = DATASETS.build(config.test_dataloader.dataset)[0]
    return {name: tuple(x.shape) for name, x in sample['inputs'].items()}


def count(
    model: nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, float | None, int, int]]:
    """Count part by part, and the sum.

    Args:
        model: The recognizer.
        shapes: Of one clip, by modality.

    Yields:
        Name, multiply-adds of a test clip (None if the part is not used in
        testing), parameters, and those of them that are trained.
    """
    names = list(model.encoders)
    tensors = tuple(torch.zeros(1, *shapes[name]) for name in names)
    analyzer = FlopAnalyzer(_OneCall(model.eval(), names), tensors)
    analyzer.unsupported_ops_warnings(False)
    analyzer.uncalled_modules_warnings(False)
    found = analyzer.by_module()
    parts = {f'encoders.{name}': model.encoders[name] for name in names}
    parts |= {name: getattr(model, name, None) for name in _PARTS}
    for name, part in [*parts.items(), ('', model)]:
        if part is None or (name == 'methods' and not len(part)):
            continue
        key = f'model.{name}'.rstrip('.')
        sizes = [(p.numel(), p.requires_grad) for p in part.parameters()]
        is_used = name not in ('domain_head', 'methods')
        yield (
            name or 'all',
            float(found[key]) if is_used else None,
            sum(size for size, _ in sizes),
            sum(size for size, is_trained in sizes if is_trained),
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Build, count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config')
    add('--shape', nargs='+', type=read_shape, metavar='MODALITY=SIZES')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    args = parser.parse_args(argv)
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    init_default_scope(config.get('default_scope', 'mmaction'))
    try:
        config = resolve_protocol(config)
        model = MODELS.build(config.model)
        shapes = dict(args.shape or ()) or clip_shapes(config)
    except (OSError, ValueError) as error:
        hint = '' if args.shape else '; or name the shapes with --shape'
        print(f'get_flops: {error}{hint}', file=sys.stderr)
        return 2
    if set(shapes) != set(model.encoders):
        print(
            f'get_flops: --shape must name {list(model.encoders)}, got '
            f'{list(shapes)}',
            file=sys.stderr,
        )
        return 2
    table = Table('part', 'multiply-adds', 'parameters', 'trained')
    for column in table.columns[1:]:
        column.justify = 'right'
    for name, flops, total, trained in count(model, shapes):
        shown = 'in training only' if flops is None else f'{flops / 1e6:.2f} M'
        sizes = (f'{size / 1e6:.3f} M' for size in (total, trained))
        if name == 'all':
            table.add_section()
        table.add_row(name, shown, *sizes)
    table.title = 'one clip: ' + ', '.join(
        f'{name} {"x".join(map(str, shape))}' for name, shape in shapes.items()
    )
    Console().print(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
