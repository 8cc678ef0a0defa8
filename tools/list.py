"""List the scripts and configs of this package, and what there is of weights.

``mim run mmgmp list`` stands for ``mim run mmgmp -h``, which mim answers for
OpenMMLab's own packages only.
"""

from __future__ import annotations

import ast
from pathlib import Path

import yaml

TOOLS = Path(__file__).resolve().parent


def main() -> None:
    """Print one line per script, the configs by folder, and the weights."""
    print('mim run mmgmp SCRIPT [-h]:')
    for path in sorted(TOOLS.rglob('*.py')):
        if path.name.startswith('_'):
            continue
        text = ast.get_docstring(ast.parse(path.read_text('utf-8'))) or ''
        print(f'  {path.stem:<16}{text.splitlines()[0] if text else ""}')
    print('mim train mmgmp CONFIG --cfg-options protocol.target=...:')
    weights = []
    for metafile in sorted(TOOLS.parent.glob('configs/*/metafile.yml')):
        models = yaml.safe_load(metafile.read_text('utf-8'))['Models']
        print(f'  {metafile.parent.name}: {len(models)} configs, such as '
              f'{models[-1]["Name"]}')  # fmt: skip
        weights += [model['Name'] for model in models if 'Weights' in model]
    print(
        f'mim download mmgmp --config CONFIG: {", ".join(weights)}'
        if weights
        else 'mim download: no trained weights are published yet.'
    )


if __name__ == '__main__':
    main()
