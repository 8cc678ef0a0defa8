"""``python -m mmgmp``: scripts and configs by their names."""

from __future__ import annotations

import pytest

from mmgmp import __main__ as entry
from tests.shipped import GMP, ROOT


def test_a_clone_runs_its_own_scripts():
    assert entry.root() == ROOT


@pytest.mark.parametrize(
    'name', ['mini_hac/render', 'data_prep/mini_hac/render.py']
)
def test_scripts_are_found_by_path(name):
    assert entry.find(ROOT, name) == ROOT / 'data_prep/mini_hac/render.py'


def test_every_script_has_one_name_and_says_what_it_does():
    found = list(entry.scripts(ROOT))
    names = [name for name, _, _ in found]
    assert len(set(names)) == len(names) > 15
    assert all(says for _, _, says in found)


def test_configs_and_plans_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert entry.locate(ROOT, 'gmp_mini-hac') == str(GMP)
    plan = ROOT / 'configs/plans/mini-hac_demo.yml'
    assert entry.locate(ROOT, 'mini-hac_demo') == str(plan)
    for word in ('--work-dir', 'nothing', 'a/gmp_mini-hac', 'metafile'):
        assert entry.locate(ROOT, word) == word
    (tmp_path / 'gmp_mini-hac').touch()
    assert entry.locate(ROOT, 'gmp_mini-hac') == 'gmp_mini-hac'


def test_an_unknown_script_is_named(capsys):
    assert entry.main(['rendr']) == 2
    assert "got 'rendr'" in capsys.readouterr().err


def test_the_exit_status_is_that_of_the_script(capfd):
    assert entry.main(['check_config']) == 2
    assert 'usage: check_config.py' in capfd.readouterr().err
