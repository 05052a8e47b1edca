import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from mbv3zoo.convert import torch_file
from mbv3zoo.convert.inert_pickle import Record, Reference
from mbv3zoo.convert.torch_file import TorchFile, is_tensor

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
DTYPES += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


@pytest.fixture
def saved(tmp_path):
    """A file with one tensor of 1,000 numbers and what it holds."""
    path = tmp_path / 'a.pt'
    value = torch.arange(1000, dtype=torch.float32)
    torch.save({'a': value}, path)
    return path, value


def read(path, key='a'):
    with TorchFile(path) as file:
        return file.tensor(file.root[key])


def rewrite(path, change, compression=zipfile.ZIP_STORED):
    """Writes the zip again; `change` maps a dict of member name -> bytes to another."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, content in change(members).items():
            archive.writestr(name, content)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_tensors_of_all_types_come_back(dtype, tmp_path):
    value = (torch.arange(24).reshape(2, 3, 4) % 7).to(dtype)
    torch.save({'a': value}, tmp_path / 'a.pt')
    found = read(tmp_path / 'a.pt')
    assert found.dtype == dtype and torch.equal(found, value)


@pytest.mark.parametrize(
    'value',
    [
        torch.tensor(3.5),
        torch.empty(0),
        torch.empty(0, 4),
        torch.arange(12.0).reshape(3, 4).T,
        torch.arange(12.0)[3:9:2],
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        nn.Parameter(torch.ones(3)),
        nn.Parameter(torch.ones(3), requires_grad=False),
    ],
)
def test_views_scalars_empties_and_parameters_come_back(value, tmp_path):
    torch.save({'a': value}, tmp_path / 'a.pt')
    found = read(tmp_path / 'a.pt')
    assert found.shape == value.shape and torch.equal(found, value.detach())
    assert type(found) is torch.Tensor and not found.requires_grad


def test_a_parameter_with_attributes_comes_back(tmp_path):
    value = nn.Parameter(torch.arange(3.0))
    value.note = 'mine'
    torch.save({'a': value}, tmp_path / 'a.pt')
    assert torch.equal(read(tmp_path / 'a.pt'), value.detach())


def test_tensors_that_share_memory_come_back(tmp_path):
    value = torch.arange(10.0)
    torch.save([value[:5], value[5:]], tmp_path / 'a.pt')
    with TorchFile(tmp_path / 'a.pt') as file:
        assert torch.equal(torch.cat([file.tensor(record) for record in file.root]), value)


def test_the_rest_of_the_graph_is_a_description(tmp_path):
    import numpy

    value = {
        'size': torch.Size([1, 2]),
        'dtype': torch.float16,
        'device': torch.device('cpu'),
        'fitness': numpy.float64(0.5),
        'array': numpy.arange(3),
        'path': Path('a'),
        'module': nn.Linear(2, 3),
        'text': 'b',
    }
    torch.save(value, tmp_path / 'a.pt')
    with TorchFile(tmp_path / 'a.pt') as file:
        assert file.root['text'] == 'b'
        assert file.root['module'].class_name == 'torch.nn.modules.linear.Linear'
        assert [key for key, part in file.root.items() if is_tensor(part)] == []
        with pytest.raises(ValueError, match='multiarray.scalar is no tensor'):
            file.tensor(file.root['fitness'])


def test_only_what_is_asked_for_is_read(saved):
    path, value = saved
    torch.save({'a': value, 'b': torch.ones(5)}, path)
    rewrite(path, lambda members: {name: content for name, content in members.items() if name != 'a/data/1'})
    assert torch.equal(read(path), value)
    with pytest.raises(ValueError, match='data/1 is missing'):
        read(path, 'b')


def test_the_file_is_unchanged_and_the_tensor_is_ours(saved):
    path, _ = saved
    before = path.read_bytes()
    read(path).zero_()
    assert path.read_bytes() == before


def _storage(kind='torch.FloatStorage', key='0', length=1000):
    return (Reference(('storage', torch_file.Global(kind), key, 'cpu', length)),)


@pytest.mark.parametrize(
    ('offset', 'size', 'stride'),
    [
        (0, (1001,), (1,)),
        (1, (1000,), (1,)),
        (-1, (10,), (1,)),
        (0, (10,), (-1,)),
        (0, (-10,), (1,)),
        (0, (2, 2), (1, 999)),
        (2**62, (1,), (1,)),
        (0, (2**62, 4), (2**62, 1)),
        (0, (2**70,), (1,)),
        (0, (10,), (1, 1)),
        (0, (10.0,), (1,)),
        (True, (10,), (1,)),
        (0, [10], [1]),
        (0, 10, 1),
        (1001, (0,), (1,)),
        # The same number over and over: it fits, and its copy would fill the memory.
        (0, (10**12,), (0,)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(offset, size, stride, saved):
    with TorchFile(saved[0]) as file:
        record = Record('torch._utils._rebuild_tensor_v2', (*_storage(), offset, size, stride, False, None))
        with pytest.raises(ValueError, match='a tensor'):
            file.tensor(record)


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ((), 'no tensor that can be read'),
        (('x', 0, (1,), (1,)), 'names no storage'),
        ((Reference('x'), 0, (1,), (1,)), 'names no storage'),
        ((Reference(('storage', 'x', '0', 'cpu', 1000)), 0, (1,), (1,)), "stored as 'x'"),
        ((*_storage('torch.ComplexFloatStorage'), 0, (1,), (1,)), 'known are .*HalfStorage'),
        ((*_storage(key='1'), 0, (1,), (1,)), 'data/1 is missing'),
        ((*_storage(key='../data.pkl'), 0, (1,), (1,)), 'is missing'),
        ((*_storage(key=0), 0, (1,), (1,)), 'no name'),
        ((*_storage(length=999), 0, (1,), (1,)), '4000 bytes, and 999 numbers of 4 bytes'),
        ((*_storage(length=10**15), 0, (1,), (1,)), '4000 bytes'),
        ((*_storage(length=-1), 0, (1,), (1,)), '4000 bytes'),
        ((*_storage('torch.HalfStorage'), 0, (1,), (1,)), '4000 bytes'),
    ],
)
def test_a_storage_that_is_not_as_described_is_refused(args, message, saved):
    with TorchFile(saved[0]) as file, pytest.raises(ValueError, match=message):
        file.tensor(Record('torch._utils._rebuild_tensor_v2', args))


def test_one_storage_described_in_two_ways_is_refused(saved):
    with TorchFile(saved[0]) as file:
        file.tensor(file.root['a'])
        with pytest.raises(ValueError, match='two ways'):
            file.tensor(Record('torch._utils._rebuild_tensor_v2', (*_storage('torch.IntStorage'), 0, (1,), (1,))))


def test_the_same_bytes_cannot_be_asked_for_without_end(saved):
    with TorchFile(saved[0]) as file, pytest.raises(ValueError, match='larger than the file'):
        for _ in range(10):
            file.tensor(file.root['a'])


def test_a_compressed_member_is_refused(saved):
    path, _ = saved
    rewrite(path, lambda members: members, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match='compressed'):
        read(path)
    # Compressed numbers behind a plain description: 1 GiB in 1 MB.
    rewrite(path, lambda members: members)
    with zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a/data/7', bytes(2**24))
    with TorchFile(path) as file, pytest.raises(ValueError, match='compressed'):
        file.tensor(Record('torch._utils._rebuild_tensor_v2', (*_storage(key='7', length=2**22), 0, (1,), (1,))))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda members: members | {'a/data/0': bytes(3996)}, 'data/0 holds 3996 bytes'),
        (lambda members: members | {'a/data.pkl': b'no pickle'}, 'the pickle cannot be read'),
        (lambda members: members | {'a/byteorder': b'big'}, 'other byte order'),
        (lambda members: members | {'b/data.pkl': b'N.'}, 'not one of torch.save'),
        (lambda members: {'x.txt': b''}, 'not one of torch.save'),
        (lambda members: {'data.pkl': b'N.'}, 'not one of torch.save'),
        (lambda members: {}, 'another kind|not one of torch.save'),
        (lambda members: members | {'a/code/__torch__.py': b''}, 'TorchScript'),
        (lambda members: members | {'a/constants.pkl': b''}, 'TorchScript'),
    ],
)
def test_a_zip_that_is_not_as_torch_writes_it_is_refused(change, message, saved):
    path, _ = saved
    rewrite(path, change)
    with pytest.raises(ValueError, match=message):
        read(path)


def test_a_file_without_byte_order_is_read(saved):
    """As torch wrote them before 2.1."""
    path, value = saved
    rewrite(path, lambda members: {name: members[name] for name in ('a/data.pkl', 'a/data/0', 'a/version')})
    assert torch.equal(read(path), value)


def test_a_description_of_any_size_is_not_read(saved, monkeypatch):
    monkeypatch.setattr(torch_file, 'MAX_PICKLE_BYTES', 10)
    with pytest.raises(ValueError, match='has more than 10 bytes|at most 10 are read'):
        TorchFile(saved[0])


def test_cut_anywhere_it_is_refused(saved):
    path, _ = saved
    data = path.read_bytes()
    for length in {*range(0, 200), *range(200, len(data), 37), *range(len(data) - 100, len(data))}:
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match='a.pt'):
            read(path)


def test_a_changed_number_is_noticed(saved):
    path, value = saved
    data = path.read_bytes()
    at = data.index(value.numpy().tobytes())
    path.write_bytes(data[: at + 500] + bytes([data[at + 500] ^ 1]) + data[at + 501 :])
    with pytest.raises(ValueError, match='data/0 is damaged.*CRC'):
        read(path)


def test_with_any_byte_changed_it_is_read_or_refused(saved):
    path, value = saved
    data = path.read_bytes()
    start = data.index(value.numpy().tobytes())
    # The numbers themselves are left out: the test above is about them.
    for position in {*range(start), *range(start + 4000, len(data))}:
        for flipped in (0x01, 0x80, 0xFF):
            path.write_bytes(data[:position] + bytes([data[position] ^ flipped]) + data[position + 1 :])
            try:
                found = read(path)
            except ValueError:
                continue
            assert torch.equal(found, value)


def _safetensors():
    header = json.dumps({'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}).encode()
    return len(header).to_bytes(8, 'little') + header + bytes(4)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.pt', b'', 'an empty file'),
        ('a.pt', b'version https://git-lfs.github.com/spec/v1\noid sha256:00\n', 'git lfs pull'),
        ('a.pt', b'\n<!DOCTYPE html><html></html>', 'a web page'),
        ('a.pt', b'something else', 'a file of another kind'),
        ('a.safetensors', _safetensors(), 'a safetensors file'),
        ('a.pt', _safetensors(), 'a safetensors file'),
        ('a.onnx', b'\x08\x07\x12\x07pytorch', r'an exported model \(.onnx\)'),
    ],
)
def test_other_files_are_told_apart(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        TorchFile(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and 'expected a checkpoint' in str(caught.value)


def test_the_old_format_is_told_apart(tmp_path):
    path = tmp_path / 'a.pt'
    torch.save({'a': torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match='before 1.6; .*torch.save it again'):
        TorchFile(path)


def test_folders_and_missing_files_are_told_apart(tmp_path):
    with pytest.raises(ValueError, match='a folder; expected'):
        TorchFile(tmp_path)
    with pytest.raises(ValueError, match='No such file'):
        TorchFile(tmp_path / 'none.pt')


def test_a_list_of_parts_of_any_size_is_not_read(saved, monkeypatch):
    path, value = saved
    with zipfile.ZipFile(path, 'a') as archive:
        for number in range(100):
            archive.writestr(f'a/data/{number + 1}', b'')
    assert torch.equal(read(path), value)
    monkeypatch.setattr(torch_file, 'MAX_PICKLE_BYTES', 5000)
    with pytest.raises(ValueError, match='the list of its parts, has more than 5000 bytes'):
        TorchFile(path)
