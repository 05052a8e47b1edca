"""The rules of the house (DESIGN.md), held by reading the sources as syntax trees: nothing is imported."""

import ast
import pkgutil
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import timm.models

ROOT = 'mbv3zoo'
PACKAGE = Path(__file__).resolve().parents[1] / ROOT

# The rooms (folders, and files at the root), from the ground up: a room imports from floors below its own only.
FLOORS = [
    ['utils', 'version'],
    ['images'],
    ['config'],
    ['widths'],
    ['backbones', 'saving', 'synth'],
    ['data', 'detections', 'layer_lists', 'licenses'],
    ['models'],
    ['cards', 'checks', 'prediction'],
    ['evaluation', 'hub', 'runtimes'],
    ['export', 'plots', 'zoo'],
    ['model'],
    ['detector', 'segmenter'],
    ['convert', 'create', 'loading'],
    ['demo', 'info', 'integrations', 'training'],
    ['benchmark'],
    ['fitting'],
    ['cli'],
    ['__main__'],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Further than the floors say.
NEVER = {'models': {'data'}, 'detections': {'config'}}
# Files at the root of the package: the doors.
MOST_DOORS = 9

FILES = {path.relative_to(PACKAGE).with_suffix('').as_posix(): path for path in PACKAGE.rglob('*.py')}
MODULES = {name.removesuffix('/__init__').replace('/', '.'): path for name, path in FILES.items()}
MODULES[''] = MODULES.pop('__init__')

TESTS = Path(__file__).parent
# Modules that hold nothing to test alone.
UNTESTED = {'__main__', 'version'}
# Tests of more than one module, and whose they are.
WHOLE = {
    'test_bounds': 'the bounds of all kinds of files',
    'cli/test_several_processes': 'val and predict in two real processes',
    'export/test_int8_export': 'from export() to the AP of an int8 file',
    'hub/test_faults': 'what the client, the cache and a push do where a server fails',
    'hub/test_hostile': 'every request of every door, answered by something else',
    'hub/test_local_faults': 'the cache, the token and the settings of the Hub, damaged or missing',
    'hub/test_hub': 'pushing and pulling, with the real client',
    'hub/test_publishing_licenses': 'licences from a config to the card on the Hub',
    'data/test_fuzz': 'random datasets of every format',
    'demo/test_browser': 'what the page finds, in a real browser',
    'demo/test_interface': 'what people do on the page, in a real browser',
    'demo/test_javascript': 'the modules of the page, in Node.js',
    'test_consumers': 'examples/cpp and examples/node: exported files without mbv3zoo',
    'test_segmenter_families': 'one timm model of each family as a segmenter, from training to an exported file',
    'test_doctests': 'the examples of all public calls',
    'test_examples': 'the notebooks of examples/',
    'test_full_disks': 'every command that writes, on a disk that is full or read-only',
    'test_house': 'this file',
    'test_ignored_options': 'options without effect, of all calls and commands',
    'test_kills': 'every writer, killed at every boundary',
    'test_pages': 'README and docs',
    'test_project': 'pyproject.toml and .ci',
    'test_shipped_weights': 'the weights in the package',
    'test_signatures': 'the arguments of all public calls',
    'test_site': 'the documentation site: that it builds, and where its links lead',
    'test_start_up': 'what is imported when',
    'test_stateful': 'a detector in all places that it can be in, after any sequence of what people do',
    'test_threads': 'every way to run a detector, from many threads',
    'training/test_damaged_runs': 'runs that were killed between two files, or whose files were damaged',
    'training/test_failing_runs': 'runs whose disk, data or processes fail',
    'training/test_processes': 'runs of several processes',
    'training/test_resuming': 'runs that go on, with other settings and on other data',
}
# Folders of tests that mirror something else: tests/helpers itself, tools/, and figures that YOLOv5 computed.
ELSEWHERE = ('helpers/', 'tools/', 'yolov5/')

PICKLES = {'pickle', 'marshal', 'shelve', 'dill', 'cloudpickle', 'joblib'}


def imported(module: str, tree: ast.AST, is_package: bool = False) -> set[str]:
    """Modules of ours that a module imports anywhere, functions included, without the root's name; '' is the root."""
    here = [ROOT, *module.split('.')] if module else [ROOT]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                above = here if is_package else here[:-1]
                base = '.'.join([*above[: len(above) + 1 - node.level], *([base] if base else [])])
            # What is imported may be a module or something inside the one named.
            names = [
                name if name.removeprefix(f'{ROOT}.') in MODULES else base
                for name in (f'{base}.{alias.name}' for alias in node.names)
            ]
        else:
            continue
        found |= {name.removeprefix(ROOT).removeprefix('.') for name in names if name.split('.')[0] == ROOT}
    return found


def room(module: str) -> str:
    return module.split('.')[0]


def upward(module: str, imports: set[str]) -> list[str]:
    """What is wrong with a module's imports, in words."""
    own, wrong = room(module), []
    for name in sorted(imports):
        other = room(name)
        if not name:
            wrong.append(f'{module} imports the package root')
        elif other != own and (FLOOR_OF[other] >= FLOOR_OF[own] or other in NEVER.get(own, ())):
            wrong.append(f'{module} imports {name}')
    return wrong


def dotted(node: ast.expr) -> str:
    return f'{dotted(node.value)}.{node.attr}' if isinstance(node, ast.Attribute) else getattr(node, 'id', '?')


def forbidden(tree: ast.AST) -> list[str]:
    """Calls and imports that run foreign code or write to the terminal, with their lines."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            # pickle itself is imported to name the error that torch raises.
            bad = [alias.name for alias in node.names if room(alias.name) in PICKLES - {'pickle'}]
        elif isinstance(node, ast.ImportFrom):
            bad = [node.module] if room(node.module or '') in PICKLES else []
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            settings = {keyword.arg: keyword.value for keyword in node.keywords}
            value = {key: getattr(expression, 'value', None) for key, expression in settings.items()}
            bad = [name] if name in {'eval', 'exec', 'compile', '__import__', 'print', 'breakpoint'} else []
            bad += [name] if room(name) in PICKLES else []
            bad += [name] if name in {'os.system', 'yaml.load', 'yaml.unsafe_load', 'yaml.full_load'} else []
            bad += [name] if name == 'torch.load' and value.get('weights_only') is not True else []
            bad += [name] if value.get('allow_pickle') else []
        else:
            continue
        found += [f'line {node.lineno}: {name}' for name in bad]
    return found


@pytest.fixture(scope='module')
def trees():
    return {module: ast.parse(path.read_text(encoding='utf-8')) for module, path in MODULES.items()}


@pytest.fixture(scope='module')
def graph(trees):
    return {
        module: imported(module, tree, MODULES[module].name == '__init__.py') - {module}
        for module, tree in trees.items()
        if module
    }


def test_every_room_has_a_floor_and_the_root_holds_few_files():
    assert {room(module) for module in MODULES if module} == set(FLOOR_OF)
    assert len(FLOOR_OF) == sum(map(len, FLOORS))
    assert len([name for name in FILES if '/' not in name]) <= MOST_DOORS
    assert all((PACKAGE / name / '__init__.py').is_file() for name in FLOOR_OF if (PACKAGE / name).is_dir())


def test_image_files_are_opened_in_one_place(trees):
    # The one that limits formats and sizes.
    calls = [
        module
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func) in ('Image.open', 'PIL.Image.open', 'decode_image')
    ]
    assert calls == ['images.opening']


def test_imports_go_downward(graph):
    assert [line for module, imports in graph.items() for line in upward(module, imports)] == []
    # That the walk sees imports at all, also those inside functions and by either spelling.
    assert 'training.run' in graph['cli.training'] and 'model' in graph['cli.export']
    assert 'hub.publish' in graph['model'] and 'backbones' in graph['models.timm_model']


def test_there_are_no_circles(graph):
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


def test_models_know_nothing_of_data_or_training(graph):
    below = {module: imports for module, imports in graph.items() if room(module) == 'models'}
    assert len(below) >= 9
    assert not {room(name) for imports in below.values() for name in imports} & {'data', 'training', 'evaluation'}


def test_the_program_is_reached_from_main_only(graph):
    assert graph['__main__'] == {'cli.main'}
    outside = {module: imports for module, imports in graph.items() if room(module) != 'cli'}
    assert [module for module, imports in outside.items() if 'cli' in map(room, imports)] == ['__main__']


def test_no_backbone_joins_a_module_of_timms():
    """timm groups models by the last part of their module's name."""
    timms = {module.name for module in pkgutil.iter_modules(timm.models.__path__)}
    ours = {name.split('.')[-1] for name in MODULES if room(name) == 'backbones' and name != 'backbones'}
    assert 'mobilenetv3' in timms and ours and not ours & timms


def test_no_foreign_code_and_no_prints(trees):
    assert {module: lines for module, tree in trees.items() if (lines := forbidden(tree))} == {}


@pytest.mark.parametrize(
    'line',
    [
        'eval("1")',
        'def f():\n    exec("1")',
        'class A:\n    def f(self):\n        print(1)',
        'pickle.loads(data)',
        'pickle.Unpickler(file)',
        'import dill',
        'from pickle import loads',
        'torch.load("a")',
        'torch.load("a", weights_only=False)',
        'torch.load("a", weights_only=flag)',
        'numpy.load("a", allow_pickle=True)',
        'yaml.load(text, Loader)',
    ],
)
def test_the_checks_find_what_they_look_for(line):
    assert forbidden(ast.parse(line))


def test_the_checks_let_the_rest_pass():
    text = '"""eval(1)"""\nmodel.eval()\ntorch.load("a", weights_only=True)\nyaml.safe_load("a")\npainter.print(1)'
    assert forbidden(ast.parse(text)) == []


@pytest.mark.parametrize(
    ('module', 'line', 'expected'),
    [
        ('models.neck', 'from mbv3zoo.data.boxes import clip_boxes', ['models.neck imports data.boxes']),
        ('models.neck', 'def f():\n    import mbv3zoo.training.loss', ['models.neck imports training.loss']),
        ('models.neck', 'from mbv3zoo import detector', ['models.neck imports detector']),
        ('models.neck', 'from .. import detector', ['models.neck imports detector']),
        ('models.neck', 'from ..data.boxes import clip_boxes', ['models.neck imports data.boxes']),
        ('models.neck', 'from .layers import conv\nfrom mbv3zoo.config.detector import STRIDES', []),
        ('models.neck', 'import mbv3zoo', ['models.neck imports the package root']),
        ('models.neck', 'from mbv3zoo import Detector', ['models.neck imports the package root']),
        ('hub', 'from mbv3zoo.version import __version__\nimport mbv3zoology', []),
        ('config', 'from mbv3zoo.hub import save_folder', ['config imports hub']),
    ],
)
def test_the_walk_finds_every_spelling(module, line, expected):
    assert upward(module, imported(module, ast.parse(line))) == expected


def test_tests_mirror_the_package():
    modules = {name for name in FILES if not name.endswith('__init__')}
    tests = {path.relative_to(TESTS).with_suffix('').as_posix() for path in TESTS.rglob('test_*.py')}
    tested = {name.replace('test_', '', 1): name for name in tests if not name.startswith(ELSEWHERE)}
    assert sorted(modules - tested.keys()) == sorted(UNTESTED), 'modules without a test file of their name'
    others = sorted(test for module, test in tested.items() if module not in modules)
    assert others == sorted(WHOLE), 'test files without a module of their name'


def test_tests_of_tools_and_helpers_have_their_names():
    for folder, sources in (('tools', PACKAGE.parent / 'tools'), ('helpers', TESTS / 'helpers')):
        tests = [path.name.removeprefix('test_') for path in (TESTS / folder).glob('test_*.py')]
        assert tests and [name for name in tests if not (sources / name).is_file()] == []
