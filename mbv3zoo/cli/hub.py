"""`mbv3zoo push` and `mbv3zoo pull`: to and from the Hugging Face Hub."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.options import MODEL, PUBLISHING, AllowLicense, Model, Quiet


def push(
    model: Model,
    repo_id: Annotated[str, typer.Argument(help='organisation/name on the Hub.')],
    revision: Annotated[
        str | None, typer.Option(help='Branch.', show_default='main', rich_help_panel=PUBLISHING)
    ] = None,
    private: Annotated[
        bool, typer.Option('--private', help='Create the repository as private.', rich_help_panel=PUBLISHING)
    ] = False,
    create_pr: Annotated[
        bool, typer.Option('--create-pr', help='Open a pull request instead of a commit.', rich_help_panel=PUBLISHING)
    ] = False,
    message: Annotated[
        str | None, typer.Option(help='Commit message.', show_default='names the detector', rich_help_panel=PUBLISHING)
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(help='Licence to publish under.', show_default="the card's", rich_help_panel=PUBLISHING),
    ] = None,
    allow_license: AllowLicense = None,
    demo: Annotated[
        bool,
        typer.Option(
            '--demo',
            help='Also publish a page that runs it in the browser, as the Space of that name.',
            rich_help_panel=PUBLISHING,
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option('--dry-run', help='Only list the files and print the card.', rich_help_panel=PUBLISHING)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Publish a saved detector to the Hugging Face Hub. All files go in one commit."""
    from mbv3zoo.hub.publish import publish_folder, published_card
    from mbv3zoo.zoo.resolve import saved_in_folder

    allowed = tuple(allow_license or ())
    options: dict[str, Any] = {'revision': revision, 'create_pr': create_pr, 'commit_message': message}
    options |= {'license': license, 'allow_licenses': allowed, 'dry_run': dry_run}
    with ExitStack() as stack:
        folder = stack.enter_context(saved_in_folder(model))
        # Before the weights are published, as this may fail.
        page = _written_page(stack, folder, repo_id, license) if demo else None
        pushed = publish_folder(folder, repo_id, private=private or None, **options)
        if page is not None:
            from mbv3zoo.demo.space import publish_page

            space = {name: options[name] for name in ('revision', 'create_pr', 'commit_message', 'dry_run')}
            shown = publish_page(page, repo_id, private=private or None, allow_licenses=allowed, **space)
        if isinstance(pushed, str):
            typer.echo(pushed)
            if page is not None:
                typer.echo(shown)
            return
        _list(pushed)
        if page is not None:
            typer.echo(f'\nspaces/{repo_id}')
            _list(shown)
        typer.echo('\n' + published_card(folder, repo_id, license, allowed))


def _written_page(stack: ExitStack, folder: Path, repo_id: str, license: str | None) -> Path:
    from mbv3zoo.demo.page import write_page
    from mbv3zoo.utils.disk import temporary_folder

    place = stack.enter_context(temporary_folder()) / 'page'
    return write_page(folder, place, title=repo_id.split('/')[-1], weights=repo_id, license=license)


def _list(files: Any) -> None:
    for file in files:
        typer.echo(f'{file.size:>12,}  {file.name}')


def pull(
    repo_id: Annotated[str, typer.Argument(help='organisation/name on the Hub, or a packaged name.')],
    folder: Annotated[Path, typer.Argument(help='New folder for the detector.')],
    revision: Annotated[
        str | None,
        typer.Option(
            help='Branch, tag or commit.', show_default='main, or what a packaged name pins', rich_help_panel=MODEL
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fetch a detector from the Hugging Face Hub into a folder."""
    from mbv3zoo.zoo.resolve import copy_saved

    copy_saved(repo_id, folder, revision=revision)
    typer.echo(f'saved in {folder}')
