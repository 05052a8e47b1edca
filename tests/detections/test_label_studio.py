from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from three_detections import NAMES, three

from mbv3zoo.detections.label_studio import labelling_config, local_address


def test_the_labelling_config_has_the_names_that_tasks_use():
    names = ['cat', 'dog & "bird" <1>', '猫', "it's"]
    root = ElementTree.fromstring(labelling_config(names))
    image, labels = root.find('Image'), root.find('RectangleLabels')
    task = three(path='a.jpg').to_label_studio()
    assert image.get('value') == '$' + next(iter(task['data']))
    (result, *_) = task['predictions'][0]['result']
    assert (labels.get('name'), labels.get('toName')) == (result['from_name'], result['to_name'])
    assert image.get('name') == result['to_name'] and [label.get('value') for label in labels] == names
    assert len({label.get('background') for label in labels}) == 4
    assert ElementTree.fromstring(labelling_config(NAMES)).tag == 'View'


def test_an_address_is_below_the_folder_that_is_served():
    address = local_address('photos/ä b&c#d?.jpg', Path())
    assert parse_qs(urlsplit(address).query)['d'] == ['photos/ä b&c#d?.jpg'] and urlsplit(address).fragment == ''
    whole = parse_qs(urlsplit(local_address('a.jpg')).query)['d'][0]
    assert not whole.startswith('/') and Path(Path.cwd().anchor, whole) == Path.cwd() / 'a.jpg'
    with pytest.raises(ValueError, match=r"elsewhere/a.jpg is not in '.*photos', from which Label Studio"):
        local_address('elsewhere/a.jpg', 'photos')
