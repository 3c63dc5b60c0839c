"""What may stand in a `tahona.toml`: typed, frozen, every key described.

The descriptions are the reference page, the JSON Schema (`tahona schema`) and the help in an editor; a test keeps them
complete. Rules that need more than one key stand in `tahona.project.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag

from tahona.core.schema import Kind
from tahona.project.locate import KeyPath
from tahona.project.secrets import hide, hide_credentials

FORMAT = 1
"""The newest version of the project file's format that this Tahona reads."""

PositiveInt = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A table of the project file: frozen, no unknown keys, no silent conversions.

    What came from the environment, and every password in an address, is masked when it is printed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    _secrets: frozenset[str] = PrivateAttr(default=frozenset())

    def model_post_init(self, context: object, /) -> None:
        """Take the loader's secrets, so that this table's `repr` can mask them."""
        if isinstance(context, Mapping):
            self._secrets = frozenset(context["secrets"])

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, hide(value, self._secrets)


class ProjectPart(Part):
    """Who this project is and what it predicts."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    """Name of the project and of its registered model: letters, digits, `-` and `_`."""
    target: Annotated[str, Field(min_length=1)]
    """The column that holds the label."""
    positive: str | int | bool | float | None = None
    """The class that matters, for two classes. Default: the later one in natural order."""
    language: Literal["en", "es"] = "en"
    """Language of the report and of the model card."""
    format: int = FORMAT
    """Version of the file's format."""


class TextPart(Part):
    """How text columns are read."""

    lemmas: Literal["es"] | None = None
    """Let one word stand for all its forms (needs the extra `text-es`); a column in another language is left alone."""
    stop_words: tuple[Annotated[str, Field(pattern=r"^\w\w+$")], ...] = ()
    """Words that say nothing in this table, besides the common ones; with `lemmas` all their forms."""
    characters: bool = False
    """Look at pieces of words too (four letters): linear and other models that are no trees, at some CPU."""


class DataPart(Part):
    """Where the table comes from and how it is cleaned."""

    source: Annotated[str, Field(min_length=1)]
    """A file, `http(s)://…`, `sqlite:///…?table=…`, or `sample:NAME`; a relative path starts at the project."""
    allow_outside: bool = False
    """Read a `source` file outside the project. A path that is a `--set` or begins with `${NAME}` needs no leave."""
    drop: tuple[str, ...] = ()
    """Columns that are never features."""
    clean: tuple[str, ...] = ()
    """Functions `module:name`, DataFrame → DataFrame, run in order; their module stands in the project's folder."""
    types: dict[str, Kind] = {}
    """Kind of a column where inference needs help: numeric, category, text, datetime or id."""
    formats: dict[str, str] = {}
    """`strptime` format of a date column that could be read in two ways."""
    text: TextPart = TextPart()
    """How text columns are read."""
    nulls: tuple[str, ...] = ("",)
    """Cells of a text file that mean "no value". `NA` and `None` are kept as they are unless named here."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Separator of a CSV file; sniffed when absent."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of a CSV file; sniffed when absent."""
    encoding: str | None = None
    """Encoding of a text file; sniffed when absent."""
    sheet: str | None = None
    """Sheet of an Excel file; the first when absent."""
    table: str | None = None
    """Table of a SQL source."""
    query: str | None = None
    """Query of a SQL source, instead of a table."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Expected digest of the file's bytes; anything else is refused."""


class SplitPart(Part):
    """Which rows train, which test, and how training rows are cut into folds."""

    kind: Literal["random", "group", "time"] = "random"
    """`random`, `group` (rows of one group stay together) or `time` (the latest rows test)."""
    by: str | None = None
    """The group or time column of a `group` or `time` split."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of rows in the test part."""
    folds: Annotated[int, Field(ge=1, le=50)] | None = None
    """Number of folds of the training rows; 1 is a single validation part. Absent: 5, or 1 from 25,000 rows on."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 42
    """Seed of the split and of every other random choice in the run."""
    stratify: bool = True
    """Keep the class shares in a random split's test part."""
    shuffle: bool = True
    """Shuffle the training rows before they are cut into folds (`random` and `group`)."""
    duplicates: Literal["together", "apart"] = "apart"
    """`together` keeps rows with equal features on one side of every cut."""


class IntRange(Part):
    """Whole numbers `{ int = [low, high], log = false, step = 1 }`, ends included."""

    int: tuple[int, int]
    """Lowest and highest value."""
    log: bool = False
    """Draw on a logarithmic scale."""
    step: PositiveInt = 1
    """Distance between values."""


