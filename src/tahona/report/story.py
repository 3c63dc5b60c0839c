"""The sections around the numbers: what was learnt, how it decides, what the audit found, which version."""

from __future__ import annotations

from tahona.core.findings import Finding
from tahona.report.document import Block, Cell, Code, Names, Pair, Pairs, Points, Section, Table, Text
from tahona.report.facts import ReportFacts
from tahona.report.language import MISSING, Language
from tahona.report.summary import metric_title

_NAMED = 40
"""How many column names a reader is given before "and 60 more"."""
_KINDS = ("numeric", "category", "text", "datetime", "id")


def kinds_text(facts: ReportFacts, say: Language) -> str:
    """Return "28 numeric columns, 2 category columns"."""
    counted = ((kind, sum(column.kind == kind for column in facts.schema.columns)) for kind in _KINDS)
    return say.listing(say.many(f"kinds.{kind}", count) for kind, count in counted if count)


def split_text(facts: ReportFacts, say: Language) -> str:
    """Return how the rows were cut, in two sentences."""
    split = facts.split
    rows = say(
        "split.rows",
        train=say.many("rows", split["train"]),
        test=say.many("rows", split["test"]),
        folds=say.count(split["folds"]),
    )
    return f"{rows} {say('split.' + split['kind'], by=split['by'])}"


def columns_block(names: tuple[str, ...], say: Language) -> Names:
    rest = len(names) - _NAMED
    return Names(names[:_NAMED], say("usage.more", count=say.count(rest)) if rest > 0 else "")


def task_section(facts: ReportFacts, say: Language) -> Section:
    schema = facts.schema
    blocks: list[Block] = [
        Text(
            say(
                "task.text",
                project=facts.project.name,
                target=schema.target,
                columns=say.many("columns", len(schema.columns)),
                kinds=kinds_text(facts, say),
                rows=say.many("rows", facts.data["rows"]),
            )
        )
    ]
    if schema.binary:
        blocks.append(Text(say("task.matters", label=facts.labels[0])))
    else:
        blocks.append(Text(say("task.classes", count=say.count(len(schema.labels)))))
    blocks.append(Text(split_text(facts, say)))
    counts = {str(row["label"]): row["rows"] for row in facts.evaluation["per_class"]}
    total = sum(counts.values())
    rows = tuple(
        (
            Cell(
                label,
                note=say("matters") if schema.binary and label == facts.labels[0] else "",
                strong=label == schema.positive,
            ),
            Cell(say.count(counts.get(label, 0)), number=True),
            Cell(say.percent(counts.get(label, 0) / total if total else None), number=True),
        )
        for label in facts.labels
    )
    blocks.append(Table(say("task.table"), (say("class"), say("rows"), say("share")), rows, (1, 2)))
    return Section("task", say("task"), tuple(blocks))


def decision_section(facts: ReportFacts, say: Language) -> Section:
    """Say what a mistake costs, which threshold follows from it, and why."""
    decision = facts.project.decision
    if not facts.schema.binary:
        return Section("decision", say("decision"), (Text(say("decision.likeliest")),))
    label = facts.labels[0]
    if decision.rule == "estimator":
        text = say("decision.estimator", key='[decision] rule = "estimator"')
        return Section("decision", say("decision"), (Text(text),))
    threshold = facts.evaluation.get("threshold")
    sentences = [say("decision.threshold", label=label, threshold=say.short(threshold))]
    if decision.cost is not None:
        costs = {key: say.plain(decision.cost.get(key, 1.0)) for key in ("false_positive", "false_negative")}
        sentences.append(say("decision.cost", label=label, **costs))
        model = facts.evaluation["metrics"].get("expected_cost")
        dummy = (facts.evaluation.get("dummy") or {}).get("expected_cost")
        if model and dummy:
            values = {"model": say.short(model["value"]), "dummy": say.short(dummy["value"])}
            sentences.append(say("decision.cost.test", **values))
    elif decision.maximize is not None:
        sentences.append(say("decision.maximize", metric=metric_title(facts, say, decision.maximize)))
    elif decision.threshold is not None:
        sentences.append(say("decision.fixed"))
    else:
        sentences.append(say("decision.default", label=label, key="[decision] cost"))
    return Section("decision", say("decision"), tuple(Text(sentence) for sentence in sentences))


def audit_section(facts: ReportFacts, say: Language) -> Section:
    """Every finding, the gravest first; an accepted error carries the reason that was written for it."""
    blocks: list[Block] = [Text(say("audit.text"))]
    if facts.all_findings:
        head = (say("audit.severity"), say("column"), say("audit.message"), say("audit.accepted"))
        width = len(head) if facts.accepted else len(head) - 1
        rows = tuple(_finding_cells(finding, say)[:width] for finding in facts.all_findings)
        blocks.append(Table(say("audit.table"), head[:width], rows))
    else:
        blocks.append(Text(say("audit.clean")))
    dropped = facts.project.data.drop
    if dropped:
        blocks.append(Text(say("audit.dropped", columns=say.listing(dropped))))
    return Section("audit", say("audit"), tuple(blocks))


