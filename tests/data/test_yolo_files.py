import unicodedata
from pathlib import Path

import pytest

from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.yolo_files import YoloFiles

ROW = '0 .5 .5 1 1\n'
NFC, NFD = (unicodedata.normalize(form, 'Käfer') for form in ('NFC', 'NFD'))


def make(root, *names, text=ROW):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding='utf-8')


def matched(root, *sources):
    """Picture -> label file, as names below the root, and the problems."""
    problems = LabelProblems('data.yaml')
    files = YoloFiles(root, root / 'data.yaml', problems)
    found = {path: files.label_file(path) for path in files.pictures(list(sources))}
    pairs = {Path(path): file and Path(file) for path, file in found.items()}
    files.report_unused()
    names = {
        path.relative_to(root).as_posix(): label and label.relative_to(root).as_posix() for path, label in pairs.items()
    }
    return names, [line.replace(f'{root}/', '') for line in problems.lines]


@pytest.mark.parametrize(
    ('picture', 'label'),
    [
        (f'{NFD}.jpg', f'{NFC}.txt'),
        (f'{NFC}.jpg', f'{NFD}.txt'),
        (f'{NFD}/a.jpg', f'{NFC}/a.txt'),
        ('a.jpg', 'a.TXT'),
        ('a.JPG', 'a.Txt'),
        ('a.b.jpg', 'a.b.txt'),
        ('a b.jpeg', 'a b.txt'),
        ('한국어.webp', unicodedata.normalize('NFD', '한국어') + '.TXT'),
        ('\U0001f469\u200d\U0001f680.png', '\U0001f469\u200d\U0001f680.txt'),
    ],
)
def test_names_match_in_any_unicode_form_and_case_of_suffix(tmp_path, picture, label):
    make(tmp_path, f'images/{picture}', f'labels/{label}')
    assert matched(tmp_path, 'images') == ({f'images/{picture}': f'labels/{label}'}, [])


@pytest.mark.parametrize('written', [NFC, NFD])
@pytest.mark.parametrize('stored', [NFC, NFD])
def test_lists_and_folders_match_in_any_unicode_form(tmp_path, stored, written):
    make(tmp_path, f'{stored}/images/{stored}.JPG', f'{stored}/labels/{stored}.txt')
    expected = {f'{stored}/images/{stored}.JPG': f'{stored}/labels/{stored}.txt'}, []
    make(tmp_path, f'{stored}.txt', text=f'{written}/images/{written}.jpg\n')
    assert matched(tmp_path, f'{written}.txt') == matched(tmp_path, f'{written}/images') == expected


def test_labels_without_a_picture_are_named(tmp_path):
    make(tmp_path, 'images/train/a.jpg', 'labels/train/a.txt', 'labels/train/b.txt', 'labels/train/deep/c.TXT')
    make(tmp_path, 'images/val/d.jpg', 'labels/val/d.txt', 'labels/val/e.txt')
    problem = 'there is no picture of that name; not used'
    problems = matched(tmp_path, 'images/train')[1]
    assert problems == [f'labels/train/b.txt: {problem}', f'labels/train/deep/c.TXT: {problem}']
    assert len(matched(tmp_path, 'images/train', 'images/val')[1]) == 3


def test_texts_that_are_no_labels_are_left_alone(tmp_path):
    make(tmp_path, 'images/a.jpg', 'labels/a.txt')
    make(tmp_path, 'labels/classes.txt', text='cat\ndog\n')
    make(tmp_path, 'labels/train.txt', text='images/a.jpg\n')
    make(tmp_path, 'labels/empty.txt', 'labels/numbers.txt', text='')
    make(tmp_path, 'labels/numbers.txt', text='1 2 3\n')
    make(tmp_path, 'labels/.ipynb_checkpoints/b-checkpoint.txt', 'labels/._a.txt')
    assert matched(tmp_path, 'images') == ({'images/a.jpg': 'labels/a.txt'}, [])


def test_a_list_names_a_part_so_other_labels_are_not_missed(tmp_path):
    make(tmp_path, 'images/a.jpg', 'images/b.jpg', 'labels/a.txt', 'labels/b.txt')
    make(tmp_path, 'train.txt', text='images/a.jpg\n')
    assert matched(tmp_path, 'train.txt') == ({'images/a.jpg': 'labels/a.txt'}, [])


