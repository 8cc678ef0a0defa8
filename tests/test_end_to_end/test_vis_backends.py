"""What a run logs, in the backends of MMEngine's visualizer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmgmp.registry import RUNNERS
from tests.shipped import ROOT, load, small


def documented(backend: str) -> dict:
    """Read the lines of the page that configure a backend."""
    page = (ROOT / 'docs/stock_tools.md').read_text('utf-8')
    blocks = re.findall(r'^```python\n(.*?)^```', page, re.M | re.S)
    (block,) = (block for block in blocks if backend in block)
    found: dict = {}
    exec(block, found)
    return found['visualizer']


@pytest.mark.parametrize('name', ['tensorboard', 'wandb'])
def test_a_backend_has_an_extra_and_a_line(name):
    backends = documented(f'{name.capitalize()}VisBackend')['vis_backends']
    # The local one writes scalars.json.
    assert backends[0]['type'] == 'LocalVisBackend'
    assert f"'{name}': ['{name}']" in (ROOT / 'setup.py').read_text('utf-8')


def test_tensorboard_gets_what_is_logged(mini_hac, tmp_path):
    pytest.importorskip('tensorboard', reason='needs mmgmp[tensorboard]')
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    config = small(load(), mini_hac, tmp_path)
    config.merge_from_dict({'visualizer': documented('TensorboardVisBackend')})
    runner = RUNNERS.build(config)
    runner.train()
    for backend in runner.visualizer._vis_backends.values():
        backend.close()
    folder = Path(runner.log_dir) / 'vis_data'
    assert (folder / 'scalars.json').is_file()
    (events,) = folder.glob('events.out.tfevents*')
    found = EventAccumulator(str(events)).Reload()
    tags = found.Tags()['scalars']
    for tag in ('loss_cls', 'semantic_ratio_video', 'conflict_audio'):
        assert tag in tags
    assert [x.step for x in found.Scalars('loss_cls')] == [1, 2]


def test_weights_and_biases_gets_what_is_logged(
    mini_hac, tmp_path, monkeypatch
):
    pytest.importorskip('wandb', reason='needs mmgmp[wandb]')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('WANDB_SILENT', 'true')
    config = small(load(), mini_hac, tmp_path)
    config.merge_from_dict({'visualizer': documented('WandbVisBackend')})
    RUNNERS.build(config).train()
    (run,) = tmp_path.rglob('offline-run-*/*.wandb')
    written = run.read_bytes()
    for tag in ('loss_cls', 'semantic_ratio_video', 'conflict_audio'):
        assert tag.encode() in written, tag
