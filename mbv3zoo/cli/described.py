"""A command whose `--help` reads what its options do from the settings that they are."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from typer.core import TyperCommand


class DescribedCommand(TyperCommand):
    """Fills in the help of options without one, and lists the settings that have no option, for `--set`.

    Settings are imported when help is asked for and not before: pydantic takes as long as the rest of the program.
    """

    def settings(self) -> dict[str, Any]:
        """Name -> pydantic field of each setting; an option and its setting have one name."""
        raise NotImplementedError

    def format_options(self, ctx: Any, formatter: Any) -> None:
        settings = {name: _described(field) for name, field in self.settings().items()}
        for option in self.params:
            help = settings.pop(str(option.name), '')
            option.help = getattr(option, 'help', None) or help  # type: ignore[attr-defined]
        super().format_options(ctx, formatter)
        with formatter.section('Settings for --set NAME=VALUE'):
            formatter.write_dl(list(settings.items()))


def _described(field: Any) -> str:
    facts = ['|'.join(get_args(field.annotation))] if get_origin(field.annotation) is Literal else []
    # A preset fills the fields that have no default.
    if not field.is_required() and field.default is not None and field.default is not False:
        facts.append(f'default: {field.default}')
    return field.description + (f'  [{"; ".join(facts)}]' if facts else '')
