"""What README, docs and notebooks show fits the program and the package."""

import ast
import importlib.util
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

import mbv3zoo
from mbv3zoo.cli.main import app
from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig
from mbv3zoo.images.letterbox import Letterbox

TOP = Path(__file__).resolve().parents[1]
PAGES = [*sorted(TOP.glob('*.md')), *sorted((TOP / 'docs').rglob('*.md')), *sorted((TOP / 'examples').rglob('*.md'))]
NOTEBOOKS = sorted((TOP / 'examples').glob('*.ipynb'))


def pages():
    """(page, text) of each; a notebook is a page whose cells of code are blocks."""
    for page in PAGES:
        yield page.name, page.read_text()
    for page in NOTEBOOKS:
        cells = [(cell['cell_type'], ''.join(cell['source'])) for cell in json.loads(page.read_text())['cells']]
        parts = [f'```python\n{text}\n```' if kind == 'code' else text for kind, text in cells]
        yield page.name, '\n\n'.join(parts)


def blocks(language):
    """(page, text) of each code block in a language, '' where it says none."""
    for page, content in pages():
        for found, text in re.findall(r'^```(\w*)\n(.*?)^```', content, re.DOTALL | re.MULTILINE):
            if found == language:
                yield page, text


def commands():
    lines = [(page, line) for page, text in blocks('') for line in text.replace('\\\n', ' ').splitlines()]
    return [
        (page, words) for page, line in lines for part in line.split('&&')
        if (words := shlex.split(part, comments=True))[:1] == ['mbv3zoo']
    ]  # fmt: skip


def test_commands_have_the_options_that_are_shown():
    assert len(commands()) > 30
    program = get_command(app)
    for page, (_, command, *options) in commands():
        try:
            program.commands[command].make_context(command, options)
        except BaseException as error:
            pytest.fail(f'{page}: mbv3zoo {command} {shlex.join(options)}: {error!r}')


def test_the_program_without_mbv3zoo_finds_the_same(exported, tmp_path, monkeypatch):
    path = exported('onnx')
    (program,) = (text for page, text in blocks('python') if page == 'export.md' and 'onnxruntime' in text)
    assert not re.search(r'import.*(mbv3zoo|torch)', program)
    monkeypatch.chdir(tmp_path)
    shutil.copy(path, 'model.onnx')
    with Image.open(TOP / 'docs' / 'scene.jpg') as scene:
        # Of other proportions than the input, so that sides are rounded, and padded.
        scene.resize((333, 217)).save('picture.png')
    found = {}
    exec(program.replace('picture.jpg', 'picture.png').replace('> 0.25', '> 0.05'), found)
    # As where torch is not installed: with it images are resized by torchvision, to levels that differ by 1.
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    expected = mbv3zoo.load('model.onnx').predict('picture.png', score_thresh=0.05)
    assert len(expected) >= 4 and found['labels'][found['kept']].tolist() == expected.labels.tolist()
    assert np.abs(found['boxes'] - expected.boxes).max() < 1e-3
    assert np.abs(found['scores'][found['kept']] - expected.scores).max() < 1e-4


@pytest.mark.parametrize('tool', ['transformers', 'supervision', 'fiftyone', 'to_label_studio', 'to_pandas'])
def test_the_examples_of_other_tools_run(tool, tmp_path, monkeypatch):
    (program,) = (text for page, text in blocks('python') if page == 'integrations.md' and tool in text)
    if f'import {tool}' in program or f'from {tool}' in program:
        pytest.importorskip(tool)
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOP / 'docs' / 'scene.jpg', 'photo.jpg')
    exec(program, shown := {})
    assert len(shown['found']) >= 2


@pytest.mark.parametrize('size', [(217, 333), (333, 217), (40, 30), (1, 900), (96, 160), (61, 61)])
def test_the_letterbox_that_a_page_shows_gives_the_same_pixels(size):
    (program,) = (text for page, text in blocks('python') if page == 'export.md' and 'onnxruntime' in text)
    shown = {'np': np, 'Image': Image}
    exec(program[program.index('def letterbox') : program.index('def decode')], shown)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    own = Letterbox.fit(size, (96, 160))
    pixels, ratio, padding = shown['letterbox'](Image.fromarray(image), 96, 160)
    assert (pixels[0] == own.apply_without_torch(image)).all()
    boxes = np.array([[40.0, 30, 90, 60]])
    back = ((boxes - np.tile(padding, 2)) / np.tile(ratio, 2)).clip(0, [*size[::-1]] * 2)
    assert np.allclose(back, own.boxes_to_original(boxes), atol=1e-6)


