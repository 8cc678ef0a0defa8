"""Store a pretrained encoder as the package ships it: float16, alone.

python data_prep/mini_hac/export_weights.py CHECKPOINT video OUT.pth
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from mmgmp.models.encoders.pretrained import read_weights
from mmgmp.utils import draft_files


def main(argv: Sequence[str] | None = None) -> None:
    """Write one encoder's backbone and print the file's SHA-256.

    Args:
        argv: Command line; ``None`` takes the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', help='of configs/pretrain')
    parser.add_argument('modality', help='which encoder')
    parser.add_argument('out', type=Path, help='file to write')
    args = parser.parse_args(argv)
    prefix = f'encoders.{args.modality}.backbone.'
    weights = {
        name: value.half() if value.is_floating_point() else value
        for name, value in read_weights(args.checkpoint, prefix).items()
    }
    with draft_files(args.out) as [draft]:
        torch.save(weights, draft)
    print(hashlib.sha256(args.out.read_bytes()).hexdigest(), args.out)


if __name__ == '__main__':
    main()
