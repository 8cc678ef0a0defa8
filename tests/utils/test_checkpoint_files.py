"""Files that rotted, and files that somebody made to do harm."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmgmp.utils import checkpoint_files, checkpoint_pickle
from mmgmp.utils.checkpoint_files import (
    check_checkpoint,
    is_intact,
    read_checkpoint,
)
from tests.fuzzing import fuzz

BINARY = dict(_use_new_zipfile_serialization=False)


def small_checkpoint():
    """A little of everything that a checkpoint of a training holds."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    return {
        'meta': {'epoch': 1, 'dataset_meta': {'classes': ('a', 'b')}},
        'state_dict': model.state_dict(),
        'optimizer': optimizer.state_dict(),
        'message_hub': {'log_scalars': OrderedDict(loss=history)},
    }


def rewrite(path, change=None, compression=zipfile.ZIP_STORED):
    """Write the records of a file anew, with right checksums."""
    with zipfile.ZipFile(path) as archive:
        records = {n: archive.read(n) for n in archive.namelist()}
    folder = next(iter(records)).partition('/')[0]
    for name, content in (change or {}).items():
        old = records.get(f'{folder}/{name}')
        if callable(content):
            content = content(old)
        records[f'{folder}/{name}'] = content
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def build(*parts):
    """A pickle of protocol 2 from its steps."""
    return b'\x80\x02' + b''.join(parts) + b'.'


def name(module, attribute):
    return f'c{module}\n{attribute}\n'.encode()


def text(value):
    data = value.encode()
    return b'X' + struct.pack('<I', len(data)) + data


def number(value):
    return pickle.dumps(value, 2)[2:-1]


def call(function, *arguments):
    return function + b'(' + b''.join(arguments) + b'tR'


def nested(depth):
    """A tuple that takes 2**depth steps to be hashed."""
    return b')' + b''.join(b'q\x00h\x00\x86' for _ in range(depth))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save({'weight': torch.ones(200)}, path)
    return path


