import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mbv3zoo.prediction import video
from mbv3zoo.prediction.window import Window

# Shows frames, presses a key or the button of the window, and says how many frames came before it was closed.
PROGRAM = """
import sys
from PIL import Image
from mbv3zoo.prediction.window import Window

with Window('clip.mp4') as window:
    for index in range(20):
        window.add(Image.new('RGB', (4000, 300) if index % 2 else (300, 200), (index, 0, 0)))
        if index == 5 and sys.argv[1] == 'button':
            window._root.tk.call(*window._root.protocol('WM_DELETE_WINDOW').split())
        elif index == 5:
            window._root.focus_force()
            window._root.event_generate(sys.argv[1])
        if not window.is_open:
            break
    print(index, window._root.winfo_width(), window._root.winfo_screenwidth())
"""


@pytest.fixture(scope='module')
def display():
    if not shutil.which('Xvfb'):
        pytest.skip('no Xvfb')
    pytest.importorskip('tkinter')
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ['Xvfb', '-displayfd', str(writer), '-screen', '0', '1024x700x24'], pass_fds=[writer], stderr=subprocess.DEVNULL
    )
    os.close(writer)
    with os.fdopen(reader) as file:
        yield f':{file.readline().strip()}'
    server.terminate()
    server.wait()


@pytest.mark.parametrize('closing', ['<q>', '<Escape>', 'button'])
def test_a_key_or_the_button_closes_the_window_and_large_frames_fit_the_screen(display, closing):
    root = str(Path(video.__file__).parents[2])
    environment = {**os.environ, 'DISPLAY': display, 'PYTHONPATH': root}
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, closing], env=environment, capture_output=True, text=True, timeout=60
    )
    assert not done.returncode, done.stderr
    last, width, screen = map(int, done.stdout.split())
    assert last in (5, 6) and width <= screen


def test_without_a_display_one_sentence_says_so(monkeypatch):
    tkinter = pytest.importorskip('tkinter')
    monkeypatch.setattr(tkinter, 'Tk', lambda: (_ for _ in ()).throw(tkinter.TclError('no display name')))
    with pytest.raises(RuntimeError, match=r'^there is no display \(no display name\)$'):
        Window('a')


def test_without_tkinter_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tkinter', None)
    with pytest.raises(RuntimeError, match='this Python has no tkinter .*apt install python3-tk'):
        Window('a')


class FakeWindow:
    """Is closed by its user after so many frames."""

    frames = 4

    def __init__(self, title):
        self.title, self.shown, self.is_open = title, [], True
        FakeWindow.last = self

    def add(self, image):
        assert isinstance(image, Image.Image)
        self.shown.append(image.size)
        self.is_open = len(self.shown) < self.frames

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.is_open = False


@pytest.mark.parametrize('draw', [True, False])
def test_closing_the_window_ends_the_run_with_whole_files(tmp_path, monkeypatch, draw):
    av = pytest.importorskip('av')
    from clips import Bright, write_clip

    monkeypatch.setattr(video, 'Window', FakeWindow)
    path = write_clip(tmp_path / 'clip.mp4')
    (line,) = video.write_video_predictions(Bright(), path, tmp_path / 'out', show=True, draw=draw, progress=False)
    assert line.startswith('4 frames, 4 objects') and FakeWindow.last.title == str(path)
    assert FakeWindow.last.shown == [(64, 48)] * 4
    rows = [json.loads(text) for text in (tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()]
    assert [row['index'] for row in rows] == [0, 1, 2, 3]
    assert (tmp_path / 'out' / 'video.mp4').exists() == draw
    if draw:
        with av.open(str(tmp_path / 'out' / 'video.mp4')) as container:
            assert len(list(container.decode(video=0))) == 4


@pytest.mark.parametrize(('draw', 'where'), [(True, 'written to video.mp4 only'), (False, 'shown nowhere')])
def test_without_a_display_the_run_goes_on(tmp_path, monkeypatch, draw, where):
    pytest.importorskip('av')
    from clips import Bright, write_clip

    def fail(title):
        raise RuntimeError('there is no display')

    monkeypatch.setattr(video, 'Window', fail)
    path = write_clip(tmp_path / 'clip.mp4', 3)
    with pytest.warns(UserWarning, match=rf'^show: there is no display; the frames are {where}$'):
        (line,) = video.write_video_predictions(Bright(), path, tmp_path / 'out', show=True, draw=draw, progress=False)
    assert line.startswith('3 frames, 3 objects')
