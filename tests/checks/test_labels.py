from dataclasses import replace

from labelled import as_set, record

from mbv3zoo.checks.labels import find_empty, find_label_problems


def test_problems_are_counted_by_what_became_of_them():
    lines = ('a.txt:1: box; clipped', 'a.txt:2: box; dropped', 'b.txt:1: class 9; dropped', 'c.txt: odd')
    (finding,) = find_label_problems({'train': replace(as_set(record(1)), problems=lines), 'val': as_set(record(2))})
    assert finding.text == '4 problems in the labels of train: 1 clipped, 2 dropped' and finding.lines == lines
    (finding,) = find_label_problems({'val': replace(as_set(), problems=lines[3:])})
    assert finding.text == '1 problem in the labels of val'


def test_images_without_objects_are_a_note_unless_they_are_most():
    box = [[0, 0, 9, 9]]
    (note,) = find_empty({'train': as_set(record(1, box), record(2)), 'val': as_set(record(3, box))})
    assert (note.level, note.count) == ('note', 1) and '1 picture of train (50 %)' in note.text
    (warning,) = find_empty({'train': as_set(record(1, box), record(2), record(3))})
    assert warning.level == 'warning' and [example.record.image_id for example in warning.examples] == [2, 3]
    assert [*find_empty({'train': as_set()})] == []


def test_a_split_without_any_object_is_an_error_but_to_test_on():
    for name, level in (('train', 'error'), ('test', 'warning')):
        (found,) = find_empty({name: as_set(record(1), record(2))})
        assert found.level == level and found.text.startswith(f'2 pictures of {name} (100 %) without an object; there')


def test_labels_whose_picture_is_not_there_are_told_apart():
    lines = (
        'labels/b.txt: there is no picture of that name; not used',
        "image 7: left out: cannot read image file '7.jpg': there is no such file",
        'a.txt:1: box; clipped',
    )
    alone, other = find_label_problems({'val': replace(as_set(record(1)), problems=lines)})
    assert alone.name == 'labels without pictures' and alone.lines == lines[:2] and alone.level == 'warning'
    assert alone.text.startswith('2 pictures of val that labels are for and that are not there: labels/b.txt')
    assert other.text == '1 problem in the labels of val: 1 clipped'
