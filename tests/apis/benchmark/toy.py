"""A plan whose processes take no time: they copy what a training writes."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import torch

from mmgmp.apis.benchmark import Launch, Plan, load_plan

CONFIG = """
a = dict(b=0)
b = 0
alpha = 0
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
val_cfg = dict(type='ValLoop')
default_hooks = dict(checkpoint=dict(save_best='acc/top1'))
model = dict(encoders=dict(audio=dict()))
protocol = dict(
    domains=['h', 'a'], target='h', modalities=['audio'], num_classes=2
)
"""
PLAN = """
title: Toy
corpus: toys
synthetic: true
methods:
  ERM: erm.py
  GMP: gmp.py
targets: {H: h, A: a}
seeds: [0, 1]
compare_to: [ERM]
"""
# Stands in for the interpreter: the scripts' arguments, not their work.
TRAINER = """#!{python}
import json, os, pathlib, shutil, sys, time
script, config = sys.argv[2:4]
options = sys.argv[4:]
folder = pathlib.Path(options[options.index('--work-dir') + 1])
folder.mkdir(parents=True, exist_ok=True)
template = pathlib.Path(__file__).parent / 'template'
with open(template / 'calls', 'a') as calls:
    calls.write(f'{{time.time()}} start {{folder}}\\n')
slow = template / 'slow'
if slow.exists() and slow.read_text() in str(folder):
    (template / 'waiting').touch()
    while slow.exists():
        time.sleep(0.02)
fail = template / 'fail'
if fail.exists() and fail.read_text() in str(folder):
    print('the toy is broken')
    sys.exit(3)
run = folder / time.strftime('%Y%m%d_%H%M%S')
if script.endswith('train.py'):
    for path in template.glob('*.pth'):
        shutil.copy(path, folder / path.name)
    (run / 'vis_data').mkdir(parents=True, exist_ok=True)
    shutil.copy(template / 'scalars.json', run / 'vis_data')
else:
    run.mkdir(parents=True, exist_ok=True)
    value = 0.5 + 0.25 * ('GMP' in str(folder)) + 0.01 * ('H' in str(folder))
    text = json.dumps({{'acc/top1': value, 'time': 1}})
    (run / f'{{run.name}}.json').write_text(text)
    dump = options[options.index('--dump') + 1]
    for path in template.glob('*.pkl'):
        if path.stem in str(folder):
            shutil.copy(path, dump)
with open(template / 'calls', 'a') as calls:
    calls.write(f'{{time.time()}} end {{folder}}\\n')
"""


def save_checkpoint(path: Path, best: int, score: float) -> None:
    info = {'best_ckpt': f'/old/best_acc_top1_epoch_{best}.pth'}
    info['best_score'] = score
    torch.save({'message_hub': {'runtime_info': info}}, path)


def write_validation(run: Path, scores: dict[int, float]) -> None:
    (run / 'vis_data').mkdir(parents=True)
    lines = [
        json.dumps({'acc/top1': score, 'acc/top1_video': 0.1, 'step': step})
        for step, score in scores.items()
    ]
    text = '\n'.join(['{"loss": 1.0, "epoch": 1, "step": 3}', *lines])
    (run / 'vis_data/scalars.json').write_text(text + '\n{"cut of')


def make_toy(folder: Path, plan: str = PLAN) -> Path:
    """Write plan, configs and the stand-in for the interpreter."""
    folder.mkdir(exist_ok=True)
    for method in ('erm', 'gmp'):
        (folder / f'{method}.py').write_text(CONFIG)
    template = folder / 'template'
    write_validation(template, {1: 0.5, 2: 0.4})
    (template / 'vis_data/scalars.json').rename(template / 'scalars.json')
    for name in ('epoch_1', 'epoch_2', 'best_acc_top1_epoch_1'):
        save_checkpoint(template / f'{name}.pth', best=1, score=0.5)
    trainer = folder / 'python'
    trainer.write_text(TRAINER.format(python=sys.executable))
    trainer.chmod(trainer.stat().st_mode | stat.S_IXUSR)
    (folder / 'plan.yml').write_text(plan)
    return folder


def toy_plan(folder: Path, **kwargs: object) -> Plan:
    return load_plan(folder / 'plan.yml', folder / 'runs', **kwargs)


def toy_launch(folder: Path) -> Launch:
    return Launch(str(folder / 'python'))


def calls(folder: Path) -> list[str]:
    """Stages started so far: ``'GMP/H/seed-0'``, ``'GMP/H/seed-0/test'``."""
    file = folder / 'template/calls'
    lines = file.read_text().splitlines() if file.exists() else []
    return [
        line.split('runs/')[1] for line in lines if line.split()[1] == 'start'
    ]
