"""Delete results everywhere: stores, match index, copies, edges.

One of --id, --engine-older-than and --all says which, --tenant whose (default: everybody's). A deletion that was not
confirmed everywhere is counted as failed and the exit status is 1: the same command finishes it.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.cli.settings import load

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.purge import EdgePurger
    from gateway.record import Record

log = logging.getLogger(__name__)

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
    parser.add_argument("--tenant", metavar="NAME", help="only what this tenant has, in key mode")
    parser.add_argument("--dry-run", action="store_true", help="count what would be deleted, and leave it")
    parser.add_argument("--yes", action="store_true", help="do not ask before deleting everything")


def run(chosen: argparse.Namespace) -> int:
    """Delete what is chosen and say how much that was."""
    settings = load()
    if settings is None:
        return 2
    from gateway.identity import is_result_id
    from gateway.store.base import StoreError
    from gateway.tenants import TENANT_NAME

    if chosen.tenant is not None and not TENANT_NAME.fullmatch(chosen.tenant):
        print("--tenant: a name is 1 to 48 lower-case letters, digits and inner hyphens.", file=sys.stderr)
        return 2
    if wrong := [each for each in chosen.id if not is_result_id(each)]:
        print(f"{len(wrong)} of these are no ids: an id is the file's SHA-256 in lower-case hex.", file=sys.stderr)
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
    from gateway.archive import Archive, tenant_prefix
    from gateway.deletion import Deletions
    from gateway.nomination import Nominator
    from gateway.purge import EdgePurger, open_purger
    from gateway.store import open_journal, open_store
    from gateway.store.scoped import ScopedJournal
    from gateway.sweep import Tally, sweep

    with ExitStack() as opened:
        store = opened.enter_context(closing(open_store(settings)))
        journal = opened.enter_context(closing(open_journal(settings)))
        purger = opened.enter_context(closing(open_purger(settings)))
        archive = Archive(store)
        # Asked first, it says whether the edges can forget everything at once; it counts when the records are gone.
        at_once = chosen.all and not chosen.tenant and not chosen.dry_run and _forgets_everything(purger)
        tally = Tally()
        # Tenants without a key today have results, too; "" is open mode.
        tenants = [chosen.tenant] if chosen.tenant else [*sorted(archive.tenants()), ""]
        archives = {tenant: archive.within(tenant) for tenant in tenants}
        whose = {tenant: {wanted for wanted in chosen.id if own.look_up(wanted)} for tenant, own in archives.items()}
        nobodys = set(chosen.id).difference(*whose.values())
        for tenant, own in archives.items():
            # What nobody has any more may still be at the edges, from a deletion that they did not confirm: anybody's.
            ids = whose[tenant] | nobodys
            if ids or not chosen.id:
                deletions = None
                if not chosen.dry_run:
                    nominator = Nominator(own.index_keys, ScopedJournal(journal, tenant_prefix(tenant)))
                    deletions = Deletions(own, nominator, EdgePurger(()) if at_once else purger.within(tenant))
                tally += sweep(_shown(ids or own.ids(), tenant, len(ids)), own, deletions, select)
        if chosen.id:
            tally.absent = min(tally.absent, len(nobodys))  # looked for at every tenant's, and counted once
        if at_once and not _forgets_everything(purger):
            tally.failures["the edges did not confirm that they forgot everything"] += 1
    deleted = "would be deleted" if chosen.dry_run else "deleted"
    print(f"{tally.deleted} {deleted}, {tally.kept} kept, {tally.absent} not there")
    if tally.failures:
        print(f"{tally.failures.total()} not deleted everywhere; repeat the command:", file=sys.stderr)
        for reason, count in tally.failures.most_common():
            print(f"  {count} × {reason}", file=sys.stderr)
    return 1 if tally.failures else 0


def _shown(ids: Iterable[str], tenant: str, count: int) -> Iterable[str]:
    from tqdm import tqdm

    return tqdm(ids, tenant, count or None, unit=" results", leave=False, disable=None)


def _forgets_everything(purger: EdgePurger) -> bool:
    from gateway.purge import PurgeFailed

    try:
        purger.purge_all()
    except PurgeFailed as error:
        log.warning("purging everything at once: %s", error)
        return False
    return True
