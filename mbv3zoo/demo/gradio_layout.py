"""The page of the Gradio app: its widgets, and what each of them calls."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from gradio.processing_utils import hash_bytes
from gradio.utils import get_upload_folder

from mbv3zoo.demo.gradio_models import Models
from mbv3zoo.demo.gradio_predict import (
    AREA_HEADERS,
    HEADERS,
    MOST_FRAMES,
    find_in_frame,
    find_in_picture,
    find_in_video,
    how_much,
    settings_of,
)
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.prediction.engine import finds_labels
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.disk import sentence

# Pictures, and frames of webcams, that run at once; of videos there is one. Others wait for their turn.
_AT_ONCE = 4
# Files that visitors sent, and results, are removed after an hour: (seconds between looks, age).
_REMOVED = (600, 3600)
# Seconds that a webcam may run until others who wait have their turn, and between its frames.
_TURN, _EVERY = 120, 0.1
# The rear camera of a phone.
_CAMERA = {'video': {'facingMode': 'environment', 'width': 640, 'height': 480}}
_PROGRESS = gr.Progress()


def lay_out(models: Models, title: str, example: Path | None = None) -> gr.Blocks:
    """The app; for its arguments see `mbv3zoo.demo.gradio_app.build_app`."""
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=_REMOVED) as app:
        gr.Markdown(f'# {title}')
        with gr.Row():
            model = gr.Dropdown(
                models.names,
                value=models.own,
                label='Model',
                info="Choose one, or type a repository of the Hugging Face Hub: 'organisation/name'",
                allow_custom_value=True,
                min_width=260,
            )
            classes = gr.Dropdown(
                list(models.class_names(models.own)),
                multiselect=True,
                label='Classes',
                info='None chosen: all are found',
                allow_custom_value=True,
                min_width=260,
            )
            score = gr.Slider(0, 1, PREDICTION.score_thresh, step=0.01, label='Least score', min_width=260)
            overlap = gr.Slider(0, 1, PREDICTION.iou_thresh, step=0.01, label='Most overlap (IoU)', min_width=260)
        settings = [model, score, overlap, classes]
        for widget in settings[1:]:
            widget.visible = not finds_labels(models.open(models.own))
        with gr.Tab('Picture'):
            run_picture = _picture_tab(models, settings, example)
        with gr.Tab('Webcam'):
            _webcam_tab(models, settings)
        with gr.Tab('Video'):
            _video_tab(models, settings)

        def known_settings(name: str) -> Any:
            with _told():
                shown, names = not finds_labels(models.open(name)), list(models.class_names(name))
            return gr.update(visible=shown), gr.update(visible=shown), gr.update(choices=names, value=[], visible=shown)

        changed = model.change(known_settings, model, settings[1:], api_visibility='private')
        run_picture(changed.success)
    # Of each kind of event.
    return app.queue(default_concurrency_limit=_AT_ONCE)


def _picture_tab(models: Models, settings: list[Any], example: Path | None) -> Callable[[Callable], Any]:
    """Returns what runs the prediction after one more event."""
    with gr.Row():
        image = gr.Image(
            sources=['upload', 'clipboard', 'webcam'],
            type='filepath',
            image_mode=None,
            label='Picture',
            alt_text='The picture you chose',
        )
        with gr.Column():
            drawn = gr.Image(
                label='Found', interactive=False, buttons=['download', 'fullscreen'], alt_text='What was found in it'
            )
            summary = gr.Markdown()
    if example:
        gr.Examples([str(example)], image, label='A picture to try', api_visibility='private')
    # The file as it was sent: `predict` reads it itself, with its limits and its words, also what Gradio cannot open.
    image.preprocess = lambda sent: sent and sent.path  # type: ignore[method-assign, assignment, return-value]
    table = gr.Dataframe(headers=HEADERS, datatype=['str', *['number'] * 5], interactive=False, label='Table')  # type: ignore[list-item]
    download = gr.DownloadButton('Download JSON', interactive=False)

    def picture(image: str | None, model: str, score: float, overlap: float, classes: list[str]) -> tuple[Any, ...]:
        """Finds the objects, or classes, of a picture: the picture with them, a table, a JSON file, a summary."""
        if image is None:
            return None, [], gr.DownloadButton(value=None, interactive=False), ''
        with _told():
            opened = models.open(model)
            found = find_in_picture(opened, image, **settings_of(score, overlap, classes, opened))
        name = Path(image).stem
        json = _file(found.json.encode(), f'{name}.json')
        return (
            _file(found.picture, f'{name}_found.jpg'),
            {'headers': AREA_HEADERS if finds_labels(opened) else HEADERS, 'data': found.table},
            gr.DownloadButton(value=json, interactive=True),
            found.summary,
        )

    inputs, outputs = [image, *settings], [drawn, table, download, summary]
    _, score, overlap, classes = settings
    triggers = [image.change, score.change, overlap.change, classes.change]
    gr.on(triggers, picture, inputs, outputs, api_name='picture', trigger_mode='always_last', show_progress='minimal')
    return lambda event: event(picture, inputs, outputs, api_visibility='private', show_progress='minimal')


def _webcam_tab(models: Models, settings: list[Any]) -> None:
    times = gr.State([])
    with gr.Row():
        camera = gr.Image(
            sources=['webcam'],
            streaming=True,
            label='Webcam',
            webcam_options=gr.WebcamOptions(mirror=False, constraints=_CAMERA),
        )
        with gr.Column():
            live = gr.Image(
                label='Found', interactive=False, buttons=['fullscreen'], alt_text='What was found in the frame'
            )
            # In memory: ten frames a second are no files.
            live.postprocess = _in_memory  # type: ignore[method-assign, assignment]
            summary = gr.Markdown()

    def frame(
        frame: np.ndarray | None, times: list[float], model: str, score: float, overlap: float, classes: list[str]
    ) -> tuple[Any, ...]:
        if frame is None:
            return None, [], ''
        start = time.perf_counter()
        with _told():
            opened = models.open(model)
            drawn, found = find_in_frame(opened, frame, **settings_of(score, overlap, classes, opened))
        end = time.perf_counter()
        times = [*(past for past in times if past > end - 3), end]
        rate = f', {(len(times) - 1) / (times[-1] - times[0]):.1f} frames a second' if len(times) > 1 else ''
        return drawn, times, f'{how_much(found)}, {1000 * (end - start):.0f} ms{rate}'

    camera.stream(
        frame,
        [camera, times, *settings],
        [live, times, summary],
        stream_every=_EVERY,
        time_limit=_TURN,
        show_progress='hidden',
        api_visibility='private',
    )


def _video_tab(models: Models, settings: list[Any]) -> None:
    with gr.Row():
        chosen = gr.Video(sources=['upload', 'webcam'], label='Video', buttons=[])
        with gr.Column():
            drawn = gr.Video(label='Found', interactive=False, buttons=['download'])
            summary = gr.Markdown(f'Videos are read for their first {MOST_FRAMES:,} frames.')
    with gr.Row():
        run = gr.Button('Run', variant='primary')
        download = gr.DownloadButton('Download JSON lines', interactive=False)

    def video(
        video: str | None, model: str, score: float, overlap: float, classes: list[str], progress: Any = _PROGRESS
    ) -> tuple[Any, ...]:
        """Finds the objects, or classes, of a video: the video with them, a file of JSON lines, a summary."""
        if video is None:
            raise gr.Error('Choose a video first.', print_exception=False)

        def tell(done: int, total: int | None) -> None:
            progress((done, total), unit='frames')

        with _told():
            opened = models.open(model)
            mp4, lines, line = find_in_video(opened, video, tell, **settings_of(score, overlap, classes, opened))
        name = Path(video).stem
        rows = gr.DownloadButton(value=_file(lines, f'{name}.jsonl'), interactive=True)
        return _file(mp4, f'{name}_found.mp4'), rows, line

    run.click(
        video,
        [chosen, *settings],
        [drawn, download, summary],
        api_name='video',
        concurrency_limit=1,
        show_progress_on=drawn,
    )


@contextmanager
def _told() -> Iterator[None]:
    """Context manager: a user's mistake is shown on the page in one sentence."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        text = sentence(error) if isinstance(error, OSError) else str(error)
        raise gr.Error(' '.join(text.split()), print_exception=False) from error


def _in_memory(jpeg: bytes | None) -> ImageData | None:
    return ImageData(url=f'data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}') if jpeg else None


def _file(content: bytes, name: str) -> str:
    """A file in the app's cache, which the browser may fetch.

    Gradio's own function writes over a file of the same content, which another visitor may just be fetching.
    """
    path = Path(get_upload_folder()).resolve() / hash_bytes(content) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content)
    return str(path)