def test_python_blocks_are_python_with_names_that_are_public():
    shown = [(page, ast.parse(text)) for page, text in blocks('python')]
    names = {
        (page, node.attr)
        for page, tree in shown
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == 'mbv3zoo'
    }
    assert len(names) > 5 and [(page, name) for page, name in names if not has(mbv3zoo, name)] == []
    imported = {
        (page, f'{node.module}.{name.name}')
        for page, tree in shown
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or '').partition('.')[0] == 'mbv3zoo'
        for name in node.names
    }
    assert [(page, name) for page, name in imported if not has(mbv3zoo, name.removeprefix('mbv3zoo.'))] == []


def has(module, name):
    """Whether a module, whose submodules may not be imported yet, has a name such as 'licenses.TERMS'."""
    first, _, rest = name.partition('.')
    if not hasattr(module, first):
        if not importlib.util.find_spec(f'{module.__name__}.{first}'):
            return False
        importlib.import_module(f'{module.__name__}.{first}')
    return not rest or has(getattr(module, first), rest)


def test_modules_that_pages_name_have_what_they_name():
    named = {
        (page, name)
        for page, text in pages()
        if page != 'CHANGELOG.md'  # which has names of then
        for name in re.findall(r'`mbv3zoo\.([a-z_]+(?:\.\w+)*)', text)
        if name not in ('yaml', 'egg')
    }
    assert len(named) > 5 and [(page, name) for page, name in named if not has(mbv3zoo, name)] == []


# Programs that a page may ask its reader to run.
PROGRAMS = shlex.split(
    '. accelerate build/detect cat cd cmake cp curl docker export g++ git hf jupyter ls mbv3zoo mkdir mypy node npm '
    'pip pre-commit pytest python ruff sphinx-build torchrun unzip'
)


def test_shell_blocks_run_programs_that_people_have():
    lines = [(page, line) for page, text in blocks('') for line in text.replace('\\\n', ' ').splitlines()]
    for language in ('sh', 'bash', 'console'):
        for page, text in blocks(language):
            shown = text.replace('\\\n', ' ').splitlines()
            lines += [(page, line.removeprefix('$ ')) for line in shown if language != 'console' or line[:2] == '$ ']
    asked = set()
    for page, line in lines:
        for part in line.split('&&'):
            words = [word for word in shlex.split(part, comments=True) if not re.match(r'[A-Z0-9_]+=', word)]
            asked |= {(page, words[0])} if words else set()
    assert len(asked) > 20
    assert [(page, name) for page, name in asked if name not in PROGRAMS and not (TOP / name).is_file()] == []


def test_tests_that_pages_name_are_there():
    named = {found for page in PAGES for found in re.findall(r'`([\w/]+\.py)::(\w+)`', page.read_text())}
    assert len(named) > 50
    tests = TOP / 'tests'
    assert [(file, name) for file, name in named if f'def {name}(' not in (tests / file).read_text()] == []


def test_the_page_on_training_has_every_setting_with_its_default():
    page = (TOP / 'docs/training.md').read_text()
    rows = dict(re.findall(r'^\| `(\w+)` \| (\S+) \|', page, re.MULTILINE))
    fields = {**RunConfig.model_fields, **TrainConfig.model_fields, **DataConfig.model_fields}
    wanted = {
        {'license': 'data_license'}.get(name, name): 'none' if field.default is None else str(field.default)
        for name, field in fields.items() if name not in ('data', 'train')
    }  # fmt: skip
    presets = {name for name, field in TrainConfig.model_fields.items() if field.is_required()}
    assert {name: rows.get(name) for name in wanted} == wanted | dict.fromkeys(presets, 'preset')


def test_what_notebooks_link_to_is_there():
    # By their address, as a notebook is opened elsewhere too.
    links = {
        (page, link)
        for page, text in pages()
        if page.endswith('.ipynb')
        for link in re.findall(r'github(?:\.com)?/mbv3zoo/mbv3zoo/blob/main/([^)#]+)', text)
    }
    assert len(links) > 10 and [(page, link) for page, link in links if not (TOP / link).is_file()] == []