class FloatRange(Part):
    """Real numbers `{ float = [low, high], log = false }`."""

    float: tuple[float, float]
    """Lowest and highest value."""
    log: bool = False
    """Draw on a logarithmic scale."""


Choice = Annotated[tuple[str | int | float | bool | None, ...], Field(min_length=1, max_length=1000)]


def _range_tag(value: object) -> str | None:
    """Tell which kind of range is meant, so that an error speaks of that kind only."""
    if isinstance(value, list | tuple):
        return "(choice)"
    if isinstance(value, IntRange) or (isinstance(value, dict) and "int" in value):
        return "(int)"
    if isinstance(value, FloatRange) or (isinstance(value, dict) and "float" in value):
        return "(float)"
    return None


Range = Annotated[
    Annotated[IntRange, Tag("(int)")] | Annotated[FloatRange, Tag("(float)")] | Annotated[Choice, Tag("(choice)")],
    Discriminator(_range_tag),
]


class CpuBudget(Part):
    """`{ cpu_seconds = 300 }`: processor time of the run and its workers."""

    cpu_seconds: Annotated[float, Field(gt=0)]
    """Seconds of processor time."""


Duration = Annotated[str, Field(pattern=r"^(\d*[1-9]\d*(\.\d+)?|0+\.\d*[1-9]\d*) ?(s|min|h)$")]


def seconds_of(duration: str) -> float:
    """Return the seconds of `"90 s"`, `"5 min"` or `"1.5 h"`."""
    number = duration.rstrip("hmins ")
    return float(number) * {"s": 1, "min": 60, "h": 3600}[duration.removeprefix(number).strip()]


def _budget_tag(value: object) -> str | None:
    """Tell which kind of budget is meant, None for neither."""
    if isinstance(value, str):
        return "(clock)"
    return "(cpu)" if isinstance(value, CpuBudget | dict) else None


Budget = Annotated[
    Annotated[CpuBudget, Tag("(cpu)")] | Annotated[Duration, Tag("(clock)")],
    Discriminator(_budget_tag, custom_error_type="budget", custom_error_message="neither text nor a table"),
]


class TrainPart(Part):
    """Which families are searched, how long, and by which metric."""

    metric: str = "roc_auc"
    """What the search maximises (or minimises, for log_loss, brier and expected_cost)."""
    models: Annotated[tuple[str, ...], Field(min_length=1, max_length=32)] = (
        "lightgbm",
        "logistic_regression",
    )
    """Families to train. The dummy is always on the leaderboard."""
    trials: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Trials per family; a grid is searched whole. Absent: the family's portfolio of strong configurations and nothing
    more, or 20 in a search space of your own."""
    budget: Budget | None = None
    """Time for the whole run: `"5 min"` (or s, h) by the clock, or `{ cpu_seconds = 300 }`.

    What is best by then is taken; unlike with `trials`, another run may find something else. With both, the first to be
    met ends a search."""
    search: dict[str, dict[str, Range]] = {}
    """Replaces a family's own search space; lists only make a grid, a range makes an Optuna study. `"none"` is None."""
    batch: Annotated[int, Field(ge=1, le=64)] = 4
    """Trials proposed at a time. Part of the result (workers are not): a larger batch learns less from each trial."""
    calibrate: Literal["auto", "none", "sigmoid", "isotonic"] = "auto"
    """How scores become probabilities; `auto` takes what has the least log loss out of fold."""
    ensemble: bool = True
    """Mix families when the mixture is better out of fold."""

    @property
    def limit(self) -> tuple[Literal["cpu", "wall"], float] | None:
        """The budget as its clock and seconds."""
        if self.budget is None:
            return None
        if isinstance(self.budget, CpuBudget):
            return "cpu", self.budget.cpu_seconds
        return "wall", seconds_of(self.budget)


class DecisionPart(Part):
    """How probabilities become a decision (two classes; with more the likeliest class is taken)."""

    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """A fixed threshold."""
    maximize: Literal["f1", "balanced_accuracy", "mcc"] | None = None
    """Choose the threshold that maximises this metric out of fold."""
    cost: dict[Literal["false_positive", "false_negative"], Annotated[float, Field(ge=0)]] | None = None
    """What a mistake costs: `{ false_positive = 1.0, false_negative = 5.0 }`; the cheapest threshold is chosen."""
    rule: Literal["threshold", "estimator"] = "threshold"
    """`estimator` leaves the decision to the estimator's own `predict`: for comparison with other programs only."""

    @property
    def prices(self) -> dict[str, float] | None:
        """The cost of either mistake, when one is declared."""
        return None if self.cost is None else {str(mistake): price for mistake, price in self.cost.items()}


