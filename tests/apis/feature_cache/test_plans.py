"""One cache for a whole plan."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mmgmp.apis.feature_cache import fill_for_cells
from mmgmp.utils.feature_cache import read_manifest
from tests.shipped import ROOT

from .cached_runs import METHODS, frozen_options


def test_the_widest_cell_is_filled(mini_hac, corpus, tmp_path):
    options = frozen_options(mini_hac, corpus)
    path = ROOT / 'configs' / METHODS['erm']
    cells = [
        (path, {**options, 'protocol.modalities': ['audio']}),
        (path, {**options, 'protocol.target': 'cartoon'}),
    ]
    fill_for_cells(cells, tmp_path, views=1)
    assert list(read_manifest(tmp_path).encoders) == ['video', 'audio']
    wrong = {**options, 'model.encoders.audio.frozen_stages': -1}
    with pytest.raises(ValueError, match=r'erm_mini-hac.*audio.frozen_stages'):
        fill_for_cells([*cells, (path, wrong)], tmp_path, views=1)
    wrong['protocol.cache'] = None  # it reads files
    fill_for_cells([*cells, (path, wrong)], tmp_path, views=1)


@pytest.mark.slow
def test_a_plan_fills_it_and_all_cells_share_it(mini_hac, corpus, tmp_path):
    plan = {
        'title': 'Two cells',
        'corpus': 'mini-HAC',
        'synthetic': True,
        'methods': {
            name: str(ROOT / 'configs' / METHODS[name])
            for name in ('erm', 'gmp')
        },
        'targets': {'H': 'human'},
        'seeds': [0],
        'overrides': frozen_options(mini_hac, corpus),
    }
    (tmp_path / 'plan.json').write_text(json.dumps(plan))
    done = subprocess.run(
        [
            sys.executable,
            ROOT / 'tools/run_benchmark.py',
            tmp_path / 'plan.json',
            '--work-dir',
            tmp_path / 'runs',
            '--cache',
            tmp_path / 'cache',
            '--cache-views',
            '2',
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_manifest(tmp_path / 'cache').parts['train'].views == 2
    for name in ('erm', 'gmp'):
        folder = tmp_path / f'runs/{name}/H/seed-0'
        written = list(folder.rglob(f'{name}_mini-hac.py'))
        assert written
        assert all('CachedViews' in path.read_text() for path in written)
