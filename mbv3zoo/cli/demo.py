"""`mbv3zoo demo`: a page in the browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.options import (
    FORMAT,
    OUTPUT,
    PUBLISHING,
    SERVER,
    AllowLicense,
    AnyModel,
    Calibration,
    ImageSize,
    Quiet,
)
from mbv3zoo.cli.quiet import note


def demo(
    model: AnyModel,
    folder: Annotated[
        Path | None,
        typer.Argument(help='New folder for the page.', show_default='none, with --gradio or --push'),
    ] = None,
    gradio: Annotated[
        bool,
        typer.Option(
            '--gradio',
            help='Start a Gradio app, predicted in Python, also for videos; with FOLDER write it as a Space.',
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    image_size: ImageSize = None,
    precision: Annotated[
        str, typer.Option(help='float32, float16 or int8 (smaller files).', rich_help_panel=FORMAT)
    ] = 'float32',
    calibration: Calibration = None,
    title: Annotated[
        str | None, typer.Option(help='Heading of the page.', show_default="the model's name", rich_help_panel=OUTPUT)
    ] = None,
    example: Annotated[
        Path | None,
        typer.Option(
            help='Picture that visitors can try at once.',
            show_default='a drawn scene, of packaged models',
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option('--overwrite', help='Replace a page that is there.', rich_help_panel=OUTPUT)
    ] = False,
    open_: Annotated[
        bool,
        typer.Option('--open', help='Serve the page on this machine and open the browser.', rich_help_panel=SERVER),
    ] = False,
    port: Annotated[
        int, typer.Option(help='Port, with --open or --gradio; 0 takes a free one.', rich_help_panel=SERVER)
    ] = 0,
    host: Annotated[
        str | None,
        typer.Option(
            help='Address to listen at, with --gradio; 0.0.0.0 lets other machines in.',
            show_default='this machine alone',
            rich_help_panel=SERVER,
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar='<organisation/name>',
            help='Publish it as this Space of the Hugging Face Hub.',
            show_default='none',
            rich_help_panel=PUBLISHING,
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option('--private', help='Create the Space as private.', rich_help_panel=PUBLISHING)
    ] = False,
    allow_license: AllowLicense = None,
    quiet: Quiet = False,
) -> None:
    """Write a web page that runs a model in the browser.

    It takes pictures and a webcam; nothing leaves the page. Any static server shows it, such as
    python -m http.server.
    """
    if push is None and (private or allow_license):
        raise ValueError('--private and --allow-license: to publish; add --push organisation/name, or leave them out')
    if overwrite and folder is None:
        raise ValueError('--overwrite: there is nothing to replace without a folder; leave it out')
    options: dict[str, Any] = {'precision': precision, 'calibration': calibration, 'image_size': image_size}
    if gradio:
        given = options | {'example': example}
        if useless := [name for name, value in given.items() if value not in (None, 'float32')]:
            names = ', '.join(f'--{name.replace("_", "-")}' for name in useless)
            raise ValueError(f'{names}: for the page only, and --gradio runs the model as it is; leave it out')
        if push is not None and (open_ or port or host is not None):
            raise ValueError('--open, --port and --host: to start the app; leave --push out, or them')
        if push is None:
            _gradio(model, folder, title, overwrite, open_, host, port)
        else:
            _push_app(model, folder, push, title, overwrite, private, allow_license or ())
        return
    if folder is None and push is None:
        raise ValueError('demo: name a new folder for the page, or add --gradio to start an app without one')
    if host is not None:
        raise ValueError('--host: for --gradio only; the page is served on this machine alone')
    if (port and not open_) or (open_ and folder is None):
        raise ValueError(
            '--port and --open: to serve the page of a folder; give the folder and --open, or leave them out'
        )
    from mbv3zoo.demo.page import write_page
    from mbv3zoo.demo.serve import make_server, open_in_browser

    with ExitStack() as stack:
        place = stack.enter_context(_folder_or_temporary(folder, push))
        # First, as a port may be taken.
        server = stack.enter_context(make_server(place, port)) if open_ else None
        write_page(
            model, place, title=title, example=example, overwrite=overwrite, weights=_repository(model), **options
        )
        if folder is not None:
            typer.echo(f'saved in {folder}')
        if push is not None:
            from mbv3zoo.demo.space import publish_page

            address = publish_page(place, push, private=private or None, allow_licenses=tuple(allow_license or ()))
            typer.echo(f'published: {address}')
        if server is not None:
            typer.echo(f'on {open_in_browser(server)} until you press Ctrl-C')
            server.serve_forever()
        elif folder is not None:
            note(f'to see it: python -m http.server -d {folder}')


def _gradio(
    model: str, folder: Path | None, title: str | None, overwrite: bool, open_: bool, host: str | None, port: int
) -> None:
    """Starts the Gradio app, or writes it into a folder."""
    if folder is not None:
        if open_ or port or host is not None:
            raise ValueError('--open, --port and --host: to start the app; leave the folder out, or them')
        from mbv3zoo.demo.gradio_space import write_app

        write_app(model, folder, title=title, overwrite=overwrite)
        typer.echo(f'saved in {folder}')
        note(f'to try it: python {folder / "app.py"}')
        return
    from mbv3zoo.demo.gradio_app import build_app, launch

    launch(
        build_app(model, title=title),
        host=host,
        port=port or None,
        open_browser=open_,
        on_start=lambda address: typer.echo(f'on {address} until you press Ctrl-C'),
    )


def _push_app(
    model: str,
    folder: Path | None,
    push: str,
    title: str | None,
    overwrite: bool,
    private: bool,
    allowed: Sequence[str],
) -> None:
    """Writes the Gradio app and publishes it."""
    from mbv3zoo.demo.gradio_space import publish_app, write_app

    with _folder_or_temporary(folder, push) as place:
        write_app(model, place, title=title, overwrite=overwrite)
        address = publish_app(model, place, push, private=private or None, allow_licenses=allowed)
        typer.echo(f'published: {address}')


@contextmanager
def _folder_or_temporary(folder: Path | None, push: str | None) -> Iterator[Path]:
    """The folder, or without one a temporary one; the name of a Space is checked before anything is done."""
    if push is not None:
        from mbv3zoo.hub import check_repo_id

        check_repo_id(push)
    if folder is not None:
        yield folder
        return
    from mbv3zoo.utils.disk import temporary_folder

    with temporary_folder() as temporary:
        yield temporary / 'page'


def _repository(model: str) -> str | None:
    """The Hub repository that a model's name stands for; None where it is something else."""
    from mbv3zoo.zoo.resolve import resolve
    from mbv3zoo.zoo.saved import HubSource

    if Path(model).exists():
        return None
    return model if isinstance(resolve(model), HubSource) else None