def test_two_pictures_of_one_label_file_are_told(tmp_path):
    make(tmp_path, 'images/a.jpg', 'images/a.png', 'labels/a.txt')
    pairs, problems = matched(tmp_path, 'images')
    assert pairs == {'images/a.jpg': 'labels/a.txt', 'images/a.png': 'labels/a.txt'}
    said = 'is the label file of both images/a.jpg and images/a.png; its boxes are used for both'
    assert problems == [f'labels/a.txt: {said}']


def test_pictures_in_linked_folders_are_taken_with_their_labels(tmp_path):
    make(tmp_path / 'set', 'images/train/a.jpg', 'labels/train/a.txt')
    make(tmp_path / 'set', 'far/images/b.jpg', 'far/labels/b.txt', 'more/c.jpg', 'more/labels/c.txt')
    for link, target in (('images/train/far', '../../far/images'), ('images/train/more', '../../more')):
        (tmp_path / 'set' / link).symlink_to(target)
    (tmp_path / 'set/labels/train/more').symlink_to('../../more/labels')
    (tmp_path / 'set/images/train/loop').symlink_to('..')
    assert matched(tmp_path / 'set', 'images/train') == (
        {
            'images/train/a.jpg': 'labels/train/a.txt',
            # Labels are looked for beside the link, then beside the folder itself.
            'images/train/far/b.jpg': 'far/labels/b.txt',
            'images/train/more/c.jpg': 'labels/train/more/c.txt',
        },
        [],
    )


def test_hidden_pictures_are_no_background(tmp_path):
    make(tmp_path, 'images/a.jpg', 'labels/a.txt', 'images/._a.jpg', 'images/.ipynb_checkpoints/a-checkpoint.jpg')
    assert matched(tmp_path, 'images') == ({'images/a.jpg': 'labels/a.txt'}, [])


def test_a_picture_that_is_listed_twice_is_taken_once(tmp_path):
    make(tmp_path, 'images/a.jpg', 'labels/a.txt')
    make(tmp_path, 'train.txt', text='images/a.jpg\n./images/a.jpg\nimages/../images/a.jpg\n')
    pairs, problems = matched(tmp_path, 'train.txt', 'images')
    assert list(pairs) == ['images/a.jpg'] and len(problems) == 3
    assert all(problem.endswith('is listed more than once; taken once') for problem in problems)


@pytest.mark.parametrize('text', ['\ufeffimages/a.jpg', '\ufeff\nimages/a.jpg\r\n\r\n', 'images\\a.JPG\r'])
def test_a_list_from_windows(tmp_path, text):
    make(tmp_path, 'images/a.jpg', 'labels/a.txt')
    (tmp_path / 'TRAIN.TXT').write_bytes(text.encode())
    assert matched(tmp_path, 'TRAIN.TXT') == ({'images/a.jpg': 'labels/a.txt'}, [])


@pytest.mark.parametrize('encoding', ['latin-1', 'utf-16'])
def test_a_list_in_another_encoding_is_one_sentence(tmp_path, encoding):
    (tmp_path / 'train.txt').write_bytes('images/Käfer.jpg\n'.encode(encoding))
    with pytest.raises(ValueError, match=r'train\.txt:1: the file is .* text; save it as UTF-8$'):
        matched(tmp_path, 'train.txt')


@pytest.mark.parametrize('name', ['x' * 300, 'a/' * 3000, 'x' * 300 + '/a'])
def test_names_that_no_disk_has(tmp_path, name):
    make(tmp_path, 'images/a.jpg', 'labels/a.txt')
    make(tmp_path, 'train.txt', text=f'images/a.jpg\n{name}.jpg\n')
    assert list(matched(tmp_path, 'train.txt')[0])[0] == 'images/a.jpg'
    for source in (name, f'{name}.txt', 'nul\0', ''):
        if source:
            with pytest.raises(ValueError, match='is neither a folder nor a text file of paths'):
                matched(tmp_path, source)
