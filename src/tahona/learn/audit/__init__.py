"""The audit: rules that look for a number that would not hold, before any training time is spent.

A rule is a row in ``RULES``: a name and a function from ``AuditData`` to findings. Rules see the features of all rows
and the labels of training rows; test labels never reach them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tahona.core.findings import Finding
from tahona.core.spelling import did_you_mean
from tahona.errors import InputError, RefusedError
from tahona.learn.audit import classes, columns, leaks, rows, time
from tahona.learn.audit.data import AuditData, audit_data

__all__ = ["RULES", "AuditData", "audit_data", "refusal", "run_audit"]

Rule = Callable[[AuditData], Iterable[Finding]]

RULES: Mapping[str, Rule] = {
    "single_feature_leak": leaks.single_feature_leaks,
    "date_distance_leak": leaks.date_distance_leaks,
    "near_deterministic_level": leaks.near_deterministic_levels,
    "repeated_rows": rows.repeated_rows,
    "repeated_texts": rows.repeated_texts,
    "torn_groups": rows.torn_groups,
    "unused_time": time.unused_time,
    "broken_time_order": time.broken_time_order,
    "tiny_classes": classes.tiny_classes,
    "imbalance": classes.imbalance,
    "small_test": classes.small_test,
    "empty_columns": columns.empty_columns,
    "nearly_unique_columns": columns.nearly_unique_columns,
    "wordless_texts": columns.wordless_texts,
}


GOES_WITH_COLUMN = frozenset({"leak", "leak_distance"})
"""Errors that go away when the column does."""
SAID_BY_LEAK = frozenset({"near_deterministic_level", "nearly_unique"})
"""What needs no second sentence about a column that leaks."""


def run_audit(data: AuditData, allow: Mapping[str, str], earlier: Sequence[Finding] = ()) -> tuple[Finding, ...]:
    """Apply every rule and return what was found, earlier steps' findings included, the gravest first.

    Findings on a column in ``allow`` carry its reason and stop nothing. Raises InputError if ``allow`` names a column
    that the table does not have.
    """
    _check_allowed(data, allow, earlier)
    found = [finding for rule in RULES.values() for finding in rule(data)]
    leaking = {finding.column for finding in found if finding.kind == "leak"}
    new = [finding for finding in found if finding.kind not in SAID_BY_LEAK or finding.column not in leaking]
    judged = [
        finding.accept(allow[finding.column]) if finding.column in allow and finding.severity != "info" else finding
        for finding in (*earlier, *new)
    ]
    accepted = {finding.column for finding in judged if finding.accepted}
    judged += [Finding("allow_unused", name) for name in allow if name not in accepted]
    gravity = ("error", "warning", "info")
    return tuple(sorted(judged, key=lambda finding: gravity.index(finding.severity)))


def refusal(findings: Sequence[Finding]) -> RefusedError | None:
    """Return the error with which the run stops if a finding is grave and nobody accepted it."""
    grave = [finding for finding in findings if finding.stops]
    if not grave:
        return None
    leaks = list(dict.fromkeys(finding.column for finding in grave if finding.kind in GOES_WITH_COLUMN))
    dropped = ", ".join(f'"{name}"' for name in leaks)
    return RefusedError(
        "The audit stops the run before training:\n" + "\n".join(f"  - {finding.message()}" for finding in grave),
        where="column " + ", ".join(dict.fromkeys(f"'{finding.column}'" for finding in grave)),
        fix=f"If it is not known when the decision is made, leave it out: [data] drop = [{dropped}]. If it is known, "
        f'say why: [audit] allow = {{ "{leaks[0]}" = "the reason" }}.'
        if leaks
        else "Mend the data in a function named in [data] clean.",
    )


def _check_allowed(data: AuditData, allow: Mapping[str, str], earlier: Sequence[Finding]) -> None:
    found = (finding.column for finding in earlier if finding.column)
    known = dict.fromkeys((*data.schema.names, data.schema.target, *data.others, *data.dropped, *found))
    for name in allow:
        if name not in known:
            raise InputError(
                f"The table has no column '{name}'.",
                where="[audit] allow",
                fix=did_you_mean(name, known).capitalize() or "Take the line out.",
            )
