import json
import shutil
from pathlib import Path

import pytest
from hub_server import HubServer, run_client
from PIL import Image

import mbv3zoo

transformers = pytest.importorskip('transformers')
NAME = 'mbv3_yolo_small.synth'
PACKAGED = Path(mbv3zoo.__file__).parent / 'weights' / NAME


def as_pipeline(found):
    """Detections in the form that the pipeline gives them: whole pixels, rounded down."""
    keys = ('xmin', 'ymin', 'xmax', 'ymax')
    return [(name, score, dict(zip(keys, map(int, box), strict=True))) for box, score, _, name in found.rows()]


def rows(found):
    return [(row['label'], row['score'], row['box']) for row in found]


@pytest.mark.parametrize('kind', ['name', 'folder', 'folder of an older version', 'run'])
def test_a_pipeline_finds_what_predict_finds(kind, scene, tmp_path):
    source = NAME
    if kind != 'name':
        source = shutil.copytree(PACKAGED, tmp_path / 'saved')
        stated = json.loads((source / 'config.json').read_text())
        stated |= {'model_type': 'mbv3zoo'}
        if 'older' in kind:
            del stated['model_type']
        (source / 'config.json').write_text(json.dumps(stated))
    if kind == 'run':
        source = source.rename(tmp_path / 'best').parent
    pipe = transformers.pipeline('object-detection', model=source)
    detector, image = mbv3zoo.load(NAME), Image.open(scene)
    expected = as_pipeline(detector.predict(image, score_thresh=0.5))
    assert len(expected) >= 4 and rows(pipe(str(scene))) == expected == rows(pipe(image))
    wide = image.resize((700, 300))
    both = [as_pipeline(found) for found in detector.predict([image, wide], score_thresh=0.2)]
    assert [[row[0] for row in rows(one)] for one in pipe([image, wide], threshold=0.2, batch_size=2)] == [
        [row[0] for row in one] for one in both
    ]


@pytest.mark.slow
def test_a_repository_on_the_hub(scene, tmp_path):
    with HubServer() as server:
        run_client(
            server,
            f"""
            import mbv3zoo, transformers
            pipe = transformers.pipeline('object-detection', {NAME!r})
            pipe.model.push_to_hub('org/name', private=True)
            pipe = transformers.pipeline('object-detection', model='org/name')
            found = pipe({str(scene)!r})
            assert len(found) >= 4 and found[0]['label'] == 'triangle', found
            model = transformers.AutoModelForObjectDetection.from_pretrained('org/name', revision='main')
            """,
            tmp_path,
        )
        assert {'config.json', 'detector.safetensors', 'model.safetensors'} <= server.repos['org/name'].files().keys()


def test_a_name_without_weights_is_told():
    with pytest.raises(ValueError, match='mbv3_yolo_small'):
        transformers.pipeline('object-detection', model='mbv3_yolo_small.nothing')
