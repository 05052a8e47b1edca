"""The notebooks of examples/ run, in a new kernel and an empty folder, and find what they say."""

import ast
import re

import pytest

nbformat = pytest.importorskip('nbformat')
pytest.importorskip('nbclient')
pytest.importorskip('ipykernel')

from amount import amount  # noqa: E402
from hub_server import TOKEN, HubServer  # noqa: E402
from notebooks import NOTEBOOKS, OUTPUTS_OF, TOP, code_hash, run_notebook  # noqa: E402

NAMES = [path.stem for path in NOTEBOOKS]


def text_of(notebook):
    """What all cells print or show as text."""
    outputs = [output for cell in notebook.cells for output in cell.get('outputs', [])]
    return '\n'.join(output.get('text') or output.get('data', {}).get('text/plain', '') for output in outputs)


def pictures_of(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get('outputs', [])]
    return [output for output in outputs if {'image/png', 'image/jpeg'} & output.get('data', {}).keys()]


@pytest.fixture
def run(tmp_path):
    """Name of a notebook -> the notebook with its outputs, run without a network but for a Hub on loopback."""

    def run_here(name, server=None, token=TOKEN, leave_out='', **settings):
        folder = tmp_path / 'work'
        folder.mkdir()
        env = {'HOME': str(tmp_path), 'TMPDIR': str(folder), 'HF_HOME': str(tmp_path / 'hf'), 'HF_HUB_OFFLINE': '1'}
        if server:
            env |= {'HF_HUB_OFFLINE': '0', 'HF_ENDPOINT': server.url, 'HF_TOKEN': token, 'HF_HUB_DISABLE_XET': '1'}
        return run_notebook(TOP / 'examples' / f'{name}.ipynb', folder, settings, env, leave_out)

    return run_here


@pytest.mark.slow
def test_first_detection(run, tmp_path):
    ran = run('first_detection')
    assert '1 gear 0.9' in text_of(ran) and len(pictures_of(ran)) >= 7
    assert [*(tmp_path / 'work').glob('*/found.jpg')]


@pytest.mark.slow
def test_your_photos_become_a_detector_on_the_hub(run):
    with HubServer() as server:
        text = text_of(run('your_photos', server, REPOSITORY='me/desk'))
        files = server.repos['me/desk'].files()
        assert {'config.json', 'detector.safetensors', 'model.safetensors', 'README.md'} <= files.keys()
        assert b'cc-by-4.0' in files['README.md']
    assert float(re.findall(r'^all +([\d.]+)', text, re.MULTILINE)[-1]) > 0.2
    assert f'{server.url}/me/desk/commit/' in text and 'Detector(mbv3_yolo_small, neck pan, 3 classes' in text


@pytest.mark.slow
def test_any_backbone(run, tmp_path):
    text = text_of(run('any_backbone'))
    assert 'vit_tiny_patch16_224' in text and 'freeze_backbone=4' in text
    assert [*(tmp_path / 'work').glob('*/run/best/model.safetensors')]


@pytest.mark.slow
def test_export_int8_and_benchmark(run):
    pytest.importorskip('onnxscript')
    text = text_of(run('export_int8_benchmark'))
    before, after = map(float, re.search(r'AP ([\d.]+) -> ([\d.]+) on 80 pictures', text).groups())
    assert before > 0.4 and after > before - 0.011
    assert re.search(r'^int8.onnx +onnxruntime +320 +1 +[\d.]+ ', text, re.MULTILINE)


@pytest.mark.slow
def test_segmentation(run, tmp_path):
    pytest.importorskip('onnxscript')
    ran = run('segmentation')
    text = text_of(ran)
    assert float(re.search(r'^mean +([\d.]+)', text, re.MULTILINE)[1]) > 0.5 and len(pictures_of(ran)) >= 9
    assert float(re.search(r'^([\d.]+)% of the pixels', text, re.MULTILINE)[1]) > 99
    assert [*(tmp_path / 'work').glob('*/mask.png')]


@pytest.mark.slow
def test_fit_to_a_time(run, tmp_path):
    pytest.importorskip('onnxscript')
    text = text_of(ran := run('fit_to_a_time', leave_out=amount('minutes', ''), SIZE=96, BUDGETS=[1.5]))
    before, after = map(float, re.search(r'^([\d.]+) -> ([\d.]+) ms', text, re.MULTILINE).groups())
    assert after < before and len(pictures_of(ran)) >= amount(2, 3)
    (folder,) = (tmp_path / 'work').glob('*/fitted')
    assert '"backbone": "narrowed"' in (folder / 'config.json').read_text(encoding='utf-8')


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_kept_small_with_the_outputs_of_its_code(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata[OUTPUTS_OF] == code_hash(notebook), f'run tools/notebooks.py {path.relative_to(TOP)}'
    assert path.stat().st_size < 300_000 and pictures_of(notebook)
    assert str(TOP) not in path.read_text() and '/tmp' not in path.read_text()
    assert not [o for cell in notebook.cells for o in cell.get('outputs', []) if o.get('name') == 'stderr']
    # Every cell of code but imports is introduced.
    kinds = ''.join(cell.cell_type[0] for cell in notebook.cells)
    assert kinds.startswith('mc') and 'cccc' not in kinds and kinds.endswith('m')


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_a_notebook_needs_nothing_internal(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == 'code']
    tree = ast.parse('\n'.join(cells))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert 'mbv3zoo' in imported and not [name for name in imported if name.startswith('mbv3zoo.')]


def test_the_list_has_every_notebook():
    page = (TOP / 'examples/README.md').read_text()
    assert len(NAMES) >= 4 and [name for name in NAMES if f']({name}.ipynb)' not in page] == []
