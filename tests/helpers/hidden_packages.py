"""A program: whatever needs an optional package, tried where none is installed. Prints what was said, as JSON.

`python hidden_packages.py folder`; the folder is empty.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from mbv3zoo.utils.packages import EXTRAS

SOURCE = 'mbv3_yolo_small.synth'


OPTIONAL = {package for own in EXTRAS.values() for package in own}


def commands():
    """What to ask of the program -> a package that it must name."""
    from mbv3zoo.runtimes.table import FORMATS, LIVE_FORMATS

    for row in FORMATS.values():
        file = Path(f'model{row.suffix}')
        for precision in row.precisions if row.packages else ():
            calibration = ['--calibration', '.'] if precision == 'int8' else []
            yield ['export', 'no_such_model', f'new{row.suffix}', '--precision', precision, *calibration], row.packages
        for runtime in row.runtimes:
            if runtime.package in OPTIONAL:
                file.touch()
                named = [runtime.package]
                yield ['predict', str(file), 'picture.png', '--runtime', runtime.name], named
                yield ['val', str(file), '--data', 'no_such_data', '--runtime', runtime.name], named
                yield ['benchmark', str(file), '--runtime', runtime.name], named
        if row.runtimes[0].package in OPTIONAL:
            yield ['predict', str(file), 'picture.png'], [row.runtimes[0].package]
            yield ['benchmark', str(file)], [row.runtimes[0].package]
    for name, row in LIVE_FORMATS.items():
        # Before the detector is looked for.
        yield ['predict', 'org/no_such_model', 'picture.png', '--runtime', name], row.packages
        yield ['val', 'org/no_such_model', '--data', 'no_such_data', '--runtime', name], row.packages
        yield ['benchmark', SOURCE, '--runtime', name], [row.runtimes[0].package]
        fit = ['fit', 'org/no_such_model', '--data', 'no_such_data', '--ms', '5']
        yield [*fit, '--runtime', name], [row.runtimes[0].package]
    for source in ('clip.mp4', '0', 'rtsp://nowhere/stream'):
        yield ['predict', 'org/no_such_model', source], ['av']
    hub = 'hub:org/data'
    yield ['val', 'org/no_such_model', '--data', hub], ['datasets']
    yield ['train', '--data', hub], ['datasets']
    yield ['export', 'org/no_such_model', 'new.torchscript', '--data', hub], ['datasets']
    for name in ('tensorboard', 'wandb', 'trackio'):
        yield ['train', '--data', 'no_such_data', '--tracker', name], [name]


def calls():
    """The same from Python."""
    import mbv3zoo
    from mbv3zoo.prediction.video import predict_video
    from mbv3zoo.runtimes.table import FORMATS, LIVE_FORMATS

    detector = mbv3zoo.load(SOURCE)
    for row in FORMATS.values():
        if row.packages:
            yield f'export {row.name}', lambda row=row: detector.export(f'new{row.suffix}'), row.packages
            yield f'load {row.name}', lambda row=row: mbv3zoo.load(f'model{row.suffix}'), [row.runtimes[0].package]
    for name, row in LIVE_FORMATS.items():
        yield f'predict in {name}', lambda name=name: detector.predict('picture.png', runtime=name), row.packages
        yield f'load in {name}', lambda name=name: mbv3zoo.load('org/none', runtime=name), row.packages
    yield 'hub data', lambda: mbv3zoo.load_dataset('hub:org/data', 'val'), ['datasets']
    yield 'video', lambda: predict_video(detector, 'clip.mp4'), ['av']
    yield 'supervision', lambda: mbv3zoo.Detections.empty().to_supervision(), ['supervision']
    yield 'slice', lambda: detector.predict('picture.png', slice=64), ['supervision']


def main(folder: str) -> None:
    os.chdir(folder)
    # Neither found nor imported then.
    sys.modules.update(dict.fromkeys(OPTIONAL))
    from mbv3zoo.cli.main import main as program

    said = []
    for arguments, packages in commands():
        sys.argv = ['mbv3zoo', *arguments]
        text, code = io.StringIO(), 0
        with contextlib.redirect_stderr(text), contextlib.redirect_stdout(text):
            try:
                program()
            except SystemExit as stop:
                code = stop.code
        said.append({'asked': ' '.join(arguments), 'packages': [*packages], 'code': code, 'text': text.getvalue()})
    for name, call, packages in calls():
        try:
            call()
            text = 'no error'
        except ImportError as error:
            text = f'mbv3zoo: {error}\n'
        said.append({'asked': name, 'packages': [*packages], 'code': 1, 'text': text})
    print(json.dumps({'said': said, 'left': sorted(path.name for path in Path().iterdir())}))


if __name__ == '__main__':
    main(sys.argv[1])
