"""`mbv3zoo demo`: a page in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.options import FORMAT, OUTPUT, SERVER, AnyModel, ImageSize, Quiet
from mbv3zoo.cli.quiet import note


def demo(
    model: AnyModel,
    folder: Annotated[Path, typer.Argument(help='New folder for the page.')],
    image_size: ImageSize = None,
    precision: Annotated[
        str, typer.Option(help='float32, float16 or int8 (a quarter of the size).', rich_help_panel=FORMAT)
    ] = 'float32',
    calibration: Annotated[
        str | None,
        typer.Option(help='Dataset or folder of images for int8.', show_default='none', rich_help_panel=FORMAT),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help='Heading of the page.', show_default="the model's name", rich_help_panel=OUTPUT)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option('--overwrite', help='Replace a page that is there.', rich_help_panel=OUTPUT)
    ] = False,
    open_: Annotated[
        bool,
        typer.Option('--open', help='Serve the page on this machine and open the browser.', rich_help_panel=SERVER),
    ] = False,
    port: Annotated[int, typer.Option(help='Port, with --open; 0 takes a free one.', rich_help_panel=SERVER)] = 0,
    quiet: Quiet = False,
) -> None:
    """Write a web page that runs a detector in the browser.

    It takes pictures and a webcam; nothing leaves the page. Any static server shows it, such as
    python -m http.server.
    """
    from mbv3zoo.demo.page import write_page

    options: dict[str, Any] = {'precision': precision, 'calibration': calibration, 'image_size': image_size}
    write_page(model, folder, title=title, overwrite=overwrite, **options)
    typer.echo(f'saved in {folder}')
    if not open_:
        note(f'to see it: python -m http.server -d {folder}')
        return
    from mbv3zoo.demo.serve import make_server, open_in_browser

    with make_server(folder, port) as server:
        typer.echo(f'on {open_in_browser(server)} until you press Ctrl-C')
        server.serve_forever()
