"""The rules every progress store keeps, apart from how it stores: what step is allowed, and who may take it."""

from __future__ import annotations

from remhart_adt.errors import CheckpointError, OwnershipLostError
from remhart_adt.sync.types import BEFORE_FIRST, Commit, Resume, Scope, Snapshot

__all__ = ["bound", "check_owner", "check_step", "rebind"]


def check_step(stored: Resume, commit: Commit, *, where: str) -> Snapshot | None:
    """The snapshot of the commit, when the step goes forward (or stays) and the snapshot is not ahead of it.

    Raises CheckpointError otherwise. A snapshot ahead of the checkpoint would make the next owner start reading behind
    events that nobody has finished; an older one would make it read twice what is already warm.
    """
    if commit.sequence < stored.checkpoint_sequence:
        raise CheckpointError(
            f"a step back from sequence {stored.checkpoint_sequence} to {commit.sequence}",
            where=where,
            remedy="Another process may have committed; load the partition again before going on",
        )
    if commit.snapshot is None:
        return None
    snapshot = Snapshot(*commit.snapshot)
    if snapshot.sequence > commit.sequence:
        raise CheckpointError(
            f"a snapshot at sequence {snapshot.sequence} ahead of its checkpoint {commit.sequence}", where=where
        )
    known = stored.snapshot_sequence if stored.snapshot is not None else BEFORE_FIRST
    if snapshot.sequence < known:
        raise CheckpointError(f"a snapshot back from sequence {known} to {snapshot.sequence}", where=where)
    return snapshot


def check_owner(ours: str | None, stored: str | None, *, where: str) -> None:
    """OwnershipLostError when somebody else holds the partition; a released one ("" or None) may be finished."""
    if stored and stored != ours:
        raise OwnershipLostError(
            "another process owns this partition now", where=where, remedy="Its uncommitted work is done again there"
        )


def rebind(current: Scope | None, scope: Scope) -> Scope:
    """The scope to use from now on; CheckpointError when another one is in use already."""
    if current is not None and current.key() != scope.key():
        raise CheckpointError(
            f"this store is bound to {'/'.join(current)}", where="/".join(scope), remedy="Open one store per scope"
        )
    return scope


def bound(scope: Scope | None) -> Scope:
    """The scope; CheckpointError when the store was never bound."""
    if scope is None:
        raise CheckpointError("the store is not bound to an event hub and consumer group", remedy="Call bind() first")
    return scope