class GatePart(Part):
    """What a version must show before it may become champion."""

    min: dict[str, float] = {}
    """Least test value per metric (greatest, for metrics where less is better)."""
    beats_champion: bool = True
    """Be no worse than the champion by paired bootstrap on the same test rows."""


class AuditPart(Part):
    """Findings that are accepted, and what the report looks at."""

    allow: dict[str, Annotated[str, Field(min_length=3)]] = {}
    """Column → reason why its error is accepted; the reason stands in the report."""
    slices: tuple[str, ...] = ()
    """Columns by which the evaluation is also shown; category columns with few levels when absent."""


class StoresPart(Part):
    """Where artefacts and the ledger are kept."""

    artifacts: str = ".tahona/artifacts"
    """Where artefacts are kept: a folder, or `s3://bucket/prefix` (needs the extra `s3`)."""
    ledger: str = "sqlite:///.tahona/ledger.db"
    """Database of the ledger; a relative SQLite path starts at the project's folder. PostgreSQL (extra `postgres`):
    `postgresql://${USER}:${PASSWORD}@host/database`."""


class StepRunPart(Part):
    """How patient to be with one kind of step; what is absent is as in `[run]`."""

    retries: Annotated[int, Field(ge=0, le=100)] | None = None
    """How often a failed step is tried again."""
    retry_delay: Duration | None = None
    """Time before another attempt."""
    timeout: Duration | None = None
    """Time that one attempt may take."""


class NotifyPart(Part):
    """Who is told when a run fails."""

    command: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """A command and its words; it gets what happened as JSON on standard input."""
    webhook: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """An address that is sent what happened as JSON (`text`, `project`, `run`, `step`, `error`) by POST."""


class PublishPart(Part):
    """Files of each finished run under names that people know; nothing is written over."""

    to: Annotated[str, Field(min_length=1)] | None = None
    """A folder, or `s3://bucket/prefix`; each run has a folder of its own in it, named by the run's id."""
    layout: Literal["ccds", "flat"] = "ccds"
    """`ccds`: data/raw, models, reports/figures …; `flat`: `<m>_model.tahona`, `roc_curve_<m>.png` … per model."""
    data: bool = True
    """Publish the tables too."""
    pickles: bool = False
    """Write models as `.pkl` besides. Whoever opens a pickle runs the code in it; Tahona never does."""


class RunPart(Part):
    """How the steps are run, here or by an orchestrator."""

    executor: Annotated[str, Field(min_length=1)] = "inline"
    """`inline`, `processes`, `dask`, or the name of an installed package's executor. No result depends on it."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Worker processes of `processes`; a Dask cluster has its own."""
    address: Annotated[str, Field(pattern=r"^(tcp|tls)://\S+$")] | None = None
    """The scheduler of the Dask cluster: `tcp://HOST:PORT`, or `tls://HOST:PORT` with `security`."""
    security: Annotated[str, Field(min_length=1)] | None = None
    """TOML file with `tls-ca-file`, `tls-client-cert` and `tls-client-key`; relative paths start at its folder."""
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    """How often a step that failed is tried again. What the user must mend is not tried again here."""
    retry_delay: Duration = "10 s"
    """Time before another attempt."""
    timeout: Duration | None = None
    """Time that one attempt of a step may take; none when absent."""
    steps: dict[str, StepRunPart] = {}
    """Other retries and time for one kind of step: `[run.steps.train]`."""
    schedule: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")] | None = None
    """When an orchestrator runs it: a cron line of five fields, in UTC. `tahona run` runs it now."""
    fuse: tuple[tuple[Annotated[str, Field(min_length=1)], ...], ...] = ()
    """Steps that an orchestrator runs as one task: `[["split", "audit"]]`."""
    on_failure: NotifyPart = NotifyPart()
    """Who is told when a run fails."""


