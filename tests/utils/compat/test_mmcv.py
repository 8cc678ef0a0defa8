from __future__ import annotations

import subprocess
import sys

import pytest

from mmgmp.utils.compat import require_mmcv


def test_an_installed_mmcv_is_enough() -> None:
    require_mmcv()


def test_a_missing_mmcv_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, 'mmcv', None)

    with pytest.raises(ModuleNotFoundError, match=r'mmgmp\[lite\]') as caught:
        require_mmcv()

    assert caught.value.name == 'mmcv'


def test_importing_the_package_without_mmcv_says_it_too() -> None:
    code = 'import sys; sys.modules["mmcv"] = None; import mmgmp'

    run = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )

    assert run.returncode == 1
    assert 'pip install "mmgmp[lite]"' in run.stderr.splitlines()[-1]
