from pathlib import Path

import pytest

from mbv3zoo.images.addresses import check_no_address, is_image_address
from mbv3zoo.images.sources import expand_source


@pytest.mark.parametrize(
    ('address', 'advice'),
    [
        ('https://host/a/b%20c.jpg?x=1', r"\(curl -LO 'https://host/a/b%20c.jpg\?x=1'\), then give b%20c.jpg$"),
        ('HTTP://host/a.PNG', "curl -LO 'HTTP://host/a.PNG'"),
        ('https://user:secret@host/a.jpg', r'^https://user:\*\*\*@host/a.jpg is an address'),
        ('https://host/', 'curl -LO'),
        ('http://[::1/a.jpg', 'is an address'),
        ('s3://bucket/a.jpg', r"aws s3 cp 's3://bucket/a.jpg' \."),
        ('gs://bucket/a.jpg', 'gcloud storage cp'),
        ('hf://datasets/x/a.jpg', 'hf download'),
        ('azure://x/a.jpg', 'any program that can'),
        ('file:///no/such%20place/a.jpg', 'give the path: /no/such place/a.jpg$'),
        (
            'data:image/png;base64,' + 'iVBO' * 9999,
            r'^data:image/png;base64,iVBO\S* is an image inside .*b64',
        ),
        ('C:\\pics\\a.jpg', r'a path of Windows, .* /mnt/c/pics/a.jpg$'),
    ],
)
def test_addresses_are_refused_in_a_sentence_that_says_what_to_do(address, advice):
    for source in (address, [address, 'b.jpg']):
        with pytest.raises(ValueError, match=advice) as error:
            expand_source(source)
        assert 'secret' not in str(error.value) and '\n' not in str(error.value)


def test_an_address_that_became_a_path_is_one_still():
    with pytest.raises(ValueError, match="curl -LO 'https://host/a.jpg'"):
        check_no_address(Path('https://host/a.jpg'))


@pytest.mark.parametrize('name', ['a.jpg', 'a: b.jpg', 'x:y.jpg', '/tmp/a.jpg', '0', 'C.jpg', 'no:/such'])
def test_names_of_files_are_no_addresses(name):
    check_no_address(name)
    assert not is_image_address(name)


def test_a_file_that_is_called_like_an_address_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'https:' / 'host').mkdir(parents=True)
    (tmp_path / 'https:' / 'host' / 'a.jpg').touch()
    assert expand_source('https://host/a.jpg') == (['https://host/a.jpg'], True)


@pytest.mark.parametrize(
    ('address', 'expected'),
    [
        ('https://host/a.jpg?width=300', True), ('data:image/gif;base64,AA', True), ('s3://bucket/a.PNG', True),
        ('rtsp://camera/stream', False), ('http://host/stream.mjpg', False), ('https://host/live.m3u8', False),
        ('https://host/clip.mp4?a=b.jpg', False), ('http://[::1/a.jpg', False),
    ],
)  # fmt: skip
def test_addresses_of_images_and_of_streams(address, expected):
    assert is_image_address(address) == expected
