"""Every door by which a detector comes from the Hub or goes to it, with hostile answers; see `hostile_hub`."""

import contextlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile_hub import answers, judged, run_child
from hub_server import HubServer

# Method and part of the path.
REQUESTS = {
    'look': ('HEAD', '/resolve/'),
    'list': ('GET', '/api/models/'),
    'file': ('GET', '/resolve/'),
    'storage': ('GET', '/storage/'),
    'create': ('POST', '/api/repos/create'),
    'commit': ('POST', '/commit/'),
}
PUSHES = ('push_to_hub', 'mbv3zoo push')
DATASET = 'hub dataset'
BACKBONE = 'test_resnet.r160_in1k'


def _doors(repo: str, number: int) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Name -> the repository, and what opens it, which returns the detector's weights or something else to compare."""
    import mbv3zoo
    from mbv3zoo.cli.main import app
    from mbv3zoo.zoo.resolve import copy_saved

    def weights(detector: Any) -> dict[str, Any]:
        return {name: value.sum().item() for name, value in detector.state_dict().items() if value.numel() > 1}

    def backbone(name: str) -> dict[str, Any]:
        detector = mbv3zoo.create_detector(name, pretrained=True, num_classes=1, image_size=64)
        return {name: value for name, value in weights(detector).items() if name.startswith('backbone')}

    def run(*arguments: str) -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            return app(list(arguments), standalone_mode=False) or 0

    def saved(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != 'README.md'}

    def copied() -> dict[str, bytes]:
        return saved(copy_saved(repo, f'copies/{number}'))

    def pulled() -> dict[str, bytes]:
        run('pull', repo, f'pulled/{number}')
        return saved(Path(f'pulled/{number}'))

    tagged = f'org/mbv3_yolo_small.tag{number}'
    return {
        'from_pretrained': (repo, lambda: weights(mbv3zoo.Detector.from_pretrained(repo))),
        'load': (repo, lambda: weights(mbv3zoo.load(repo))),
        'create_detector': (repo, lambda: weights(mbv3zoo.create_detector(repo, pretrained=True))),
        'config alone': (repo, lambda: mbv3zoo.create_detector(repo).config.model_dump(mode='json')),
        'hf-hub': (repo, lambda: backbone(f'hf-hub:{repo}')),
        'tag': (tagged, lambda: weights(mbv3zoo.load(tagged.removeprefix('org/')))),
        'timm weights': (f'timm/{BACKBONE}', lambda: backbone(BACKBONE)),
        'copy_saved': (repo, copied),
        'mbv3zoo pull': (repo, pulled),
        'push_to_hub': (repo, lambda: mbv3zoo.Detector.from_pretrained('saved').push_to_hub(repo).count('/commit/')),
        'mbv3zoo push': (repo, lambda: run('push', 'saved', repo)),
    }


def main(sample: int) -> None:
    """Goes through the doors; prints a report in JSON."""
    with HubServer() as server:
        os.environ.update(HF_ENDPOINT=server.url, HF_HOME='hf_home', MBV3ZOO_ORG='org')
        import logging
        import warnings

        from huggingface_hub import constants

        from mbv3zoo.hub import bounds

        warnings.simplefilter('ignore')
        logging.disable()
        constants.HF_HUB_DOWNLOAD_TIMEOUT = constants.HF_HUB_ETAG_TIMEOUT = 0.4
        bounds.SILENCE, bounds.PATIENCE = 0.4, 2
        time.sleep = lambda seconds: None
        every = [
            (door, request, answer)
            for door in _doors('', 0)
            for request in (('create', 'list', 'commit') if door in PUSHES else ('look', 'list', 'file', 'storage'))
            for answer in answers(0)
        ]
        files = {path.name: path.read_bytes() for path in Path('saved').iterdir()}
        timm_files = {path.name: path.read_bytes() for path in Path('backbone').iterdir()}
        report, right = {}, {}
        for number, (door, request, answer) in enumerate(every[:: sample or 1]):
            constants.HF_HUB_CACHE = f'caches/{number}'
            repo, call = _doors(f'org/{door.replace(" ", "-")}-{number}', number)[door]
            if door not in PUSHES:
                server.add_repo(repo, timm_files if door == 'timm weights' else files)
            if door not in right:
                right[door] = call()
                constants.HF_HUB_CACHE = f'caches/again-{number}'
                if door in PUSHES:
                    del server.repos[repo]
            for folder in ('copies', 'pulled'):
                shutil.rmtree(folder, ignore_errors=True)
            method, part = REQUESTS[request]
            server.spoil_next(method, part, answers(0)[answer], float('inf'))
            outcomes = [judged(call, right[door], repo)]
            server.mend()
            shutil.rmtree('copies', ignore_errors=True)
            shutil.rmtree('pulled', ignore_errors=True)
            outcomes += [judged(call, right[door], 'never')]
            report[f'{door}: {request}: {answer}'] = outcomes
    print(json.dumps(report))


def run_doors(folder: Path, *, sample: int = 1, timeout: float = 120) -> dict[str, list[str]]:
    """What came of each situation; as `hostile_hub.run_hostile`."""
    import timm
    from timm.models._hub import save_for_hf

    import mbv3zoo

    mbv3zoo.create_detector('test_resnet', num_classes=1, image_size=64).save_pretrained(folder / 'saved')
    save_for_hf(timm.create_model(BACKBONE), folder / 'backbone', safe_serialization=True)
    return run_child(f'import hostile_doors\nhostile_doors.main({sample})\n', folder, timeout)
