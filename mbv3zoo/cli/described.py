"""The commands' own kind: what `--help` prints of them, as plain text for a terminal of 80 columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from typer.core import TyperCommand, TyperGroup

from mbv3zoo.cli.habits import answer_command, check_words, refuse
from mbv3zoo.cli.interruption import told_in_one_line
from mbv3zoo.cli.options import GENERAL
from mbv3zoo.cli.quiet import quieted
from mbv3zoo.config.presets import PRESETS


class _WithExamples(TyperCommand if TYPE_CHECKING else object):  # type: ignore[misc]
    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        if self.epilog:
            with formatter.section('Examples'):
                for line in self.epilog.splitlines():
                    formatter.write(f'  {line}\n')


class Command(_WithExamples, TyperCommand):
    """Prints options in the groups that their `rich_help_panel` names, and the examples of the epilog as written.

    Its interruption is told in one line.
    """

    def settings(self) -> dict[str, Any]:
        """Name -> pydantic field of each setting that --set takes; an option and its setting have one name."""
        return {}

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(group_of(param), []).append(_plain(*record))
        # What every command has comes last.
        for name in sorted(sections, key=GENERAL.__eq__):
            with formatter.section(name):
                formatter.write_dl(sections[name])

    def invoke(self, ctx: Any) -> Any:
        with told_in_one_line(self.name), quieted(ctx.params.get('quiet', False)):
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = _with_values(args, self.name)
        if not ctx.resilient_parsing:
            others = getattr(ctx.parent.command, 'commands', None) if ctx.parent else None
            check_words(self, args, self.settings(), others)
        return super().parse_args(ctx, args)


def _with_values(args: list[str], command: str | None) -> list[str]:
    """Arguments in which an option whose value may be left out has one: `export --nms` is `--nms inside`."""
    if command != 'export':
        return args
    full = []
    for arg, after in zip(args, [*args[1:], ''], strict=False):
        full += [arg, 'inside'] if arg == '--nms' and after not in ('inside', 'none') else [arg]
    return full


class Group(_WithExamples, TyperGroup):
    """The program: it answers a command that it does not have with what to type."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {name for option in self.get_params(ctx) for name in option.opts}
        if args and not ctx.resilient_parsing and args[0].partition('=')[0] not in known | set(self.commands):
            refuse(f'{args[0]}: {answer_command(args[0], list(self.commands))}')
        return super().parse_args(ctx, args)


class DescribedCommand(Command):
    """Fills in the help of options without one, and lists the settings that have no option, for `--set`.

    Settings are imported when help is asked for and not before: pydantic takes as long as the rest of the program.
    """

    # Heading of the settings that have an option and name no other.
    group: str

    def format_options(self, ctx: Any, formatter: Any) -> None:
        fields = self.settings()
        for option in self.params:
            # `slice_` is the option of `slice`, which is a name of Python's own.
            field = fields.pop(str(option.name).rstrip('_'), None)
            if field is not None and not getattr(option, 'help', None):
                # One that shows its own default says what None is.
                has_default = isinstance(getattr(option, 'show_default', None), str)
                option.help = _described(str(option.name), field, has_default)  # type: ignore[attr-defined]
            if field is not None and not getattr(option, 'rich_help_panel', None):
                option.rich_help_panel = self.group  # type: ignore[attr-defined]
        super().format_options(ctx, formatter)
        with formatter.section('Settings for --set NAME=VALUE'):
            formatter.write_dl([(name, _described(name, field)) for name, field in fields.items()])


def group_of(param: Any) -> str:
    """The heading that an option or argument is printed under."""
    if param.param_type_name == 'argument':
        return 'Arguments'
    return getattr(param, 'rich_help_panel', None) or GENERAL


def _plain(name: str, text: str) -> tuple[str, str]:
    """A row of the help without the marks of typer's types: `<list[str]>` is `<str>`, `(a text)` is the text."""
    return re.sub(r'<list\[(.*)]>', r'<\1>', name).lower(), re.sub(r'default: \((.*)\)(?=[];])', r'default: \1', text)


def _described(name: str, field: Any, has_default: bool = False) -> str:
    facts = ['|'.join(get_args(field.annotation))] if get_origin(field.annotation) is Literal else []
    if not has_default:
        facts.append(f'default: {_default(name, field)}')
    return field.description + (f'  [{"; ".join(facts)}]' if facts else '')


def _default(name: str, field: Any) -> str:
    """What a setting is when nobody gives it: its default, or the preset that fills it."""
    if field.is_required():
        return next(f'by {setting}' for setting, presets in PRESETS.items() if name in next(iter(presets.values())))
    if field.default is None:
        return 'none'
    return {False: 'off', True: 'on'}[field.default] if isinstance(field.default, bool) else str(field.default)
