"""The model card: the sections of Mitchell et al. 2019, filled with what the run knows and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tahona.report import results
from tahona.report.document import Block, Code, Document, Names, Pair, Pairs, Points, Section, Text
from tahona.report.facts import ReportFacts
from tahona.report.language import MISSING, Language
from tahona.report.story import columns_block, kinds_text, split_text
from tahona.report.summary import build_summary, family_title, is_clearly_better, metric_title


def build_card(facts: ReportFacts) -> Document:
    """Return the card. What only people can know (who may use it, for what) is named as missing, not invented."""
    say = Language(facts.language)
    sections = (
        _details(facts, say),
        _use(facts, say),
        _factors(facts, say),
        Section("metrics", say("card.metrics"), _metrics(facts, say)),
        _evaluation(facts, say),
        _training(facts, say),
        Section("results", say("card.results"), _results(facts, say)),
        _ethics(facts, say),
        _caveats(facts, say),
    )
    return Document(
        language=say.code,
        title=say("card", model=facts.project.name),
        heading=say("card", model=facts.project.name),
        subtitle=say("card.intro"),
        eyebrow="",
        contents="",
        summary=None,
        sections=sections,
    )


def _details(facts: ReportFacts, say: Language) -> Section:
    registration = facts.registration
    version = registration.get("version")
    row: Mapping[str, Any] = next((row for row in facts.leaderboard["rows"] if row["model"] == facts.chosen), {})
    status = (
        "status.unregistered" if not version else "status.champion" if registration["champion"] else "status.challenger"
    )
    params, calibration = say.params(row.get("params")), row.get("calibration")
    libraries = say.listing(f"{name} {number}" for name, number in sorted(facts.versions.items()))
    items = (
        Pair(say("version.status"), say(status, version=version)),
        Pair(say("card.family"), family_title(facts, say, facts.chosen)),
        Pair(say("card.params"), params or MISSING, code=bool(params)),
        Pair(say("card.calibration"), say(f"calibration.{calibration}") if calibration else MISSING),
        Pair(say("origin.run"), facts.run, code=True),
        Pair(say("origin.created"), facts.created),
        Pair(say("version.bundle"), str(registration.get("bundle_digest") or MISSING), code=True),
        Pair(say("origin.versions"), libraries or MISSING, code=True),
    )
    return Section("details", say("card.details"), (Pairs(items),))


def _use(facts: ReportFacts, say: Language) -> Section:
    text = say("card.use.text", target=facts.schema.target, source=facts.data["source"])
    blocks: tuple[Block, ...] = (
        Text(text),
        Code("tahona predict INPUT.csv -o OUTPUT.csv"),
        Text(say("card.use.missing")),
    )
    return Section("use", say("card.use"), blocks)


def _factors(facts: ReportFacts, say: Language) -> Section:
    columns = tuple(dict.fromkeys(str(row["column"]) for row in facts.slices))
    text = say("card.factors.text", columns=say.listing(columns)) if columns else say("card.factors.none")
    return Section("factors", say("card.factors"), (Text(text),))


def _metrics(facts: ReportFacts, say: Language) -> tuple[Block, ...]:
    blocks: list[Block] = [Text(say("card.metrics.text", metric=metric_title(facts, say, facts.metric)))]
    if facts.schema.binary:
        blocks.append(Text(say("task.matters", label=facts.labels[0])))
        threshold = facts.evaluation.get("threshold")
        if threshold is not None:
            blocks.append(Text(say("decision.threshold", label=facts.labels[0], threshold=say.short(threshold))))
    else:
        blocks.append(Text(say("task.classes", count=say.count(len(facts.schema.labels)))))
    return tuple(blocks)


def _evaluation(facts: ReportFacts, say: Language) -> Section:
    text = say("card.evaluation.text", test=say.many("rows", facts.split["test"]))
    how = say(f"split.{facts.split['kind']}", by=facts.split["by"])
    return Section("evaluation", say("card.evaluation"), (Text(f"{text} {how}"),))


def _training(facts: ReportFacts, say: Language) -> Section:
    text = say(
        "card.training.text",
        train=say.many("rows", facts.split["train"]),
        rows=say.many("rows", facts.data["rows"]),
        source=facts.data["source"],
        digest=facts.data["digest"],
    )
    names: Names = columns_block(facts.schema.names, say)
    how = f"{kinds_text(facts, say)}. {split_text(facts, say)}"
    return Section("training", say("card.training"), (Text(text), Text(how), names))


def _results(facts: ReportFacts, say: Language) -> tuple[Block, ...]:
    plain = Text(" ".join(build_summary(facts, say).sentences))
    slices = results.slices_section(facts, say)
    tables = (
        *results.test_section(facts, say).blocks[1:],
        *results.classes_section(facts, say).blocks[1:],
        *(slices.blocks[1:] if slices else ()),
    )
    return (plain, *tables)


def _ethics(facts: ReportFacts, say: Language) -> Section:
    blocks: list[Block] = [Text(say("card.ethics.missing"))]
    for kind, key in (("text", "card.ethics.text"), ("category", "card.ethics.levels")):
        columns = [column.name for column in facts.schema.columns if column.kind == kind]
        if columns:
            blocks.append(Text(say(key, columns=say.listing(columns))))
    return Section("ethics", say("card.ethics"), tuple(blocks))


def _caveats(facts: ReportFacts, say: Language) -> Section:
    points = [say.finding(finding) for finding in facts.warnings]
    for finding in facts.accepted:
        where, message = finding.column or say("column.all"), say.finding(finding)
        points.append(say("card.caveats.accepted", column=where, message=message, reason=finding.accepted))
    if is_clearly_better(facts) is False:
        points.append(say("card.caveats.dummy"))
    if facts.split["kind"] == "random":
        points.append(say("card.caveats.random"))
    return Section("caveats", say("card.caveats"), (Points(tuple(points) or (say("card.caveats.none"),)),))
