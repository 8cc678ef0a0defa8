"""What a checkpoint says about files, and who may write them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal

import pytest
import torch

from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.config_data import CONFIG_KEY, config_from_text
from mmgmp.utils.folder_lock import claim_folder

from .toy_run import run, toy_config

FORK = multiprocessing.get_context('fork')
HOOKS = {
    'default_hooks.checkpoint': dict(
        type='SafeCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='seen',
        rule='greater',
    )
}


def edit(path, **changes):
    """Let a checkpoint say something else."""
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['message_hub']['runtime_info'].update(changes)
    torch.save(checkpoint, path)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    run(folder, 1, **HOOKS)
    return folder


def test_a_checkpoint_holds_its_config_as_data(trained, tmp_path):
    meta = read_checkpoint(trained / 'epoch_1.pth')['meta']
    config = toy_config(trained, 1, **HOOKS).to_dict()
    stored = config_from_text(meta[CONFIG_KEY])
    for key in ('model', 'train_dataloader', 'default_hooks'):
        assert stored[key] == config[key]


def test_a_config_that_is_no_data_is_left_out(tmp_path):
    run(tmp_path, 1, **HOOKS, some_slice=slice(3))
    meta = read_checkpoint(tmp_path / 'epoch_1.pth')['meta']
    assert CONFIG_KEY not in meta
    assert 'cfg' in meta


@pytest.mark.parametrize('is_folder', [False, True])
def test_nothing_elsewhere_is_deleted(trained, tmp_path, is_folder):
    """MMEngine deletes the best checkpoint so far, wherever it is said."""
    folder, mine = tmp_path / 'run', tmp_path / 'best_thesis'
    shutil.copytree(trained, folder)
    mine.mkdir() if is_folder else mine.write_text('mine')
    last = folder / 'epoch_1.pth'
    (folder / 'last_checkpoint').write_text(str(last))
    edit(last, best_ckpt=str(mine), best_score=-1.0)
    run(folder, 2, resume=True, **HOOKS)
    assert mine.exists()
    assert (folder / 'best_seen_epoch_2.pth').is_file()


def test_strange_notes_in_a_checkpoint_are_passed_over(trained, tmp_path):
    folder = tmp_path / 'run'
    shutil.copytree(trained, folder)
    last = folder / 'epoch_1.pth'
    (folder / 'last_checkpoint').write_text(str(last))
    edit(
        last,
        best_ckpt=['x'],
        last_ckpt='https://example.com/..',
        keep_ckpt_ids=['../../x', '../../y', 1, 'z'],
    )
    run(folder, 2, resume=True, **HOOKS)
    assert (folder / 'epoch_2.pth').is_file()


def hold(folder, sender):
    claim_folder(folder)
    sender.send(os.getpid())
    signal.pause()


def test_a_second_training_in_a_folder_is_refused(tmp_path):
    receiver, sender = FORK.Pipe(duplex=False)
    first = FORK.Process(target=hold, args=(tmp_path, sender))
    first.start()
    try:
        pid = receiver.recv()
        with pytest.raises(RuntimeError, match=f'process {pid} on .* is trai'):
            run(tmp_path, 1, **HOOKS)
        assert not list(tmp_path.glob('*.pth'))
    finally:
        first.kill()
        first.join()
    run(tmp_path, 1, **HOOKS)
    assert (tmp_path / 'epoch_1.pth').is_file()
