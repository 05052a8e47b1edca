"""`mbv3zoo push` and `mbv3zoo pull`: to and from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.options import MODEL, PUBLISHING, Model, Quiet


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
    allow_license: Annotated[
        list[str] | None,
        typer.Option(
            help='Licence of a part of the weights that you accept, or any; may be repeated.',
            show_default='none',
            rich_help_panel=PUBLISHING,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option('--dry-run', help='Only list the files and print the card.', rich_help_panel=PUBLISHING)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Publish a saved detector to the Hugging Face Hub. All files go in one commit."""
    from mbv3zoo.hub.publish import publish_folder, published_card
    from mbv3zoo.zoo.resolve import saved_in_folder

    options: dict[str, Any] = {'revision': revision, 'create_pr': create_pr, 'commit_message': message}
    options |= {'license': license, 'allow_licenses': allow_license or (), 'dry_run': dry_run}
    with saved_in_folder(model) as folder:
        pushed = publish_folder(folder, repo_id, private=private or None, **options)
        if isinstance(pushed, str):
            typer.echo(pushed)
            return
        for file in pushed:
            typer.echo(f'{file.size:>12,}  {file.name}')
        typer.echo('\n' + published_card(folder, repo_id, license, allow_license or ()))


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
