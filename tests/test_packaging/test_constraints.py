"""The oldest releases that are claimed are those that are tested."""

from __future__ import annotations

import ast

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.shipped import ROOT


def required() -> dict[str, Requirement]:
    """What ``setup.py`` asks for, with the extras that have lower ends."""
    tree = ast.parse((ROOT / 'setup.py').read_text('utf-8'))
    call = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == 'setup'
    )
    values = {k.arg: k.value for k in call.keywords}
    texts = ast.literal_eval(values['install_requires'])
    extras = ast.literal_eval(values['extras_require'])
    texts += extras['lite'] + extras['search'] + extras['slurm']
    found = map(Requirement, texts)
    return {canonicalize_name(r.name): r for r in found}


def constrained(name: str) -> dict[str, Requirement]:
    text = (ROOT / f'constraints/{name}.txt').read_text('utf-8')
    lines = [line for line in text.splitlines() if line.partition('#')[0]]
    found = map(Requirement, lines)
    return {canonicalize_name(r.name): r for r in found}


def test_the_lowest_constraints_are_the_lower_ends():
    lowest = constrained('lowest')
    for name, asked in required().items():
        ends = [s.version for s in asked.specifier if s.operator != '<']
        assert len(ends) == 1, f'{asked} has no lower end'
        (pin,) = lowest[name].specifier
        assert pin.operator == '=='
        release = [int(part) for part in pin.version.split('.')]
        end = [int(part) for part in ends[0].split('.')]
        assert release == end + [0] * (len(release) - len(end)), name


def test_no_tested_range_begins_below_what_is_asked_for():
    tested = constrained('tested')
    for name, asked in required().items():
        for part in tested[name].specifier if name in tested else ():
            if part.operator in ('==', '>='):
                assert asked.specifier.contains(part.version), name
