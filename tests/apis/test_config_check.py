"""The check alone, and as a tool."""

from __future__ import annotations

import runpy

import pytest

from mmgmp.apis.config_check import check_config
from tests.shipped import GMP, ROOT, load

BATCH = 'train_dataloader.batch_size=14'


def tool(*arguments):
    script = runpy.run_path(str(ROOT / 'tools' / 'check_config.py'))
    return script['main']([str(GMP), *map(str, arguments)])


def errors(problems):
    return [p.rule for p in problems if p.severity == 'error']


def test_a_shipped_config_fits_its_corpus(mini_hac):
    assert errors(check_config(GMP, str(mini_hac))) == []


def test_what_the_config_allows_is_no_error(mini_hac):
    config = load()
    config.protocol = None
    config.test_dataloader.dataset.domains = ['animal']
    assert errors(check_config(config, str(mini_hac))) == [
        'target-among-sources'
    ]
    config.default_hooks.settings.allow_seen_target = True
    assert errors(check_config(config, str(mini_hac))) == []


def test_the_tool_prints_a_line_per_problem(mini_hac, capsys):
    wrong = ['protocol.num_classes=3', 'train_dataloader.batch_size=99']
    status = tool('--data-root', mini_hac, '--cfg-options', *wrong)
    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert [line.split(':')[0] for line in lines] == [
        'error [batch]',
        'error [num-classes]',
        '2 errors, 0 warnings',
    ]


@pytest.mark.parametrize(
    ('arguments', 'status'), [(['--cfg-options', BATCH], 0), ([], 1)]
)
def test_the_exit_status(arguments, status, mini_hac, tmp_path):
    root = tmp_path if status else mini_hac
    assert tool('--data-root', root, *arguments) == status


def test_a_config_that_cannot_be_read(tmp_path, capsys):
    script = runpy.run_path(str(ROOT / 'tools' / 'check_config.py'))
    assert script['main']([str(tmp_path / 'no.py')]) == 2
    assert 'no.py' in capsys.readouterr().err
