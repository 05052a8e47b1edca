"""The Gradio app: a model's pictures, webcam and videos in the browser, predicted in Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbv3zoo.demo.example import example_picture
from mbv3zoo.demo.gradio_models import Models
from mbv3zoo.demo.model_info import WORDS
from mbv3zoo.prediction.engine import task_of
from mbv3zoo.utils.environment import environment
from mbv3zoo.utils.packages import require

if TYPE_CHECKING:
    from gradio import Blocks

# Fonts of the system: the page asks nobody for others.
_FONT, _MONO = ('system-ui', 'sans-serif'), ('ui-monospace', 'monospace')
_LARGEST_UPLOAD = '200mb'


def build_app(model: str | Path = 'mbv3_yolo_small.synth', *, title: str | None = None) -> Blocks:
    """The app of a detector, not yet started.

    Visitors may choose any packaged detector, or type the name of a repository on the Hugging Face Hub, which is asked
    without this machine's token. They cannot name files of this machine. Any number of visitors may be there at once.

    Args:
        model: As for `mbv3zoo.load`.
        title: Heading of the page; names the model by default.

    Returns:
        A `gradio.Blocks`; `launch` starts it.

    Raises:
        ValueError: There is no such detector.
        ImportError: Gradio is not installed.

    Example:
        >>> app = build_app('mbv3_yolo_small.synth', title='Shapes')
        >>> app.title
        'Shapes'
    """
    require('the Gradio app', 'gradio')
    models = Models(model)
    from mbv3zoo.demo.gradio_layout import lay_out

    return lay_out(
        models, title or f'{models.own}: {WORDS[task_of(models.open(models.own))].name}', example_picture(model, None)
    )


def launch(
    app: Blocks,
    *,
    host: str | None = None,
    port: int | None = None,
    open_browser: bool = False,
    on_start: Callable[[str], Any] = lambda address: None,
    wait: bool = True,
) -> str:
    """Starts an app, without a public link and without Gradio's statistics.

    Args:
        app: From `build_app`.
        host: Address to listen at, such as '0.0.0.0' for all of this machine's; by default what the environment's
            `GRADIO_SERVER_NAME` says, as in a Space, else this machine alone ('127.0.0.1').
        port: By default the first one from 7860 on that is free.
        open_browser: Whether to open the page.
        on_start: Called with the address once the app answers.
        wait: Whether to return only when the app was interrupted (Ctrl-C).

    Returns:
        The address, such as 'http://127.0.0.1:7860/'.

    Raises:
        OSError: The port is in use.

    Example:
        >>> app = build_app()
        >>> address = launch(app, wait=False)
        >>> app.close()
    """
    import gradio as gr

    with environment(GRADIO_RUN_HISTORY='False'):
        _, address, _ = app.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            share=False,
            quiet=True,
            ssr_mode=False,
            enable_monitoring=False,
            mcp_server=False,
            max_file_size=_LARGEST_UPLOAD,
            footer_links=['api'],
            theme=gr.themes.Default(font=_FONT, font_mono=_MONO),
            prevent_thread_lock=True,
        )
    on_start(address)
    with suppress(KeyboardInterrupt):
        while wait and app.is_running:
            time.sleep(0.2)
    if wait:
        app.close(verbose=False)
    return address
