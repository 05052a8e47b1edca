"""Publishes the zoo to an organisation on the Hugging Face Hub, and writes the table of MODEL_CARD.md.

    python tools/publish_zoo.py --org ORG --dry-run
    python tools/publish_zoo.py --org ORG --tag v1

Each detector whose weights are in a folder becomes the repository ORG/name.tag, in one commit; one whose files are all
there is left alone, so a second run does only what is missing. A failure is reported and the others go on; the exit
status is then 1, and the table is not written.

The ImageNet weights of the mbv3_yolo backbones, which are timm's, are copied as well, unless --no-backbones is given or
they cannot be fetched. A backbone that was trained here is part of its detector's repository, where timm finds it.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import timm
import zoo_table
from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, ModelCardData, constants
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import ModelInfo

from mbv3zoo.hub import pull
from mbv3zoo.hub.errors import ask
from mbv3zoo.hub.integrity import is_same, stated_files
from mbv3zoo.hub.publish import publish_folder, published_card
from mbv3zoo.hub.upload import merge_with_hub
from mbv3zoo.saving.folder import BACKBONE_NAME, CARD_NAME, CONFIG_NAME, all_files
from mbv3zoo.utils.atomic import Content, atomic_write_all
from mbv3zoo.version import __version__
from mbv3zoo.zoo import registry as zoo

BEGIN, END = '<!-- zoo:begin -->', '<!-- zoo:end -->'
MODEL_CARD = Path(__file__).parent.parent / 'MODEL_CARD.md'


class Item(NamedTuple):
    """A detector's saved folder, or that of a backbone as stock timm reads it."""

    name: str
    folder: Path
    is_detector: bool = True

    def files(self) -> dict[str, Path]:
        if self.is_detector:
            return all_files(self.folder)
        return {name: self.folder / name for name in (CONFIG_NAME, BACKBONE_NAME, CARD_NAME)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--org', help='organisation or user on the Hub')
    parser.add_argument('--dry-run', action='store_true', help='say what would be pushed where; write nothing')
    parser.add_argument('--private', action='store_true', help='make new repositories private')
    parser.add_argument('--only', default='*', metavar='PATTERN', help='only names such as mbv3*; writes no table')
    parser.add_argument('--tag', help='tag to put on the published commit of each repository')
    parser.add_argument(
        '--register', action='append', default=[], metavar='MODULE', help='import it: it registers more'
    )
    parser.add_argument(
        '--backbones',
        action=argparse.BooleanOptionalAction,
        default=True,
        help="copy timm's weights for the mbv3_yolo backbones",
    )
    parser.add_argument(
        '--allow-license', action='append', default=[], help='of a part of weights, not to be asked about; or any'
    )
    parser.add_argument('--table-only', action='store_true', help='write the table; publish nothing')
    parser.add_argument('--model-card', type=Path, default=MODEL_CARD, help='file with the table')
    args = parser.parse_args(arguments)
    if not args.org and not args.table_only:
        parser.error('--org is required: where is the zoo to be published?')
    for module in args.register:
        importlib.import_module(module)
    if args.table_only:
        write_table(args.model_card, args.org)
        return 0

    with tempfile.TemporaryDirectory() as scratch:
        items = list(zoo_items(args.only, args.backbones, Path(scratch)))
        if not items:
            print(f'nothing in the zoo is called {args.only!r}')
            return 1
        failed = [item.name for item in items if not try_to_publish(item, args)]
    print(
        f'{len(items) - len(failed)} of {len(items)} done' + (f', run again for {", ".join(failed)}' if failed else '')
    )
    # The table says that all of them are there.
    if not (failed or args.dry_run) and args.only == '*':
        write_table(args.model_card, args.org)
    return 1 if failed else 0


def zoo_items(only: str, backbones: bool, scratch: Path) -> Iterator[Item]:
    """Everything to publish whose name matches a pattern; prints what is left out."""
    for name, place in zoo.known_weights().items():
        if not fnmatch.fnmatch(name, only):
            continue
        if isinstance(place, Path):
            yield Item(name, place)
        else:
            print(f'left out   {name}: it is on the Hub already, as {place.repo_id}')
    for name in fnmatch.filter(timm.list_pretrained('mbv3_yolo*'), only) if backbones else ():
        record = timm.get_pretrained_cfg(name)
        assert record is not None, name
        try:
            yield Item(name, copy_backbone(name, record, scratch / name), is_detector=False)
        # Whatever keeps them from being fetched, they are timm's and not missing in the zoo.
        except Exception as error:
            reason = str(error).partition('\n')[0]
            print(f'left out   {name}: its weights cannot be fetched from {record.hf_hub_id} ({reason})')


def copy_backbone(name: str, record: timm.models.PretrainedCfg, folder: Path) -> Path:
    """timm's weights of a backbone, under the name of timm's own architecture, with a card that says whose they are."""
    if not record.hf_hub_id:
        raise ValueError(f'timm knows no repository of {name}')
    files = pull(record.hf_hub_id, (CONFIG_NAME, BACKBONE_NAME))
    data = ModelCardData(
        license=record.license,
        library_name='timm',
        pipeline_tag='image-feature-extraction',
        base_model=record.hf_hub_id,
    )
    text = (
        f'# {name}\n\nA copy of `{record.hf_hub_id}`, whose card says how these weights were trained: '
        f'the backbone of the detectors `{name.split(".")[0]}` of mbv3zoo.\n'
    )
    card = ModelCard(f'---\n{data.to_yaml()}\n---\n\n{text}')
    folder.mkdir()
    contents: dict[str | Path, Content] = {folder / file: Path(path).read_bytes() for file, path in files.items()}
    atomic_write_all(contents | {folder / CARD_NAME: str(card).encode()})
    return folder


def try_to_publish(item: Item, args: argparse.Namespace) -> bool:
    """Publishes one item; prints what was done, or what failed."""
    repo_id = f'{args.org}/{item.name}'
    try:
        print(publish(item, repo_id, args), flush=True)
    # Whatever it is, it must not keep the others from being published.
    except Exception as error:
        print(f'FAILED     {repo_id}: {type(error).__name__}: {error}', flush=True)
        return False
    return True


def publish(item: Item, repo_id: str, args: argparse.Namespace) -> str:
    """Pushes what differs, and tags it. Returns what was done, in words."""
    api = HfApi(library_name='mbv3zoo', library_version=__version__)
    found = on_hub(api, repo_id)
    card = published_card(item.folder, repo_id, allow_licenses=args.allow_license) if item.is_detector else None
    changed = differing(api, item, found, card)
    tagged = on_hub(api, repo_id, args.tag) if args.tag and found else None
    if found and tagged and (changed or tagged.sha != found.sha):
        raise ValueError(
            f'the tag {args.tag} is on {str(tagged.sha)[:8]}, which is not what is to be published now. Give a new tag.'
        )
    if args.dry_run:
        done = f'would push {repo_id}: {", ".join(changed)}' if changed else f'unchanged  {repo_id}'
        return done + (f', and tag it {args.tag}' if args.tag and not tagged else '')
    if changed:
        done = f'pushed     {repo_id}: {", ".join(changed)}; {push(item, repo_id, args)}'
    else:
        done = f'unchanged  {repo_id}'
    if args.tag and not tagged:
        # The commit is tagged, not the branch, which another push may have moved.
        found = on_hub(api, repo_id)
        if found is None or differing(api, item, found, card):
            raise ValueError('another push changed the repository meanwhile, so it was not tagged. Run this again.')
        failed = f'cannot tag {repo_id!r} on the Hub'
        commit = found.sha
        ask(lambda: api.create_tag(repo_id, tag=args.tag, revision=commit, exist_ok=True), failed, repo_id)
        done += f', tagged {args.tag}'
    return done


def push(item: Item, repo_id: str, args: argparse.Namespace) -> str:
    private = args.private or None
    if item.is_detector:
        return publish_folder(item.folder, repo_id, private=private, allow_licenses=args.allow_license)
    api = HfApi(library_name='mbv3zoo', library_version=__version__)
    api.create_repo(repo_id, private=private, exist_ok=True)
    operations = [CommitOperationAdd(name, path) for name, path in item.files().items()]
    return api.create_commit(repo_id, operations, commit_message=f'Upload with mbv3zoo {__version__}').commit_url


def on_hub(api: HfApi, repo_id: str, revision: str | None = None) -> ModelInfo | None:
    """Commit and files of a repository; None where it, or the revision, does not exist."""

    def ask_info() -> ModelInfo | None:
        try:
            return api.model_info(repo_id, revision=revision, files_metadata=True)
        except (RepositoryNotFoundError, RevisionNotFoundError):
            return None

    return ask(ask_info, f'cannot look at {repo_id!r} on the Hub', repo_id)


def differing(api: HfApi, item: Item, found: ModelInfo | None, card: str | None) -> list[str]:
    """Names of the files that the Hub has not, or not so."""
    stated = stated_files(found) if found else {}
    contents: dict[str, Path | bytes] = dict(item.files())
    if card is not None:
        contents[CARD_NAME] = card.encode('utf-8')
    outdated: tuple[str, ...] = ()
    if found and card is not None:
        # What people wrote into the card on the Hub stays there when the detector is pushed, and is no difference.
        contents, outdated = merge_with_hub(api, contents, found)
    return [*(name for name, content in contents.items() if not is_same(content, stated.get(name))), *outdated]


def write_table(path: Path, org: str | None) -> None:
    """Puts the table of detectors with weights between the two marks of a Markdown file."""
    text = path.read_text(encoding='utf-8')
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f'{path}: no lines {BEGIN} and {END}. Put them, in this order, where the table is to stand.')
    table = '\n'.join(zoo_table.weights_table(lambda name: hub_link(org, name) if org else ''))
    atomic_write_all({path: f'{before}{BEGIN}\n{table}\n{END}{after}'.encode()})
    print(f'wrote the table of {path}')


def hub_link(org: str, name: str) -> str:
    return f'[{org}/{name}]({constants.ENDPOINT}/{org}/{name})'


if __name__ == '__main__':
    sys.exit(main())
