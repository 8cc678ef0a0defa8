"""What mim needs beyond the wheel itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
METAFILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'configs').rglob('metafile.yml')
)


def test_the_index_lists_every_metafile() -> None:
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text('utf-8'))
    assert index['Import'] == METAFILES != []


@pytest.mark.parametrize('metafile', METAFILES)
def test_models_name_their_config(metafile: str) -> None:
    content = yaml.safe_load((ROOT / metafile).read_text('utf-8'))
    collections = {c['Name'] for c in content.get('Collections', [])}
    for model in content['Models']:
        config = Path(model['Config'])
        assert (ROOT / config).is_file(), config
        assert model['Name'] == config.stem.lower()
        assert model['In Collection'] in collections
