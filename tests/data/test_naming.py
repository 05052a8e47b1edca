import pytest

from mbv3zoo.data.naming import dataset_name


@pytest.mark.parametrize(
    ('source', 'name'),
    [
        ('data.yaml', 'bolts'),
        ('.', 'bolts'),
        ('train/..', 'bolts'),
        ('../bolts/', 'bolts'),
        ('train', 'bolts'),
        ('result.json', 'bolts'),
        ('obj.data', 'bolts'),
        ('classes.txt', 'bolts'),
        ('train/_annotations.coco.json', 'bolts'),
        ('annotations/instances_train.json', 'bolts'),
        ('annotations/instances_val2017.json', 'bolts'),
        ('annotations/train.json', 'bolts'),
        ('labels_my-project-name_2026-11-28.json', 'bolts'),
        ('helmets.yaml', 'helmets'),
        ('helmets.json', 'helmets'),
        ('annotations/helmets_train.json', 'helmets_train'),
        ('../nuts', 'nuts'),
        ('hub:org/name', 'org/name'),
        ('hub:org/name@v1', 'org/name@v1'),
        ('hub:.', 'bolts'),
    ],
)
def test_a_dataset_is_called_for_its_folder_unless_its_file_has_a_name_of_its_own(tmp_path, monkeypatch, source, name):
    for folder in ('bolts/train', 'bolts/annotations', 'nuts'):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / 'bolts')
    assert dataset_name(source) == name


def test_a_path_of_the_whole_system_has_a_name_too():
    assert dataset_name('/train/data.yaml')
    assert isinstance(dataset_name('/'), str)
