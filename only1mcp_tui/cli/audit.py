"""`only1mcp audit`: whether the lines that say who did what are all there, as they were written."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from only1mcp_tui.cli.common import config_option, json_option, required_config
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import complain, counted, note, one_line, say, say_json
from proxy_core.access.audit.reloads import audit_path
from proxy_core.access.audit.verifying import NotAnAudit, Report, verify_all, verify_files
from proxy_core.config.load import load

KEY_ENV = "ONLY1MCP_AUDIT_KEY"


@click.group("audit")
def audit_command() -> None:
    """Show whether the audit is whole: who did what, chained by hash."""


@audit_command.command("verify", short_help="Say whether an audit is whole, or where it is broken first.")
@click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path))
@click.option(
    "--key-env",
    "key_envs",
    multiple=True,
    metavar="NAME",
    help=f"Environment variable with a key that lines were chained with; may come several times. {KEY_ENV} is "
    "looked at anyway, and so is audit.key where no FILE is named.",
)
@config_option
@json_option
@click.pass_context
def audit_verify(
    ctx: click.Context,
    files: tuple[Path, ...],
    key_envs: tuple[str, ...],
    config: Path | None,
    as_json: bool,
) -> None:
    """Say whether an audit is whole, or where it is broken first and how.

    Without FILE it is the audit of the configuration, with every file that belongs to it, and its end is judged
    too. Named files are judged alone, in the order of their numbers.

    Exit code 0: it is whole; 1: it is broken; 2: there is nothing to verify, or not with these keys.
    """
    keys = [_key_in(name) for name in key_envs]
    if KEY_ENV not in key_envs and os.environ.get(KEY_ENV):
        keys.append(_key_in(KEY_ENV))
    try:
        report = verify_files(files, keys) if files else _verify_configured(required_config(ctx, config), keys)
    except NotAnAudit as error:
        complain(str(error))
        sys.exit(Exit.USAGE)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}")
        sys.exit(Exit.USAGE)
    _show(report, as_json)
    sys.exit(Exit.OK if report.is_whole else Exit.FAILURE)


def _key_in(name: str) -> str:
    """Raises: click.UsageError."""
    key = os.environ.get(name, "")
    if not key:
        raise click.UsageError(f"The environment variable {name} holds no key.")
    return key


def _verify_configured(path: Path, keys: list[str]) -> Report:
    """Raises: ConfigError, NotAnAudit, OSError."""
    loaded = load(path, os.environ)
    audit = loaded.config.audit
    if audit.file is None:
        raise NotAnAudit(f"{path} has no audit.file; name the files.")
    own = [] if audit.key is None else [audit.key]
    return verify_all(audit_path(loaded, audit.file), [*own, *(key for key in keys if key not in own)])


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        say_json({"ok": report.is_whole, **asdict(report)})
        return
    for words in report.notes:
        note(words)
    broken = report.broken
    if broken is not None:
        where = f"{broken.file}:{broken.line}" if broken.line else broken.file
        say(f"Broken: {one_line(where, 1000)}: {one_line(broken.why, 1000)}")
        note(f"{counted(report.lines, 'line')} before it are as they were written.")
        return
    say(
        f"Whole: {counted(report.lines, 'line')} in {counted(report.files, 'file')}, "
        f"{report.first_seq} to {report.last_seq}, the last with the hash {report.last_hash}."
    )
    if not report.is_keyed:
        note("Chained without a key: whoever may write the files could have made all of them anew.")
