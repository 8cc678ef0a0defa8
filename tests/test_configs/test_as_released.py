"""What the methods' own codes set besides the method can be had."""

from __future__ import annotations

import re

import pytest
from mmengine.config import Config

from mmgmp.utils.protocol import resolve_protocol
from tests.shipped import ROOT

PAGE = (ROOT / 'docs' / 'decisions' / 'methods.md').read_text('utf-8')
(FILE,) = re.findall(r'^```python\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize('twin', ['', '-gmp'])
@pytest.mark.parametrize(
    ('method', 'epochs', 'decay'),
    [
        ('cmrf', 15, 1e-4),
        ('jat', 15, 0),
        ('mbcd', 20, 1e-4),
        ('nel', 15, 1e-4),
    ],
)
def test_a_leaf_takes_it(method, epochs, decay, twin, tmp_path):
    text = FILE.replace('nel_hac.py', f'nel{twin}_hac.py')
    if method != 'nel':
        text = text.replace('nel', method)
        text = re.sub('^param_scheduler.*', '', text, flags=re.MULTILINE)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    (tmp_path / 'file.py').write_text(text)
    config = resolve_protocol(Config.fromfile(tmp_path / 'file.py'))
    leaf = resolve_protocol(
        Config.fromfile(ROOT / f'configs/mmdg/{method}{twin}_hac.py')
    )
    assert config.train_cfg.max_epochs == epochs
    assert config.optim_wrapper.optimizer.get('weight_decay', 0) == decay
    assert config.model.cls_head.hidden_channels == 512
    rates = config.param_scheduler
    assert [r.T_max for r in rates] == ([15] if method == 'nel' else [])
    # All else is the leaf's.
    config.train_cfg.max_epochs = leaf.train_cfg.max_epochs
    config.optim_wrapper.optimizer.pop('weight_decay', None)
    config.model.cls_head.hidden_channels = 256
    assert config.model == leaf.model
    assert config.train_cfg == leaf.train_cfg
    assert config.optim_wrapper == leaf.optim_wrapper
