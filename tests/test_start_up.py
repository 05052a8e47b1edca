"""What is imported when: in processes of their own, since pytest has imported everything."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer
from warm_python import run_code

import mbv3zoo
from mbv3zoo.runtimes.graph_cache import KeptGraphs
from mbv3zoo.zoo.resolve import resolve_saved

HEAVY = 'torch', 'torchvision', 'timm', 'matplotlib', 'huggingface_hub'


def output(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def run(code):
    """Where it does not matter that torch has been imported."""
    return output(run_code(code))


def loaded(code, **env):
    code = f'{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])'
    return output(
        subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False, env=os.environ | env)
    )


def test_importing_the_package_imports_nothing_heavy():
    assert loaded('import mbv3zoo; dir(mbv3zoo); mbv3zoo.__version__') == []
    assert loaded('import mbv3zoo.cli.main') == []


@pytest.mark.parametrize(
    'code', ['import mbv3zoo, timm', 'import timm, mbv3zoo', 'import mbv3zoo.loading, timm.layers']
)
def test_backbones_are_in_timms_registry_in_either_order(code):
    assert 'mbv3_yolo_small' in run(f'{code}\nimport timm\nprint(*timm.list_models("mbv3*"))')
    assert run(
        f'{code}\nimport timm\nm = timm.create_model("mbv3_yolo", features_only=True)\nprint(type(m).__name__)'
    ) == ['MobileNetV3Features']


def test_public_names_are_there():
    assert run('import mbv3zoo\nprint(*[n for n in mbv3zoo.__all__ if getattr(mbv3zoo, n) is None])') == []
    assert (
        run('import mbv3zoo\ntry:\n    mbv3zoo.nothing\nexcept AttributeError as e:\n    print(e)')[-1] == "'nothing'"
    )


def test_editors_and_type_checkers_see_the_names_that_are_imported_lazily():
    tree = ast.parse(Path(mbv3zoo.__file__).read_text(encoding='utf-8'))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == 'TYPE_CHECKING')
    seen = {
        # `as` makes the name public to them.
        alias.asname: node.module.removeprefix('mbv3zoo').removeprefix('.')
        for node in block.body
        for alias in node.names
    }
    assert seen == mbv3zoo._HOMES | {'backbones': ''}
    assert set(mbv3zoo.__all__) == {'__version__', *seen} <= set(dir(mbv3zoo))
    for name, home in mbv3zoo._HOMES.items():
        assert getattr(mbv3zoo, name) is getattr(sys.modules[f'mbv3zoo.{home}'], name)


def test_an_exported_file_predicts_without_torch(exported_file, scene):
    code = f'import mbv3zoo\nd = mbv3zoo.load({str(exported_file)!r})\nfound = d.predict({str(scene)!r})\n'
    assert loaded(f'{code}assert len(found) >= 3, found') == []
    code = f'from mbv3zoo.cli.main import app\napp(["predict", {str(exported_file)!r}, {str(scene)!r}, "--out", '
    assert set(loaded(f'{code}{str(exported_file.parent / "out")!r}], standalone_mode=False)')) & set(HEAVY) == set()


@pytest.mark.parametrize('call', ['files', 'read_config()'])
def test_which_detector_a_name_stands_for_is_told_without_torch(call):
    assert (
        loaded(
            'from mbv3zoo.zoo.resolve import resolve_saved\n'
            f'assert resolve_saved("mbv3_yolo_small.synth").{call}\n'
            f'assert resolve_saved({str(Path(mbv3zoo.__file__).parent / "weights/mbv3_yolo_small.synth")!r}).{call}'
        )
        == []
    )


@pytest.mark.parametrize('kind', ['name', 'folder', 'folder called by a word'])
def test_a_saved_detector_whose_graph_is_kept_predicts_without_torch(kept_graph, kind, scene, tmp_path):
    source = kept_graph
    if kind != 'name':
        folder = tmp_path / ('saved' if kind == 'folder called by a word' else 'runs/train-1')
        shutil.copytree(Path(mbv3zoo.__file__).parent / 'weights' / kept_graph, folder)
        source = 'saved' if kind == 'folder called by a word' else str(folder)
    go = f'import os\nos.chdir({str(tmp_path)!r})\n'
    code = f'{go}import mbv3zoo\nd = mbv3zoo.load({source!r}, runtime="onnxruntime", allow_licenses=["apache-2.0"])\n'
    assert loaded(f'{code}assert len(d.predict({str(scene)!r}).boxes) >= 3 and d.runtime == "onnxruntime"') == []
    words = ['predict', source, str(scene), '--runtime', 'onnxruntime', '--out', 'found']
    code = f'{go}from mbv3zoo.cli.main import app\napp({words!r}, standalone_mode=False)'
    assert set(loaded(code)) & {*HEAVY} == set()


@pytest.mark.parametrize('source', ['org/mbv3_yolo_small.toys', 'mbv3_yolo_small.toys'])
def test_a_detector_on_the_hub_whose_graph_is_kept_predicts_without_torch(kept_graph, source, scene, tmp_path):
    saved = Path(mbv3zoo.__file__).parent / 'weights' / kept_graph
    files = {path.name: path.read_bytes() for path in saved.iterdir() if path.is_file()}
    code = f'import mbv3zoo\nd = mbv3zoo.load({source!r}, runtime="onnxruntime")\nassert d.predict({str(scene)!r})'
    with HubServer() as server:
        server.add_repo('org/mbv3_yolo_small.toys', files)
        hub = {'HF_ENDPOINT': server.url, 'HF_HOME': str(tmp_path), 'HF_HUB_DISABLE_XET': '1', 'MBV3ZOO_ORG': 'org'}
        assert loaded(code, **hub) == ['huggingface_hub']
    # From the Hub's cache.
    assert loaded(code, **hub, HF_HUB_OFFLINE='1') == ['huggingface_hub']


@pytest.fixture(scope='module')
def kept_graph(exported_file):
    """Name of a detector whose graph is kept: the exported one, as if an earlier start had written it."""
    saved = resolve_saved('mbv3_yolo_small.synth')
    config, digests = saved.identity()
    KeptGraphs('a', config.model_dump(mode='json'), digests).keep('onnxruntime', config.image_size, 1, exported_file)
    return 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def exported_file(tmp_path_factory):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    path = tmp_path_factory.mktemp('exported') / 'model.onnx'
    return mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth').export(path)


@pytest.fixture(scope='module')
def scene():
    return Path(__file__).parents[1] / 'docs' / 'scene.jpg'
