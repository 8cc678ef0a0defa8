"""Package definition of mmgmp.

Settings of the development tools are in ``pyproject.toml``.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_FOLDERS = ('configs', 'tools', 'data_prep', 'demo')
MIM_FILES = ('model-index.yml', 'dataset-index.yml')


def read_version() -> str:
    """Read the version without importing the package."""
    text = (ROOT / 'mmgmp' / 'version.py').read_text(encoding='utf-8')
    found = re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("mmgmp/version.py must hold __version__ = '...'")
    return found.group(1)


def read_readme() -> str:
    """Read the long description, empty in a tree without a README."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


class BuildPyWithMim(build_py):
    """Put what ``mim`` looks for into ``mmgmp/.mim``.

    That is configs, scripts and the two indices. In an editable install each
    config is one line that inherits from the file in the checkout, so that
    editing a config needs no second install.
    """

    def run(self) -> None:
        """Build the package, then add ``.mim`` beside its modules."""
        super().run()
        if self.editable_mode:
            install = self.get_finalized_command('install')
            root = Path(install.install_purelib)
        else:
            root = Path(self.build_lib)
        mim = root / 'mmgmp' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in MIM_FILES:
            shutil.copy2(ROOT / name, mim / name)
        for name in MIM_FOLDERS:
            shutil.copytree(
                ROOT / name,
                mim / name,
                ignore=shutil.ignore_patterns('__pycache__', '*.py[co]'),
            )
        for config in (mim / 'configs').rglob('*.py'):
            if '_base_' not in config.parts:
                # `mim train` looks for a file of the very name that it is
                # given, and `mim search` prints names without an ending.
                config.with_suffix('').touch()
        if self.editable_mode:
            for config in (mim / 'configs').rglob('*.py'):
                source = ROOT / config.relative_to(mim)
                line = f'_base_ = {source.as_posix()!r}\n'
                config.write_text(line, encoding='utf-8')


setup(
    name='mmgmp',
    version=read_version(),
    description='Audio-visual multimodal domain generalisation with '
    'gradient modulation and projection, for MMAction2',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    author='mmgmp contributors',
    license='Apache-2.0',
    keywords='domain generalisation, audio-visual, action recognition, '
    'multimodal learning, MMAction2',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['mmgmp', 'mmgmp.*']),
    # Named, even though it is the default: the editable install is then a
    # plain path entry, which mim and type checkers can follow.
    package_dir={'': '.'},
    package_data={
        'mmgmp': [
            'py.typed',
            'weights/*.pth',
            'apis/report/*.yml',
            'apis/report/templates/*.j2',
        ]
    },
    python_requires='>=3.10',
    # The lower ends are those of constraints/lowest.txt.
    install_requires=[
        # Before 2.6 a file could run code in spite of weights_only=True
        # (CVE-2025-32434).
        'torch>=2.6',
        # MMAction2 names MMEngine in its extra only, and forgets
        # importlib_metadata. MMCV is an extra here: mmcv and mmcv-lite own
        # the same folder, so a hard choice would break the other one.
        'mmengine>=0.10.7,<0.11',
        'mmaction2==1.2.0',
        'importlib_metadata>=6',
        'numpy>=1.26',
        'scipy>=1.11.2',
        'filelock>=3.13',
        # Feature caches.
        'safetensors>=0.4.3',
        'librosa>=0.10.2',
        'soundfile>=0.12.1',
        'av>=16',
        'pyyaml>=6.0.1',
        'jinja2>=3.1.2',
        'matplotlib>=3.8',
        'pandas>=2.2.1',
        'scikit-learn>=1.3.2',
        'rich>=13.5',
    ],
    extras_require={
        'lite': ['mmcv-lite>=2.1.0,<2.2.0'],
        'search': ['optuna>=4'],
        'slurm': ['submitit>=1.5'],
        # Backends of MMEngine's visualizer.
        'tensorboard': ['tensorboard'],
        'wandb': ['wandb'],
        'mim': ['openmim>=0.3.9', 'setuptools>=77.0.3,<82'],
        'tests': [
            'pytest>=7.4',
            'pytest-cov>=7',
            'pytest-xdist',
            'hypothesis',
            'optuna>=4',
            'submitit>=1.5',
        ],
        # Independent implementations that tests compare with.
        'oracle': ['torchjd[cagrad,quadprog_projector]>=0.18'],
        'docs': ['furo', 'myst-nb', 'sphinx>=8.2', 'sphinx-copybutton'],
        'dev': [
            'build',
            'codespell',
            'mypy',
            'pre-commit',
            'ruff',
            'setuptools>=77.0.3,<82',
            'wheel',
        ],
    },
    cmdclass={'build_py': BuildPyWithMim},
    zip_safe=False,
)
