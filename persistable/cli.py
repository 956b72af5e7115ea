"""The commands of ``python -m persistable``. What they report goes to stdout, all else to stderr."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from persistable.discovery import Plugin, describe
from persistable.display import printable
from persistable.exceptions import PersistableError
from persistable.registry import default_registry
from persistable.store import ArtifactStore
from persistable.version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; ``arguments`` are those of the process by default.

    The status is 0, or 1 if a verification found damage, or 2 if the command could not be carried out; 130 after
    Ctrl-C, and 141 where nobody reads on, as a shell has it.

    Raises:
        SystemExit: the arguments make no sense, or ask for help.
    """
    parser = argparse.ArgumentParser(
        prog="python -m persistable",
        description="Look after artifacts and plugins.",
        epilog="The status is 0, or 2 if a command could not be carried out, or 1 if verify found damage. What a "
        "command finds goes to stdout, all else to stderr. Stores take their settings from PERSISTABLE_TRUST, "
        "PERSISTABLE_SIGNING_KEY and so on, as in Python.",
    )
    parser.add_argument("--version", action="version", version=f"persistable {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    plugins = commands.add_parser("plugins", help="list plugins, working or not", description=_list_plugins.__doc__)
    plugins.add_argument("--json", action="store_true", help="as JSON, a list with an object for each plugin")
    plugins.set_defaults(run=_list_plugins)
    key = commands.add_parser("keygen", help="make a key to sign artifacts with", description=_make_key.__doc__)
    key.add_argument("path", help="the file to write, outside of any data_dir")
    key.set_defaults(run=_make_key)
    verify = commands.add_parser("verify", help="verify the artifacts of a store", description=_verify.__doc__)
    verify.add_argument("location", help="a data_dir: a folder or a URL")
    verify.add_argument("--quarantine", action="store_true", help="move what is damaged to quarantine")
    verify.add_argument("--resume", metavar="FILE", help="note there what is whole, and go on from there next time")
    verify.add_argument(
        "--workers", type=int, metavar="N", help="threads that read at a time (one more than processors, 8 at most)"
    )
    verify.add_argument(
        "--json",
        action="store_true",
        help="as JSON, an object a line for each artifact, with its problem or null",
    )
    verify.set_defaults(run=_verify)
    sweep = commands.add_parser("sweep", help="delete what killed processes left", description=_sweep.__doc__)
    sweep.add_argument("location", help="a data_dir: a folder or a URL")
    sweep.add_argument("--grace", type=float, default=24.0, metavar="HOURS", help="age of what is deleted (24)")
    sweep.add_argument("--dry-run", action="store_true", help="delete nothing, and list what would be")
    sweep.add_argument("--json", action="store_true", help="as JSON, an object: names, and bytes of all together")
    sweep.set_defaults(run=_sweep)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
        with _reporting():
            sys.stdout.flush()
    except _UnreadError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at exit
        return 141
    except (OSError, ValueError, PersistableError) as error:
        sys.stderr.write(f"{parser.prog}: {printable(error)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"{parser.prog}: interrupted\n")
        return 130
    return status


class _UnreadError(Exception):
    """Nobody reads on what a command reports: head, say, has seen enough."""


def _make_key(options: argparse.Namespace) -> int:
    """Write a new signing key to a file that only you can read; one that is there is never overwritten.

    Stores use it by ArtifactStore(…, signing_key=PATH) or PERSISTABLE_SIGNING_KEY=PATH.
    """
    from persistable.signing import keygen

    keygen(options.path)
    _report(options.path)
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Compute every key from its record and every digest from its payload; report what is damaged. Status 1 if any is.

    Nothing is changed without --quarantine.
    """
    import json
    import time

    told, damaged, total = time.monotonic(), 0, (0, 0)
    live = sys.stderr.isatty()
    anew = "\r\x1b[K" if live else ""  # over the progress that stands there

    def progress(done: int, size: int) -> None:
        nonlocal told, total
        total = (done, size)
        if live and time.monotonic() >= told + 1:
            told = time.monotonic()
            tell("")

    def tell(end: str) -> None:
        done, size = total
        with _reporting():
            sys.stderr.write(f"{anew}{done:,} artifacts, {size / 1e6:,.0f} MB, {damaged} with problems{end}")
            sys.stderr.flush()

    store = _existing(options.location)
    for finding in store.check(
        workers=options.workers, progress=progress, quarantine=options.quarantine, resume=options.resume
    ):
        damaged += finding.problem is not None
        if options.json:
            _report(json.dumps(finding._asdict()))
        elif finding.problem is not None:
            moved = " (moved to quarantine)" if finding.quarantined else ""
            with _reporting():
                sys.stderr.write(anew)
            _report(printable(f"{finding.path}: {finding.problem}{moved}"))
    tell("\n")
    return 1 if damaged else 0


def _sweep(options: argparse.Namespace) -> int:
    """Delete what killed processes left behind and no record names, and what has been in quarantine for 30 days.

    What a live process of this machine writes stays. Of other machines only the age is known: --grace has to be longer
    than any upload takes.
    """
    import json

    swept = _existing(options.location).sweep(grace=options.grace * 3600, dry_run=options.dry_run)
    if options.json:
        _report(json.dumps(swept._asdict()))
    else:
        done = "would be swept" if options.dry_run else "swept"
        _report("\n".join([*map(printable, swept.names), f"{len(swept.names)} {done}, {swept.bytes / 1e6:,.1f} MB"]))
    return 0


def _existing(location: str) -> ArtifactStore:
    """Return the store at a location; a folder that is not there was mistyped rather than empty."""
    store = ArtifactStore(location)
    if store.local is not None and not os.path.isdir(store.local.root):
        raise FileNotFoundError(f"there is no folder {store.local.root}")
    return store


def _list_plugins(options: argparse.Namespace) -> int:
    """List the plugins that are installed with what they bring; those that are switched off or do not work as well.

    A format whose name several claim is contested: nobody has it until one of them is switched off.
    """
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they would say of broken plugins is in the list
        registry = default_registry()
        plugins, contested = registry.plugins, registry.contested
    if options.json:
        import json

        _report(json.dumps([_described(plugin, contested) for plugin in plugins], indent=2))
    else:
        header = ("NAME", "DISTRIBUTION", "VERSION", "STATUS", "FORMATS AND STORAGES")
        _report(_table([header, *(_row(plugin, contested) for plugin in plugins)]))
    return 0


def _described(plugin: Plugin, contested: Container[str]) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "status": plugin.status,
        "error": _error(plugin),
        "formats": [
            {
                "name": spec.name,
                "suffix": spec.suffix,
                "types": list(spec.types),
                "default": spec.default,
                "executes_code": spec.executes_code,
                "contested": spec.name in contested,
            }
            for spec in plugin.formats
        ],
        "storages": [{"schemes": list(spec.schemes)} for spec in plugin.storages],
    }


def _row(plugin: Plugin, contested: Container[str]) -> tuple[str, ...]:
    brings = [
        spec.name + " contested" * (spec.name in contested) + (f" ({', '.join(spec.types)})" if spec.types else "")
        for spec in plugin.formats
    ]
    brings += [f"{scheme}://" for spec in plugin.storages for scheme in spec.schemes]
    return plugin.name, plugin.distribution, plugin.version, plugin.status, _error(plugin) or ", ".join(brings)


def _error(plugin: Plugin) -> str | None:
    return None if plugin.error is None else describe(plugin.error)


def _table(rows: Iterable[Sequence[str]]) -> str:
    """Align the columns of rows, each a line."""
    lines = [[printable(" ".join(cell.split())) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _report(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"  # a terminal of ASCII still gets its list
    with _reporting():
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


@contextlib.contextmanager
def _reporting() -> Iterator[None]:
    """Tell a closed pipe behind stdout or stderr from that of a storage, which is an error like any other."""
    try:
        yield
    except BrokenPipeError as error:
        raise _UnreadError from error
