"""The files at the top of the checkout say the same as each other."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

TOP = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((TOP / 'pyproject.toml').read_text())
PROJECT = PYPROJECT['project']


def test_ci_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r'^pip install .*pytest.*$', (TOP / 'README.md').read_text(), re.MULTILINE)
    lines = (TOP / '.ci' / 'run').read_text().splitlines()
    assert lines[-1] == command
    # Each on a line of its own: in a list of &&, a failure would not end the script.
    assert [line for line in lines if line.startswith(('ruff', 'mypy'))] == [
        'ruff check .',
        'ruff format --check .',
        'mypy',
    ]
    workflow = yaml.safe_load((TOP / '.github/workflows/ci.yml').read_text())
    steps = workflow['jobs']['check']['steps']
    assert steps[-1] == {'run': '.ci/run'} and (TOP / '.ci/run').stat().st_mode & 0o111
    (python,) = [step['with']['python-version'] for step in steps if 'with' in step]
    assert PROJECT['requires-python'] == f'>={python}'
    assert f'Programming Language :: Python :: {python}' in PROJECT['classifiers']


def test_hooks_run_the_ruff_that_ci_runs():
    bounds = {item.name: item.specifier for item in map(Requirement, PROJECT['optional-dependencies']['lint'])}
    hooks = yaml.safe_load((TOP / '.pre-commit-config.yaml').read_text())['repos'][0]['hooks']
    pins = [Requirement(pin) for hook in hooks for pin in hook['additional_dependencies']]
    assert {hook['id'] for hook in hooks} == {'ruff-check', 'ruff-format'} and {pin.name for pin in pins} == {'ruff'}
    (version,) = {str(pin.specifier).removeprefix('==') for pin in pins}
    assert version in bounds['ruff']


def test_the_extra_called_all_has_every_other():
    extras = PROJECT['optional-dependencies']
    (everything,) = map(Requirement, extras['all'])
    assert everything.extras == extras.keys() - {'all'}


def test_types_are_shipped():
    assert (TOP / 'mbv3zoo' / 'py.typed').is_file() and 'Typing :: Typed' in PROJECT['classifiers']


SOURCES = PYPROJECT['tool']['hatch']['build']['targets']['sdist']['only-include']


def test_what_sources_are_made_of_is_there():
    assert [name for name in SOURCES if not (TOP / name).exists()] == []


def test_sources_and_wheel_leave_what_lies_around(tmp_path):
    sdist = pytest.importorskip('hatchling.builders.sdist')
    wheel = pytest.importorskip('hatchling.builders.wheel')
    shutil.copy(TOP / 'pyproject.toml', tmp_path)
    own = ['LICENSE', 'README.md', 'configs/a.yaml', 'docs/backbones.csv', 'docs/export.md', 'mbv3zoo/version.py']
    page = {'mbv3zoo/demo/page/index.html', 'mbv3zoo/demo/page/app.js', 'mbv3zoo/demo/onnxruntime_web/a.wasm.xz'}
    own += ['docs/scene.jpg', *page]
    stray = ['a.jpg', 'model.onnx', 'data.yaml', '.env', 'predictions/a.jpg', 'runs/train-1/best/model.safetensors']
    stray += ['.venv/lib/a.py', 'tests/runs/a.csv', 'docs/.ruff_cache/a', 'mbv3zoo/__pycache__/a.pyc', 'dist/a.whl']
    for name in [*own, 'tests/test_a.py', *stray]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('__version__ = "1"')

    def files(builder):
        return {file.distribution_path for file in builder(str(tmp_path)).recurse_included_files()}

    assert files(sdist.SdistBuilder) == {*own, 'tests/test_a.py', 'pyproject.toml'}
    assert files(wheel.WheelBuilder) == {
        'mbv3zoo/version.py', 'mbv3zoo/configs/a.yaml', 'mbv3zoo/backbones.csv', 'mbv3zoo/scene.jpg', *page,
    }  # fmt: skip


def test_the_image_runs_the_first_command_of_the_readme():
    lines = re.sub(r'\\\n\s*', '', (TOP / 'Dockerfile').read_text()).splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith('#')]
    copied = [part for name, rest in steps if name == 'COPY' and '--from' not in rest for part in rest.split()[:-1]]
    assert [name for name in copied if not (TOP / name).exists()] == []
    # The wheel is made of it, and nothing else is sent to the engine.
    build = PYPROJECT['tool']['hatch']['build']['targets']['wheel']
    needed = {'pyproject.toml', PROJECT['readme'], 'LICENSE', *build['packages'], *build['force-include']}
    assert set(copied) == needed
    kept = (TOP / '.dockerignore').read_text().splitlines()
    assert {line[1:] for line in kept if line.startswith('!')} == needed and '*' in kept
    assert all(any(Path(name).is_relative_to(part) for part in needed) for name in PROJECT['license-files'])
    # As pyproject.toml has it.
    (torch,) = (rest for _, rest in steps if '"torch>=' in rest)
    assert set(re.findall(r'"([^"]+)"', torch)) == {
        need for need in PROJECT['dependencies'] if need.startswith('torch')
    }
    (extras,) = (rest.removeprefix('EXTRAS=') for name, rest in steps if name == 'ARG')
    assert set(extras.split(',')) <= PROJECT['optional-dependencies'].keys()
    bases = {rest.split()[0] for name, rest in steps if name == 'FROM'}
    assert all(PROJECT['requires-python'] == f'>={base.removeprefix("python:").split("-")[0]}' for base in bases)
    assert steps[-2:] == [['ENTRYPOINT', '["mbv3zoo"]'], ['CMD', '["--help"]']]
    assert [rest for name, rest in steps if name == 'USER'] == ['mbv3zoo']
    # What the container is told is what the first command tells the program.
    readme = (TOP / 'README.md').read_text()
    (first,) = re.findall(r'^pip install \. && mbv3zoo (.*)$', readme, re.MULTILINE)
    assert first in re.findall(r'^docker run .* mbv3zoo (predict .*)$', readme, re.MULTILINE)


PAGES = sorted([*TOP.glob('*.md'), *TOP.glob('docs/**/*.md')])


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r'\]\(([^)#\s]+)[^)]*\)', page.read_text(encoding='utf-8'))
    assert [link for link in links if '://' not in link and not (page.parent / link).exists()] == []


def test_the_architecture_names_every_room():
    links = set(re.findall(r'^\| .*$', (TOP / 'ARCHITECTURE.md').read_text(), re.MULTILINE))
    named = {name for line in links for name in re.findall(r'\(mbv3zoo/(\w+)(?:\.py)?\)', line)}
    package = TOP / 'mbv3zoo'
    rooms = {path.stem for path in package.glob('*.py')} | {path.parent.name for path in package.glob('*/__init__.py')}
    assert named == rooms - {'__init__'}