def _finding_cells(finding: Finding, say: Language) -> tuple[Cell, ...]:
    gravity = "severity.accepted" if finding.accepted else f"severity.{finding.severity}"
    return (
        Cell(say(gravity), tone=finding.severity, strong=finding.severity != "info"),
        Cell(finding.column or say("column.all"), code=bool(finding.column)),
        Cell(say.finding(finding)),
        Cell(finding.accepted or MISSING),
    )


def honesty_section(facts: ReportFacts, say: Language) -> Section:
    """Say what was done so that the number holds; only what is true of this run."""
    metric = metric_title(facts, say, facts.metric)
    one_class = metric != say.metric(facts.metric)
    points = [
        say("honesty.class" if one_class else "honesty.metric", metric=metric),
        say("honesty.folds"),
        say(
            "honesty.tuning",
            train=say.many("rows", facts.split["train"]),
            test=say.many("rows", facts.split["test"]),
        ),
    ]
    if facts.project.decision.rule == "threshold":
        points.append(say("honesty.choices"))
    if facts.split["kind"] != "random":
        points.append(say(f"split.{facts.split['kind']}", by=facts.split["by"]))
    if facts.project.split.duplicates == "together":
        points.append(say("honesty.duplicates"))
    points.append(say("honesty.dummy"))
    if facts.project.data.drop:
        points.append(say("honesty.dropped", columns=say.listing(facts.project.data.drop)))
    accepted = sum(finding.severity == "error" for finding in facts.accepted)
    if accepted:
        points.append(say.many("honesty.accepted", accepted))
    if facts.warnings:
        points.append(say.many("honesty.warnings", len(facts.warnings)))
    return Section("honesty", say("honesty"), (Text(say("honesty.text")), Points(tuple(points))))


def version_section(facts: ReportFacts, say: Language) -> Section:
    registration = facts.registration
    version = registration.get("version")
    if not version:
        return Section("version", say("version"), (Text(say("status.unregistered")),))
    gate, previous = registration["gate"], registration.get("previous_champion")
    status = "status.champion" if registration["champion"] else "status.challenger"
    items = (
        Pair(say("version.name"), f"{registration['name']}, {say('version.label', version=version)}"),
        Pair(say("version.status"), say(status, version=version)),
        Pair(say("version.previous"), say("version.label", version=previous) if previous else say("gate.first")),
        Pair(say("version.bundle"), str(registration["bundle_digest"]), code=True),
    )
    refused = "gate.refused" if previous else "gate.refused.first"
    verdict = Text(say("gate.passed" if gate["passed"] else refused))
    reasons = Points(tuple(str(reason) for reason in gate["reasons"]))
    blocks: tuple[Block, ...] = (Pairs(items), verdict, *((reasons,) if reasons.items else ()))
    return Section("version", say("version"), blocks)


def usage_section(facts: ReportFacts, say: Language) -> Section:
    name = facts.registration.get("name") or facts.project.name
    champion = facts.registration.get("champion") or not facts.registration.get("version")
    suffix = "champion" if champion else str(facts.registration["version"])
    option = "" if champion else f" --model {suffix}"
    blocks: tuple[Block, ...] = (
        Text(say("usage.file")),
        Code(f"tahona predict INPUT.csv -o OUTPUT.csv{option}"),
        Text(say("usage.python")),
        Code(f'import tahona\n\nbundle = tahona.load_bundle("{name}@{suffix}")\nanswers = bundle.predict(frame)'),
        Text(say("usage.columns")),
        columns_block(facts.schema.names, say),
    )
    return Section("usage", say("usage"), blocks)


def origin_section(facts: ReportFacts, say: Language) -> Section:
    """Say what is needed to do it again."""
    libraries = say.listing(f"{name} {version}" for name, version in sorted(facts.versions.items()))
    items = (
        Pair(say("origin.run"), facts.run, code=True),
        Pair(say("origin.created"), facts.created),
        Pair(say("origin.source"), str(facts.data["source"]), code=True),
        Pair(say("origin.digest"), str(facts.data["digest"]), code=True),
        Pair(say("origin.seed"), str(facts.split["seed"]), code=True),
        Pair(say("origin.versions"), libraries or MISSING, code=True),
    )
    return Section("origin", say("origin"), (Text(say("origin.text")), Pairs(items)))
