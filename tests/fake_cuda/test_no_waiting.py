"""No step waits for the device, and nothing is left on another one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mmgmp.registry import MODELS, MODULATIONS, PROJECTIONS
from tests.shipped import LEAVES, ROOT, load

HERE = Path(__file__).parent
_RUN = """
import ctypes, sys
ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)  # before PyTorch is there
from tests.fake_cuda import steps
getattr(steps, sys.argv[2])(*sys.argv[3:])
"""
#: After some fifty, PyTorch sometimes aborted over the memory of tensors that
#: have none.
_IN_A_PROCESS = 30
#: PyTorch's gradient scaler asks whether a step overflowed.
_ALLOWED = 'self._scaler.step('


def _case(name: str, **options: Any) -> dict[str, Any]:
    return {'config': str(ROOT / f'configs/{name}_mini-hac.py'), **options}


GMP = 'gmp/gmp'
MINI = {
    str(path.relative_to(ROOT / 'configs').with_suffix('')): path
    for path in LEAVES
    if path.stem.endswith('_mini-hac')
}
#: Everything at once; a mistake says where it is.
HARD: dict[str, Any] = dict(amp=True, ranks=2, built_on_cpu=True)
QUICK = {
    'gmp': _case(GMP),
    'gmp, hard': _case(GMP, **HARD),
    'gmp by feature': _case(GMP, options={'optim_wrapper.level': 'feature'}),
    'gmp on the update': _case(
        GMP, options={'optim_wrapper.acts_on': 'update'}
    ),
    'cmrf-gmp, hard': _case('mmdg/cmrf-gmp', **HARD),
    'opm': _case('balance/opm'),
}
FUSIONS = ('Concat', 'Sum', 'FiLM', 'Gated', 'Activation')
CONTRIBUTIONS = ('Masked', 'Shapley')
#: Those with factors per task or a projection.
BY_TASK = (
    'balance/balgrad',
    'gmp/ablations/cagp-only',
    'gmp/ablations/igdm-only',
    'gmp/ablations/pcgrad',
    'gmp/variant_u/gmp-u',
)
EVERY: dict[str, dict[str, Any]] = {
    **{name: {'config': str(path)} for name, path in MINI.items()},
    **{
        f'{name}, hard': {'config': str(path), **HARD}
        for name, path in MINI.items()
    },
    **{
        f'{name} on the update': _case(
            name, options={'optim_wrapper.acts_on': 'update'}, **HARD
        )
        for name in (*BY_TASK, 'balance/agm', 'balance/cggm', 'balance/ogm-ge')
    },
    **{
        f'{name} by feature': _case(
            name, options={'optim_wrapper.level': 'feature'}, **HARD
        )
        for name in BY_TASK[:-1]  # a method of gmp-u is refused
    },
    **{
        f'{fusion} by {contribution}': _case(
            GMP,
            options={
                'model.fusion': {'_delete_': True, 'type': f'{fusion}Fusion'},
                'model.contribution': {'type': f'{contribution}Contribution'},
            },
            **HARD,
        )
        for fusion in FUSIONS
        for contribution in CONTRIBUTIONS
    },
    'two modalities by Shapley': _case(
        GMP, options={'model.contribution': 'shapley'}
    ),
    'norms and shares': _case(
        GMP,
        options={
            'model.feature_transforms': [{'type': 'FeatureNorm'}],
            'model.contribution': {
                'semantic': {'type': 'UnimodalContribution'},
                'domain': 'masked',
            },
            'model.unimodal_heads': {
                'type': 'MLPClassifierHead',
                'num_classes': 7,
                'hidden_channels': 0,
            },
            'model.forward_plan': {
                'type': 'SinglePassPlan',
                'noise': {'type': 'DSU'},
            },
        },
        **HARD,
    ),
}
#: Kinds of parts of which each class is in some case.
ROOMS = (
    'contributions',
    'feature_transforms',
    'forward_plans',
    'fusion',
    'methods',
    'strategies',
)


@pytest.fixture(scope='module')
def guard(tmp_path_factory) -> Path:
    compiler = shutil.which('g++') or shutil.which('clang++')
    if compiler is None or sys.platform != 'linux':
        pytest.skip('needs Linux and a C++ compiler')
    home = Path(torch.__file__).parent
    target = tmp_path_factory.mktemp('guard') / 'guard.so'
    abi = int(torch.compiled_with_cxx11_abi())
    command = [
        compiler, '-shared', '-fPIC', '-std=c++20', '-O0',
        f'-D_GLIBCXX_USE_CXX11_ABI={abi}', str(HERE / 'guard.cpp'),
        f'-I{home}/include', f'-I{home}/include/torch/csrc/api/include',
        f'-L{home}/lib', '-lc10', '-ltorch_cpu', f'-Wl,-rpath,{home}/lib',
        '-o', str(target),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f'guard.cpp does not fit PyTorch: {done.stderr[-400:]}')
    return target


def call(guard: Path, *arguments: str | Path) -> None:
    subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', _RUN, guard, *arguments],
        check=True,
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )


def run_cases(guard: Path, cases: dict[str, Any], folder: Path) -> dict:
    """Run the cases, few in a process: a mistake in one can end it."""
    found = {}
    names = folder / 'cases.json'
    for start in range(0, len(cases), _IN_A_PROCESS):
        part = list(cases.items())[start : start + _IN_A_PROCESS]
        names.write_text(json.dumps(dict(part)))
        lines = folder / f'found_{start}.jsonl'
        call(guard, 'main', names, lines)
        found.update(map(json.loads, lines.read_text().splitlines()))
    assert set(found) == set(cases)
    return {
        name: bad
        for name, events in found.items()
        if (bad := [e for e in events if _ALLOWED not in e])
    }


def test_the_watch_sees(guard, tmp_path):
    call(guard, 'see_everything', tmp_path / 'seen.json')
    seen = json.loads((tmp_path / 'seen.json').read_text())
    assert [event.partition(' in ')[0] for event in seen] == [
        'a copy from cpu to cuda waits',
        'a copy from cuda to cpu waits',
        'a value is read',
        'aten::add.Tensor mixes devices',
        'aten::nonzero waits',
    ]


def test_no_step_waits(guard, tmp_path):
    assert run_cases(guard, QUICK, tmp_path) == {}


def test_every_part_is_in_a_case():
    import mmgmp.engine
    import mmgmp.models  # noqa: F401

    parts = {
        name
        for registry in (MODELS, MODULATIONS, PROJECTIONS)
        for name, kind in registry.module_dict.items()
        if kind.__module__.startswith('mmgmp.')
        and set(kind.__module__.split('.')) & set(ROOMS)
    }
    configs = {case['config'] for case in EVERY.values()}
    texts = [str(load(Path(config)).to_dict()) for config in configs]
    texts += [str(case.get('options')) for case in EVERY.values()]
    assert len(parts) > 30
    assert {p for p in parts if not any(f"'{p}'" in t for t in texts)} == set()


@pytest.fixture(scope='module')
def found_in_all(guard, tmp_path_factory) -> dict:
    return run_cases(guard, EVERY, tmp_path_factory.mktemp('all'))


@pytest.mark.slow
@pytest.mark.parametrize('name', EVERY)
def test_no_algorithm_waits(name, found_in_all):
    assert found_in_all.get(name, []) == []
