from __future__ import annotations

import multiprocessing
import os
import signal

import pytest

from mmgmp.utils.folder_lock import claim_folder, release_folder

FORK = multiprocessing.get_context('fork')


def hold(folder, sender):
    claim_folder(folder)
    worker = FORK.Process(target=signal.pause)
    worker.start()
    sender.send(worker.pid)
    signal.pause()


@pytest.fixture
def holder(tmp_path):
    """A process that has claimed a folder and has a child of its own."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=hold, args=(tmp_path, sender))
    process.start()
    child = receiver.recv()
    yield process
    process.kill()
    process.join()
    os.kill(child, signal.SIGKILL)


def test_a_claim_is_gone_with_its_process_but_not_before(holder, tmp_path):
    with pytest.raises(RuntimeError, match=f'process {holder.pid} on '):
        claim_folder(tmp_path)
    # Looking at it has not taken it away.
    with pytest.raises(RuntimeError, match='set another --work-dir'):
        claim_folder(tmp_path)
    holder.kill()
    holder.join()
    claim_folder(tmp_path)
    release_folder(tmp_path)


def test_a_process_may_claim_its_folder_again(tmp_path):
    claim_folder(tmp_path)
    claim_folder(tmp_path)
    assert f'process {os.getpid()} on' in (
        tmp_path / '.training.lock'
    ).read_text('utf-8')
    release_folder(tmp_path)
    release_folder(tmp_path)
