"""Rename VGGSound's audio ResNet-18 to the names of MMAction2's ResNet.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmgmp.utils import draft_files
from mmgmp.utils.checkpoint_files import read_checkpoint

PREFIX = 'audnet.'
NUM_TENSORS = 122
CLASSIFIER = ('fc.weight', 'fc.bias')
RULES = (
    (r'^conv1\.weight$', r'conv1.conv.weight'),
    (r'^bn1\.(\w+)$', r'conv1.bn.\1'),
    (r'^(layer\d\.\d)\.conv(\d)\.weight$', r'\1.conv\2.conv.weight'),
    (r'^(layer\d\.\d)\.bn(\d)\.(\w+)$', r'\1.conv\2.bn.\3'),
    (r'^(layer\d\.\d)\.downsample\.0\.weight$', r'\1.downsample.conv.weight'),
    (r'^(layer\d\.\d)\.downsample\.1\.(\w+)$', r'\1.downsample.bn.\2'),
)
TAILS = ('weight', 'bias', 'running_mean', 'running_var')


def rename(name: str) -> str | None:
    """Turn a torchvision-style name into MMAction2's.

    Args:
        name: Name without ``audnet.``.

    Returns:
        The new name, ``None`` for one that a ResNet-18 does not have.

    Example:
        >>> rename('layer2.0.downsample.1.running_var')
        'layer2.0.downsample.bn.running_var'
    """
    for pattern, replacement in RULES:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    return None


def expected_names() -> Iterator[str]:
    """Name every tensor of the original network that is kept."""
    yield 'conv1.weight'
    norms = ['bn1']
    for layer in range(1, 5):
        for block in range(2):
            stem = f'layer{layer}.{block}'
            for number in (1, 2):
                yield f'{stem}.conv{number}.weight'
                norms.append(f'{stem}.bn{number}')
            if layer > 1 and block == 0:
                yield f'{stem}.downsample.0.weight'
                norms.append(f'{stem}.downsample.1')
    for norm in norms:
        for tail in (*TAILS, 'num_batches_tracked'):
            yield f'{norm}.{tail}'


def convert(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename all tensors but the classifier.

    Args:
        weights: ``model_state_dict`` of the original file.

    Returns:
        Tensors by the names of ``ResNet(depth=18, in_channels=1)``.

    Raises:
        ValueError: If the names are not those of the original network.
    """
    wanted = set(expected_names())
    names = {
        name.removeprefix('module.').removeprefix(PREFIX): name
        for name in weights
    }
    missing = sorted(wanted - set(names))
    unexpected = sorted(set(names) - wanted - set(CLASSIFIER))
    if missing or unexpected:
        raise ValueError(
            f'IN must hold the {NUM_TENSORS} tensors of VGGSound ResNet-18 '
            f'with average pooling, got {len(weights)}; missing {missing}, '
            f'unexpected {unexpected}; fetch the file that README.md names'
        )
    converted = {}
    for name in expected_names():
        new_name = rename(name)
        assert new_name is not None
        converted[new_name] = weights[names[name]]
    return converted


def read(path: Path) -> Mapping[str, Tensor]:
    """Read ``model_state_dict`` with PyTorch's restricted unpickler.

    Args:
        path: The file as downloaded.

    Returns:
        Tensors by name.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it is no whole checkpoint.
        ValueError: If the file does not hold them.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} is no file; fetch the file that README.md names'
        )
    content = read_checkpoint(path)
    if not isinstance(content, Mapping) or not isinstance(
        content.get('model_state_dict'), Mapping
    ):
        is_dict = isinstance(content, Mapping)
        found = list(content) if is_dict else type(content).__name__
        raise ValueError(
            f'{path} must hold a model_state_dict, got {found}; fetch the '
            'file that README.md names'
        )
    weights: Mapping[str, Tensor] = content['model_state_dict']
    return weights


def main(argv: Sequence[str] | None = None) -> int:
    """Convert one file.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if the file cannot be converted or written.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', type=Path, metavar='IN')
    parser.add_argument('target', type=Path, metavar='OUT')
    args = parser.parse_args(argv)
    try:
        weights = read(args.source)
        converted = convert(weights)
        with (
            draft_files(args.target) as [draft],
            draft.open('wb') as file,
        ):
            torch.save({'state_dict': converted}, file)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    dropped = len(weights) - len(converted)
    print(
        f'{args.target}: {len(converted)} tensors; {dropped} of the '
        f'classifier ({", ".join(CLASSIFIER)}) dropped'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
