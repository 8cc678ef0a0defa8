from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest
from mmengine.registry import Registry

import mmgmp
from mmgmp import registry as rooms
from mmgmp.registry import add_location

BUILD_FROM_A_CONFIG = """
from mmengine.config import Config
from mmengine.registry import HOOKS, METRICS, MODELS, OPTIM_WRAPPERS
from mmengine.registry import DATASETS, DefaultScope, TRANSFORMS
Config.fromstring(
    "custom_imports=dict(imports=['mmgmp'], allow_failed_imports=False)",
    '.py')
DefaultScope.get_instance('test', scope_name='mmaction')
for registry, name in [
    (MODELS, 'AudioVisualRecognizer'),
    (MODELS, 'ConcatFusion'),
    (DATASETS, 'AudioVisualDataset'),
    (TRANSFORMS, 'PyAVSeekDecode'),
    (OPTIM_WRAPPERS, 'GMPOptimWrapper'),
]:
    with registry.switch_scope_and_registry(None) as found:
        assert found.get(name).__module__.startswith('mmgmp.'), name
from mmgmp.registry import MODULATIONS, PROJECTIONS
assert MODULATIONS.build(dict(type='DecoupledModulation')) is not None
assert PROJECTIONS.build(dict(type='TaskProjection')) is not None
"""

MMACTION2_FIRST = """
from mmaction.registry import HOOKS, OPTIM_WRAPPERS
assert HOOKS.get('VisualizationHook').__module__.startswith('mmaction.')
assert OPTIM_WRAPPERS.get('OptimWrapper') is not None
import mmgmp
assert OPTIM_WRAPPERS.get('GMPOptimWrapper').__module__.startswith('mmgmp.')
"""

LIGHT = """
import sys
import mmgmp
heavy = {'librosa', 'matplotlib.pyplot', 'sklearn', 'mmaction.models',
         'mmaction.datasets', 'mmengine.runner', 'mmgmp.models',
         'mmgmp.engine', 'mmgmp.datasets'} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    'code',
    [
        pytest.param(BUILD_FROM_A_CONFIG, id='custom-imports-is-enough'),
        pytest.param(MMACTION2_FIRST, id='mmaction2-used-before'),
        pytest.param(LIGHT, id='import-is-light'),
    ],
)
def test_in_a_fresh_interpreter(code: str) -> None:
    run = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_a_location_is_added_once() -> None:
    registry = Registry('toy', scope='mmaction', locations=[])

    add_location(registry, 'mmgmp.version')
    add_location(registry, 'mmgmp.version')

    assert registry._locations == ['mmgmp.version']


@pytest.mark.parametrize(
    'name', [name for name in rooms.__all__ if name.isupper()]
)
def test_every_registry_knows_the_rooms_of_its_classes(name: str) -> None:
    for module in pkgutil.walk_packages(mmgmp.__path__, 'mmgmp.'):
        import_module(module.name)
    registry = getattr(rooms, name)

    origins = {c.__module__ for c in registry.module_dict.values()}
    ours = {'.'.join(o.split('.')[:2]) for o in origins if 'mmgmp.' in o}

    assert ours <= set(registry._locations)