@pytest.mark.parametrize('options', [{}, BINARY], ids=['zip', 'binary'])
@pytest.mark.parametrize(
    'content',
    [
        torch.zeros(0),
        torch.ones(4, 4, dtype=torch.bfloat16)[1:, ::2],
        torch.ones(1).expand(10),
        torch.nn.Parameter(torch.ones(2)),
        torch.nn.BatchNorm2d(3).state_dict(),
        Counter({1: 2}),
        {1, 'a'},
        np.arange(5.0),
        [3j, b'\xff', 2**40, -1, (1, (2,)), torch.Size([1]), torch.float32],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_checkpoints_hold_is_read(content, options, tmp_path):
    torch.save({'a': content}, tmp_path / 'a.pth', **options)
    check_checkpoint(tmp_path / 'a.pth')
    read = read_checkpoint(tmp_path / 'a.pth')['a']
    assert type(read) is type(content)
    assert str(read) == str(content)


def test_other_numbers_of_bits_are_read(tmp_path):
    content = torch.ones(3, dtype=torch.uint16)
    torch.save(content, tmp_path / 'a.pth')
    assert torch.equal(read_checkpoint(tmp_path / 'a.pth'), content)


def test_an_old_file_has_no_checksums_and_this_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        checkpoint_files, 'print_log', lambda text, **_: said.append(text)
    )
    torch.save({'a': torch.ones(2)}, tmp_path / 'a.pth', **BINARY)
    read_checkpoint(tmp_path / 'a.pth')
    assert 'damage to its numbers cannot be noticed' in said[0]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        read_checkpoint(tmp_path / 'none.pth')


def test_damage_anywhere_is_seen(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save({'weight': torch.rand(1000), 'meta': {'epoch': 1}}, path)
    data = path.read_bytes()
    assert is_intact(path)
    for start in range(0, len(data) - 100, 97):
        part = bytes(255 - byte for byte in data[start : start + 100])
        path.write_bytes(data[:start] + part + data[start + 100 :])
        assert not is_intact(path), start
    for length in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert not is_intact(path), length


def test_each_wrong_byte_is_seen_or_does_no_harm(tmp_path):
    """Headers have no checksum, and not every reader looks at all of them."""
    path = tmp_path / 'x.pth'
    torch.save([torch.arange(3.0), torch.arange(5.0)], path)
    data = path.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 255
        path.write_bytes(changed)
        try:
            read = read_checkpoint(path)
        except OSError:
            continue
        assert torch.equal(read[0], torch.arange(3.0)), place
        assert torch.equal(read[1], torch.arange(5.0)), place


@pytest.mark.parametrize(
    ('record', 'content', 'reason'),
    [
        ('byteorder', b'Little', 'Unknown endianness'),
        ('data.pkl', lambda old: old.replace(b'weight', b'\xff\xffight'), ''),
        ('data.pkl', lambda old: old[:-1], 'cannot be loaded|pickle'),
        ('data.pkl', lambda old: old + b'x', 'something behind its pickle'),
        ('constants.pkl', b'', 'TorchScript'),
        ('DATA.PKL', b'', 'more than one way'),
        ('data/0', b'12', 'has 2 of 800 bytes of tensor 0'),
    ],
)
def test_right_checksums_are_not_enough(record, content, reason, path):
    rewrite(path)
    assert is_intact(path)
    rewrite(path, {record: content})
    assert not is_intact(path)
    with pytest.raises(OSError, match=rf'a\.pth must be a whole.*({reason})'):
        read_checkpoint(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / 'bomb.pth'
    torch.save({'weight': torch.zeros(1 << 22)}, path)
    rewrite(path, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(OSError, match='is compressed'):
        read_checkpoint(path)


def test_one_record_under_many_names_is_refused(path):
    """Overlapping records: together they claim more than the file has."""
    rewrite(path, {f'data/{i}': b'x' * 999 for i in range(1, 9)})
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
        first = archive.getinfo('a/data/1').header_offset
    entry = start
    while data[entry : entry + 4] == b'PK\x01\x02':
        if struct.unpack_from('<I', data, entry + 24)[0] == 999:
            struct.pack_into('<II', data, entry + 20, 9999, 9999)
            struct.pack_into('<I', data, entry + 42, first)
        lengths = struct.unpack_from('<HHH', data, entry + 28)
        entry += 46 + sum(lengths)
    path.write_bytes(data)
    with pytest.raises(OSError, match=r'bytes and claims 8\d{4}'):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (build(call(name('os', 'system'), text('id'))), 'holds os.system'),
        (build(call(name('torch._utils', '_rebuild_qtensor'))), 'qtensor'),
        (build(call(name('builtins', 'bytearray'), number(1 << 40))), 'bytea'),
        (
            build(call(name('numpy', 'ndarray'), number(1 << 40))),
            'calls numpy.ndarray',
        ),
        (
            build(
                call(
                    name('numpy._core.multiarray', '_reconstruct'),
                    name('numpy', 'ndarray'),
                    number((1 << 40,)),
                    text('b'),
                )
            ),
            'asks for an array',
        ),
        (
            build(call(name('_codecs', 'encode'), text('a'), text('hex'))),
            'encodes as',
        ),
        (build(b'}', nested(60), b'Ns'), 'keys that are no names'),
        (
            build(
                call(name('builtins', 'set'), b'](', nested(60), b'e'),
            ),
            'builtins.set of what',
        ),
        (build(b'N0'), 'a step POP'),
        (build(b'N' * 999), 'more than 999 parts'),
        (build(name('torch', 'load'), b'}b'), 'holds torch.load'),
        (build(name('builtins', 'set'), b'}b'), 'changes what it has not'),
    ],
    ids=[
        'command', 'quantised', 'bytearray', 'array', 'reconstruct', 'hex',
        'keys', 'set', 'steps', 'length', 'load', 'class',
    ],
)  # fmt: skip
def test_a_pickle_that_asks_for_too_much_is_refused(
    content, reason, path, monkeypatch
):
    monkeypatch.setattr(checkpoint_pickle, 'MAX_STEPS', 999)
    rewrite(path, {'data.pkl': content})
    with pytest.raises(OSError, match=reason):
        read_checkpoint(path)


@pytest.mark.parametrize('options', [{}, BINARY], ids=['zip', 'binary'])
def test_numbers_of_items_are_compared_with_the_file(options, tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(torch.ones(200), path, **options)
    few, many = b'K\xc8', number(1 << 24)

    def first(old):
        """The length of the storage."""
        return old.replace(few, many, 1)

    def rest(old):
        """The shape of the tensor."""
        head, tail = old.split(few, 1)
        return head + few + tail.replace(few, many, 1)

    whole = path.read_bytes()
    for change in (first, rest):
        if options:
            path.write_bytes(change(whole))
        else:
            path.write_bytes(whole)
            rewrite(path, {'data.pkl': change})
        with pytest.raises(OSError, match='bytes of|larger than its 800 byt'):
            read_checkpoint(path)


@pytest.mark.parametrize('options', [{}, BINARY], ids=['zip', 'binary'])
def test_an_expanded_tensor_is_not_larger_than_the_file(options, tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(torch.ones(1).expand(1 << 40), path, **options)
    with pytest.raises(OSError, match='expands 4 bytes'):
        read_checkpoint(path)


def test_mutated_checkpoints_are_equal_or_named(tmp_path):
    content = io.BytesIO()
    torch.save(small_checkpoint(), content)
    whole = content.getvalue()
    (tmp_path / 'whole').write_bytes(whole)
    expected = repr(read_checkpoint(tmp_path / 'whole'))
    findings = fuzz(
        read_checkpoint,
        {'a.pth': whole},
        tmp_path,
        (OSError,),
        lambda read: _said(read) == _said_text(expected),
    )
    assert findings == []


def test_mutated_old_checkpoints_are_read_or_named(tmp_path):
    content = io.BytesIO()
    torch.save({'a': torch.ones(40), 'b': [1, 'x']}, content, **BINARY)
    findings = fuzz(
        read_checkpoint, {'old.pth': content.getvalue()}, tmp_path, (OSError,)
    )
    assert findings == []


def _said(read):
    return _said_text(repr(read))


def _said_text(shown):
    """Without addresses in memory."""
    return [part.partition(' at 0x')[0] for part in shown.split('<')]
