"""Feed mutated files to a reader: a right result or an error of ours.

A child process does the reading, so that a hang, a crash of a decoder and a
burst of memory are findings and not the end of the tests.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: Bound of what a reader may take on top of what is there, in bytes.
MEMORY = 2 << 30
#: Bound of the time for one file, in seconds.
SECONDS = 30


def number_of_files() -> int:
    """How many mutated files a test reads: 5,000 nightly, else 200."""
    is_nightly = os.environ.get('HYPOTHESIS_PROFILE') == 'nightly'
    return 5000 if is_nightly else 200


def mutations(
    originals: Mapping[str, bytes], count: int, seed: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Yield file names and damaged contents, the same ones for a seed.

    Bytes are flipped, set to 0x00 or 0xff, cut out, doubled or written over
    with a 32-bit number; a file is cut short or grows.
    """
    rng = np.random.default_rng(seed)
    names = sorted(originals)
    for number in range(count):
        name = names[number % len(names)]
        content = bytearray(originals[name])
        for _ in range(int(rng.integers(1, 5))):
            _mutate(content, rng)
        yield f'{number:05d}_{name}', bytes(content)


def _mutate(content: bytearray, rng: np.random.Generator) -> None:
    size = max(len(content), 1)
    # Headers decide most, so half of the damage is done there.
    reach = min(size, 512) if rng.random() < 0.5 else size
    at = int(rng.integers(reach))
    length = int(rng.integers(1, 64))
    number = int(rng.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1]))
    choice = int(rng.integers(7))
    if choice == 0:
        content[at : at + 1] = bytes([int(rng.integers(256))])
    elif choice == 1:
        content[at : at + length] = b'\xff' * length
    elif choice == 2:
        content[at : at + length] = b''
    elif choice == 3:
        content[at:at] = content[at : at + length]
    elif choice == 4:
        content[at : at + 4] = number.to_bytes(4, 'big')
    elif choice == 5:
        content[at : at + 4] = number.to_bytes(4, 'little')
    else:
        del content[at:]


def fuzz(
    read: Callable[[Path], Any],
    originals: Mapping[str, bytes],
    folder: Path,
    errors: tuple[type[Exception], ...] = (OSError, ValueError),
    check: Callable[[Any], bool] = lambda _: True,
) -> list[str]:
    """Read mutated files and list what must not happen.

    Args:
        read: Takes the path of a file.
        originals: Whole files by name; the suffix is kept.
        folder: Where the mutated files are written, one at a time.
        errors: What the reader may raise, with the name of the file in it.
        check: Whether a result is right.

    Returns:
        One line per finding, empty when all is well.
    """
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=_child, args=(read, originals, folder, errors, check, sender)
    )
    child.start()
    sender.close()
    findings: list[str] = []
    last = 'nothing'
    is_complete = False
    while receiver.poll(SECONDS + 30):
        try:
            kind, text = receiver.recv()
        except EOFError:
            break
        if kind == 'file':
            last = text
        elif kind == 'finding':
            findings.append(text)
        else:
            is_complete = True
            break
    if not is_complete:
        child.kill()
        findings.append(f'{last}: the reader crashed or did not come back')
    child.join()
    return findings


def _child(
    read: Callable[[Path], Any],
    originals: Mapping[str, bytes],
    folder: Path,
    errors: tuple[type[Exception], ...],
    check: Callable[[Any], bool],
    sender: Any,
) -> None:
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    bound = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    # A default action: also a decoder that never returns to Python is ended.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert threading.active_count() == 1
    for name, content in mutations(originals, number_of_files()):
        path = folder / name
        path.write_bytes(content)
        sender.send(('file', name))
        signal.alarm(SECONDS)
        try:
            if not check(read(path)):
                sender.send(('finding', f'{name}: a wrong result'))
            path.unlink()
        except errors as error:
            if name not in str(error):
                text = f'{name}: does not name the file: {error!r}'
                sender.send(('finding', text))
            path.unlink(missing_ok=True)
        except Exception as error:  # anything else is the finding
            sender.send(('finding', f'{name}: {error!r}'))
        signal.alarm(0)
    sender.send(('end', ''))