class UpPart(Part):
    """What `tahona up` starts and makes on this machine, for a project that has no servers elsewhere."""

    servers: tuple[Literal["s3", "postgres", "mlflow", "prefect"], ...] = ()
    """Servers on 127.0.0.1, with their data in `.tahona/servers`. The project finds them by variables of its own:
    `AWS_*` and `PREFECT_API_URL`, and in this file `${TAHONA_POSTGRES_URL}` and `${TAHONA_MLFLOW_URL}`."""
    make: dict[str, Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]] = {}
    """File → the command that makes it, run in the project's folder when the file is missing:
    `{ "data/raw/visits.sqlite" = ["python", "make_data.py"] }`."""


class ServeLimitsPart(Part):
    """How much a server takes; what is more is refused with 413, 429 or 503."""

    body: PositiveInt = 10_000_000
    """Bytes of a request, counted as they are read and after unpacking; an upload has a bound of its own."""
    upload: PositiveInt = 200_000_000
    """Bytes of an upload, all of its files together."""
    rows: PositiveInt = 10_000
    """Rows of a request for predictions."""
    cell: PositiveInt = 100_000
    """Characters of one cell of a request."""
    concurrent: PositiveInt = 256
    """Requests that one worker process has in hand at a time."""
    rate: PositiveInt | None = None
    """Requests that one key may make in a second, in each worker process; as many as it likes when absent."""
    jobs: PositiveInt = 1
    """Training jobs that run at a time."""
    queue: Annotated[int, Field(ge=0)] = 10
    """Training jobs that may wait."""


class ServePart(Part):
    """How `tahona serve` answers."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen at; any but a loopback address needs keys (`tahona keys`)."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen at; 0: any free one."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that predict."""
    hosts: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names by which clients call this server (the header `Host`), besides the address that it listens at."""
    origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]+$")], ...] = ()
    """Web pages' origins that a browser may call from (CORS); none when absent."""
    log_features: bool | tuple[Annotated[str, Field(min_length=1)], ...] = True
    """Whether the prediction log keeps the features of each row: all, none, or these columns."""
    limits: ServeLimitsPart = ServeLimitsPart()
    """How much is taken."""


class Project(Part):
    """A whole project file, checked."""

    project: ProjectPart
    """Who this project is and what it predicts."""
    data: DataPart
    """Where the table comes from and how it is cleaned."""
    split: SplitPart = SplitPart()
    """Which rows train and which test."""
    train: TrainPart = TrainPart()
    """Which families are searched."""
    decision: DecisionPart = DecisionPart()
    """How probabilities become a decision."""
    gate: GatePart = GatePart()
    """What a version must show."""
    audit: AuditPart = AuditPart()
    """Accepted findings."""
    stores: StoresPart = StoresPart()
    """Where results are kept."""
    publish: PublishPart = PublishPart()
    """What is laid out for people."""
    run: RunPart = RunPart()
    """How steps are run."""
    up: UpPart = UpPart()
    """Servers on this machine."""
    serve: ServePart = ServePart()
    """How the champion is served."""

    root: Annotated[Path, Field(exclude=True, strict=False)] = Path()
    """The project's folder: set by the loader, not a key of the file."""
    file: Annotated[Path, Field(exclude=True, strict=False)] = Path("tahona.toml")
    """The project file as the caller named it, for messages: set by the loader, not a key of the file."""
    _places: dict[KeyPath, str] = PrivateAttr(default_factory=dict)

    @property
    def name(self) -> str:
        return self.project.name

    def with_places(self, places: Mapping[KeyPath, str]) -> Project:
        """Return this project with where each of its keys came from."""
        project = self.model_copy()
        project._places = dict(places)  # noqa: SLF001  our own copy
        return project

    def place(self, *path: str | int) -> str:
        """Return ``file:line`` (or ``--set key``) of a key, or of the nearest table or list around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self._places:
                return self._places[path[:end]]
        return str(self.file)

    def mask(self, text: str) -> str:
        """Return the text with every secret of this project as `***`: for logs and messages."""
        return str(hide(text, self._secrets))

    def masked(self) -> dict[str, Any]:
        """Return the whole file as plain data with every secret as `***`: for the ledger and the report."""
        masked: dict[str, Any] = hide(self.model_dump(mode="json"), self._secrets)
        return masked

    def part(self, *sections: str) -> dict[str, Any]:
        """Return these sections as plain data: what a step's fingerprint is made of.

        Credentials of an address are masked, so that a new password neither reruns a step nor comes to rest on disk.
        """
        plain = {section: getattr(self, section).model_dump(mode="json") for section in sections}
        visible: dict[str, Any] = hide_credentials(plain, self._secrets)
        return visible
