import json

import pytest
from PIL import Image

from mbv3zoo.data.load import load_dataset

LABELME = {
    'version': '5.4.1',
    'flags': {},
    'shapes': [{'label': 'cat', 'points': [[1, 2], [3, 4]]}],
    'imagePath': 'a.png',
}
VIA = {'_via_settings': {}, '_via_img_metadata': {}, '_via_attributes': {}}
VIA_ANNOTATIONS = {'a.png8': {'filename': 'a.png', 'size': 8, 'regions': [{'shape_attributes': {'name': 'rect'}}]}}
LABEL_STUDIO = [{'id': 1, 'annotations': [{'result': [{'value': {'rectanglelabels': ['cat']}}]}], 'data': {}}]
CREATE_ML = [{'image': 'a.png', 'annotations': [{'label': 'cat', 'coordinates': {'x': 1, 'y': 2}}]}]
CVAT = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version></annotations>'


@pytest.mark.parametrize(
    ('name', 'content', 'advice'),
    [
        ('export.zip', 'PK', r'export\.zip in it is an archive; unpack it, and give the folder'),
        ('a.json', json.dumps(LABELME), 'a file of labelme; convert its folder to COCO'),
        ('via_project.json', json.dumps(VIA), 'VGG Image Annotator; export the annotations as COCO'),
        ('via_export_json.json', json.dumps(VIA_ANNOTATIONS), 'VGG Image Annotator; export the annotations as COCO'),
        (
            'project-1.json',
            json.dumps(LABEL_STUDIO),
            "Label Studio's own JSON; export the labels again as YOLO, COCO or",
        ),
        ('_annotations.createml.json', json.dumps(CREATE_ML), 'CreateML; export the labels again as YOLO, COCO'),
        ('annotations.xml', CVAT, "CVAT's own XML; export the labels again as YOLO, COCO or Pascal VOC"),
        ('_annotations.csv', 'filename,width,height,class', 'a format that is not read; export the labels again as'),
    ],
)
def test_what_is_not_read_is_told_with_what_to_do(tmp_path, name, content, advice):
    (tmp_path / name).write_text(content)
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=advice.replace(' in it', '.*')) as failure:
        load_dataset(tmp_path / name, 'train')
    assert str(failure.value).count('\n') == 0
    with pytest.raises(ValueError, match=advice):
        load_dataset(tmp_path, 'train')


def test_a_picture_or_one_label_file_is_handed_in(tmp_path):
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.PNG')
    (tmp_path / 'a.txt').write_text('0 .5 .5 .5 .5')
    (tmp_path / 'a.xml').write_text('<annotation></annotation>')
    with pytest.raises(ValueError, match=r'a\.PNG: is a picture; give the folder that holds pictures and labels'):
        load_dataset(tmp_path / 'a.PNG', 'train')
    with pytest.raises(ValueError, match=r'a\.txt: is a list or a label file; give the folder'):
        load_dataset(tmp_path / 'a.txt', 'train')
    with pytest.raises(ValueError, match=r'a\.xml: has the labels of one picture, in Pascal VOC; give the folder'):
        load_dataset(tmp_path / 'a.xml', 'train')


def test_a_folder_without_labels_tells_what_was_looked_for(tmp_path):
    looked = (
        'looked for data.yaml; .*_annotations.coco.json; .*instances_<split>.json.*.xml.*classes.txt; one COCO .json'
    )
    with pytest.raises(ValueError, match=f'recognised in it, as there are no pictures in it; {looked}'):
        load_dataset(tmp_path, 'train')
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=f'recognised in it, as it has 1 pictures without labels; {looked}'):
        load_dataset(tmp_path, 'train')
