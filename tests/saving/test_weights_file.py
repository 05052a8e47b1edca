"""Files of weights: written the same each time, and read with suspicion."""

import json

import pytest
import safetensors.torch
import torch

from mbv3zoo.saving.weights_file import (
    HEADER_LIMIT,
    NotTogether,
    read_metadata,
    read_weights,
    weights_bytes,
)
from mbv3zoo.utils.files import file_digest

WEIGHTS = 'model.safetensors'


def write_safetensors(path, header, data=b''):
    """A file with any header, a dict or bytes."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(header).to_bytes(8, 'little') + header + data)


def test_metadata_are_written_in_order_and_tensors_as_they_are(tmp_path):
    tensors = {'b': torch.arange(3), 'ä': torch.ones(2, 3).half(), 'empty': torch.empty(0, 3)}
    metadata = {str(number): 'value' for number in range(9)}
    for given in (metadata, {}):
        data = weights_bytes(tensors, given)
        assert data == weights_bytes(tensors, given) and int.from_bytes(data[:8], 'little') % 8 == 0
        path = tmp_path / WEIGHTS
        path.write_bytes(data)
        assert list(read_metadata(path)) == list(given)
        read = read_weights(path)
        assert read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_another_sha256_is_told_with_both_and_what_can_be_done(tmp_path):
    path = tmp_path / WEIGHTS
    path.write_bytes(weights_bytes({'a': torch.ones(2)}, {}))
    found = file_digest(path)
    assert read_weights(path, digest=found).keys() == {'a'}
    with pytest.raises(NotTogether) as caught:
        read_weights(path, 'Copy it again.', 'f' * 64, 'Or remove the entry.')
    for words in (str(path), 'not the file that was saved', found, 'f' * 64, 'Copy it again. Or remove the entry.'):
        assert words in str(caught.value)


def test_a_file_that_is_replaced_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = tmp_path / WEIGHTS
    old, new = (weights_bytes({'a': torch.full((size,), 1.0)}, {}) for size in (2, 3))
    path.write_bytes(old)
    load = safetensors.torch.load_file

    def load_late(name):
        (tmp_path / 'new').write_bytes(new)
        (tmp_path / 'new').replace(path)
        return load(name)

    monkeypatch.setattr(safetensors.torch, 'load_file', load_late)
    with pytest.raises(NotTogether, match='was replaced while it was read'):
        read_weights(path, digest=file_digest(path))


FLOATS = {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}


@pytest.mark.parametrize(
    ('header', 'data'),
    [
        (b'\xff' * 100, b''),
        pytest.param(b'[' * 100_000, b'', id='deep'),
        ({'a': {**FLOATS, 'dtype': 'X9'}}, b'1234'),
        ({'a': {**FLOATS, 'dtype': 'F6_E2M3', 'shape': [4], 'data_offsets': [0, 3]}}, b'123'),
        ({'a': {**FLOATS, 'dtype': '__import__("os")'}}, b'1234'),
        ({'a': {**FLOATS, 'shape': [-1]}}, b'1234'),
        ({'a': {**FLOATS, 'shape': [2**62, 16]}}, b'1234'),
        ({'a': {**FLOATS, 'data_offsets': [0, 2**50]}}, b'1234'),
        ({'a': {**FLOATS, 'data_offsets': [4, 0]}}, b'1234'),
        ({'a': FLOATS}, b'123'),
        ({'a': FLOATS}, b'12345'),
        ({'__metadata__': {'a': 1}}, b''),
        ({}, b'1'),
    ],
)
def test_weights_that_are_none(tmp_path, header, data):
    path = tmp_path / WEIGHTS
    write_safetensors(path, header, data)
    with pytest.raises(ValueError, match='is corrupt: it is not a safetensors file') as caught:
        read_weights(path, 'Do something.')
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith('Do something.')


@pytest.mark.parametrize('content', [b'', b'\xff' * 9, b'\0' * 7, b'PK\x03\x04' + b'\0' * 100])
def test_files_that_are_too_short_or_of_another_format(tmp_path, content):
    path = tmp_path / WEIGHTS
    path.write_bytes(content)
    with pytest.raises(ValueError, match='is corrupt: it is not a safetensors file'):
        read_weights(path)


def test_weights_that_were_cut_short(tmp_path):
    path = tmp_path / WEIGHTS
    path.write_bytes(weights_bytes({'a': torch.ones(2)}, {})[:-1])
    with pytest.raises(ValueError, match='is corrupt: it is not a safetensors file'):
        read_weights(path)


def test_a_huge_header_is_not_read(tmp_path):
    path = tmp_path / WEIGHTS
    with open(path, 'wb') as file:
        file.write((HEADER_LIMIT + 1).to_bytes(8, 'little'))
        file.truncate(2**40)
    with pytest.raises(ValueError, match=f'a header of {HEADER_LIMIT + 1} bytes, expected at most {HEADER_LIMIT}'):
        read_weights(path)
