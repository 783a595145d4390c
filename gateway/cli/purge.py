"""Delete results everywhere: stores, match index, copies, edges.

One of --id, --engine-older-than and --all says which. A deletion that was not confirmed everywhere is counted as
failed and the exit status is 1: the same command finishes it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.cli.settings import load

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.record import Record

NAME = "purge"
HELP = "delete results from the stores and every edge: by id, by the engine that read them, or all"

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", nargs="+", default=[], metavar="ID", help="these results")
    which.add_argument(
        "--engine-older-than",
        metavar="REVISION|DATE",
        help="what another engine than REVISION read (`current`: the one installed here), or what was read before a "
        "DATE such as 2026-11-20 or 2026-11-20T08:00+08:00 (without a zone: UTC)",
    )
    which.add_argument("--all", action="store_true", help="every result")
    parser.add_argument("--dry-run", action="store_true", help="count what would be deleted, and leave it")
    parser.add_argument("--yes", action="store_true", help="do not ask before deleting everything")


def run(chosen: argparse.Namespace) -> int:
    """Delete what is chosen and say how much that was."""
    settings = load()
    if settings is None:
        return 2
    from gateway.identity import is_result_id
    from gateway.store.base import StoreError
    from gateway.tenants import KeysError

    if wrong := [each for each in chosen.id if not is_result_id(each)]:
        print(f"{len(wrong)} of the ids are none: an id is the file's SHA-256 in lower-case hex.", file=sys.stderr)
        return 2
    try:
        select = _selection(chosen, settings)
    except ValueError as error:
        print(f"--engine-older-than: {error}", file=sys.stderr)
        return 2
    if chosen.all and not chosen.dry_run and not chosen.yes and not _confirmed():
        print("Nothing was deleted; --yes deletes without asking.", file=sys.stderr)
        return 2
    try:
        return _purge(settings, chosen, select)
    except StoreError as error:
        print(f"store: {error}", file=sys.stderr)
        return 1
    except KeysError as error:
        print(f"The API keys cannot be used: {error}", file=sys.stderr)
        return 1


def _selection(chosen: argparse.Namespace, settings: Settings) -> Callable[[Record], bool]:
    """What a record must be to go."""
    limit: str | None = chosen.engine_older_than
    if limit is None:
        return lambda record: True
    if _DATE.match(limit):
        moment = datetime.fromisoformat(limit)
        before = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        return lambda record: record.created_at < before
    if limit == "current":
        from gateway.readers.local import reader_spec

        limit = reader_spec(settings).revision()
    if not re.fullmatch(r"[\w.+-]+", limit):
        raise ValueError("give a revision, `current` or a date such as 2026-11-20")
    # Revisions have no order: older is whatever this one did not read.
    return lambda record: record.engine.revision != limit


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    print("Every stored result will be deleted, here and at the edges. Type `all` to go on: ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "all"


def _purge(settings: Settings, chosen: argparse.Namespace, select: Callable[[Record], bool]) -> int:
    from tqdm import tqdm

    from gateway.archive import Archive, tenant_prefix
    from gateway.deletion import Deletions
    from gateway.nomination import Nominator
    from gateway.purge import open_purger
    from gateway.store import open_journal, open_store
    from gateway.store.scoped import ScopedJournal
    from gateway.sweep import Tally, sweep
    from gateway.wiring import open_tenants

    store = open_store(settings)
    journal = open_journal(settings)
    purger = open_purger(settings)
    tally = Tally()
    rest = dict.fromkeys(chosen.id)
    try:
        # What is left of the ids is nobody's, or everybody's: of open mode.
        for name in (*(tenant.name for tenant in open_tenants(settings) or ()), ""):
            archive = Archive(store).within(name)
            ids = [wanted for wanted in rest if not name or archive.look_up(wanted) is not None]
            rest = {wanted: None for wanted in rest if wanted not in ids}
            if chosen.id and not ids:
                continue
            nominator = Nominator(archive.index_keys, ScopedJournal(journal, tenant_prefix(name)))
            deletions = None if chosen.dry_run else Deletions(archive, nominator, purger)
            try:
                shown = tqdm(ids or archive.ids(), total=len(ids) or None, unit=" results", leave=False, disable=None)
                tally += sweep(shown, archive, deletions, select)
            finally:
                nominator.close()
    finally:
        purger.close()
        store.close()
    deleted = "would be deleted" if chosen.dry_run else "deleted"
    print(f"{tally.deleted} {deleted}, {tally.kept} kept, {tally.absent} not there")
    if tally.failures:
        print(f"{tally.failures.total()} not deleted everywhere; repeat the command:", file=sys.stderr)
        for reason, count in tally.failures.most_common():
            print(f"  {count} × {reason}", file=sys.stderr)
    return 1 if tally.failures else 0
