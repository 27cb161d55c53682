"""The branches of the settings tree: names, defaults, bounds, meanings.

Belongs here: one class per section. Does not belong here: the tree, its profiles, or reading the
environment (``settings``).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

# Not a secret: it only keeps the demo's pseudonyms stable between runs. `adx` refuses it for the
# aws and hadoop profiles.
LOCAL_PRIVACY_KEY = "adx-local-demo-key"


class Section(BaseModel):
    """One branch of the settings tree; unknown names are errors, so that typing errors show."""

    # An error must not show the section that it is about: it may hold a password.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KafkaSettings(Section):
    """How to reach the broker and how topics are split into lanes."""

    bootstrap_servers: str = Field("127.0.0.1:19092", description="host:port[,host:port...]")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    ssl_certificate_location: Path | None = None
    ssl_key_location: Path | None = None
    ssl_key_password: SecretStr | None = None
    client_options: dict[str, str] = Field(
        default_factory=dict, description="further librdkafka options, passed through as they are"
    )
    partitions_per_topic: int = Field(4, ge=1, description="used when `adx` creates a topic")
    lanes_per_topic: int = Field(2, ge=1, description="lane = partition modulo this number")
    request_timeout_seconds: float = Field(15.0, gt=0)


class RegistrySettings(Section):
    """Where Avro writer schemas are looked up."""

    url: str | None = Field(
        None, description="Confluent-compatible registry; absent: a file-backed one under home"
    )
    username: str | None = None
    password: SecretStr | None = None


class LakeSettings(Section):
    """Where the Delta tables live and how they are kept."""

    uri: str | None = Field(
        None, description="file path, file://, s3:// or hdfs://; absent: <home>/lake"
    )
    s3_endpoint: str | None = Field(None, description="for S3-compatible stores")
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = Field(None, description="absent: the default AWS chain")
    s3_secret_access_key: SecretStr | None = None
    s3_allow_http: bool = False
    s3_timeout_seconds: float = Field(
        30.0,
        gt=0,
        description="a request that takes longer is tried again; large files go in parts",
    )
    checkpoint_interval: int = Field(50, ge=1, description="commits between Delta checkpoints")
    raw_retention: timedelta = Field(
        timedelta(days=7),
        description="undecoded bytes are kept this long, by the Kafka clock of their topic",
    )
    compact_below: int = Field(
        128 * 1024 * 1024, ge=1, description="bytes; smaller files are merged by the maintenance"
    )
    compact_into: int = Field(
        256 * 1024 * 1024,
        ge=2,
        le=512 * 1024 * 1024,
        description="bytes; no merged file is larger; at least twice ADX_LAKE__COMPACT_BELOW",
    )
    compact_from: int = Field(
        16, ge=2, description="small files in one table that make merging them worthwhile"
    )
    vacuum_after: timedelta = Field(
        timedelta(hours=2),
        ge=timedelta(hours=1),
        description="replaced files are kept this long for readers at an older version; opening a "
        "table costs more with each of them",
    )
    orphans_after: timedelta = Field(
        timedelta(hours=24),
        ge=timedelta(hours=1),
        description="files that no commit refers to are deleted at this age; longer than any write "
        "takes; not before ADX_LAKE__VACUUM_AFTER",
    )
    log_retention: timedelta = Field(
        timedelta(minutes=5),
        ge=timedelta(minutes=5),
        description="entries of a table's log are kept this long; every commit pays for listing "
        "them; longer than the longest batch or restatement takes",
    )

    @model_validator(mode="after")
    def _merged_files_hold_two(self) -> Self:
        if self.compact_into < 2 * self.compact_below:
            raise ValueError(
                "ADX_LAKE__COMPACT_INTO must be at least twice ADX_LAKE__COMPACT_BELOW, so that "
                "two small files always fit into one"
            )
        return self


class IngestSettings(Section):
    """How large one range may be."""

    max_records_per_batch: int = Field(
        50_000,
        ge=1,
        description="per lane and commit; half the memory of 100,000 for the same speed",
    )
    max_bytes_per_batch: int = Field(
        256 * 1024 * 1024, ge=1, description="message values per lane and commit: bounds memory"
    )
    target_batch_seconds: float = Field(
        10.0,
        gt=0,
        description="slower batches make the lane's next ranges smaller, quicker ones larger again",
    )
    idle_timeout_seconds: float = Field(
        30.0,
        gt=0,
        description="a range whose broker says nothing for so long fails, and is retried",
    )


class FollowSettings(Section):
    """The resident loop, ``adx ingest --follow``."""

    poll_interval: timedelta = Field(
        timedelta(milliseconds=500), description="between two looks at the broker, when idle"
    )
    batch_interval: timedelta = Field(
        timedelta(seconds=1),
        description="between two batches of a lane that has no backlog: a batch costs much the "
        "same whether it has ten messages or a thousand",
    )
    lagging_batch_interval: timedelta = Field(
        timedelta(seconds=15),
        description="the same while the warehouse is further behind than "
        "ADX_WAREHOUSE__MAX_LAG_ROWS: fewer and larger batches; a backlog of a whole one goes on",
    )
    report_interval: timedelta = Field(
        timedelta(seconds=10),
        description="between two reports of one stream to Dagster: bounds the event log",
    )
    check_interval: timedelta = Field(
        timedelta(minutes=1),
        description="between two reports of a check that passes again; a change is told at once",
    )
    merge_interval: timedelta = Field(
        timedelta(seconds=30),
        gt=timedelta(0),
        description="between two merges of the small files that the loop makes; planning costs "
        "more with each file, and the schedule `maintenance` comes too seldom for a loop",
    )
    stop_timeout: timedelta = Field(
        timedelta(seconds=20), description="a batch at work may take so long when it is stopped"
    )
    health_host: str = "127.0.0.1"
    health_port: int | None = Field(
        None, ge=0, le=65_535, description="/live, /ready and /metrics; 0: any; absent: none"
    )
    stale_after: timedelta = Field(
        timedelta(seconds=30),
        description="without a sign of life for so long the planner sensor takes over",
    )


class WarehouseSettings(Section):
    """Which engine serves the marts."""

    engine: Literal["duckdb", "redshift", "hive"] = "duckdb"
    duckdb_path: Path | None = Field(None, description="absent: <home>/warehouse/adx.duckdb")
    published_dir: Path | None = Field(None, description="absent: <home>/published")
    copies_dir: Path | None = Field(
        None,
        description="Hive: folder of the copies, seen under the same path by HiveServer2; "
        "absent: <home>/warehouse/hive",
    )
    host: str | None = None
    port: int | None = None
    database: str = "dev"
    user: str | None = None
    password: SecretStr | None = None
    threads: int = Field(2, ge=1)
    memory_limit: str = Field(
        "3GB",
        pattern=r"^\d+(\.\d+)?\s?([kKMGT]i?B|%)$",
        description="DuckDB only: what a load or build may hold; what needs more goes to disk",
    )
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = Field(
        "require", description="Redshift: its driver checks the certificate unless it is `disable`"
    )
    iam_auth: bool = Field(
        False,
        description="Redshift: a temporary password from AWS, for ADX_WAREHOUSE__USER of the "
        "cluster or the workgroup, instead of ADX_WAREHOUSE__PASSWORD",
    )
    iam_profile: str | None = Field(
        None, description="Redshift, iam_auth: AWS profile; absent: the default AWS chain"
    )
    cluster_id: str | None = Field(None, description="Redshift, iam_auth: the provisioned cluster")
    workgroup: str | None = Field(None, description="Redshift, iam_auth: the serverless workgroup")
    region: str | None = Field(None, description="Redshift, iam_auth: AWS region of the warehouse")
    iam_role: str | None = Field(
        None,
        description="Redshift: role that COPY assumes to read ADX_WAREHOUSE__LOAD_URI; `default`: "
        "the one that the cluster was given as its default",
    )
    load_uri: str | None = Field(
        None,
        description="Redshift: s3:// folder for files on their way into the warehouse, in its "
        "region, reached as ADX_LAKE__S3_... says; absent: <lake>/load, for a lake on s3://",
    )
    reader_role: str | None = Field(
        None, description="Redshift: role that reads the published marts without personal columns"
    )
    restricted_role: str | None = Field(
        None, description="Redshift: role that reads every column of the published marts"
    )
    retention: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="table (`raw.clicks`, `marts.fct_clicks`, ...) to the days that its rows "
        "are kept, by event date; tables not named keep all (docs/operations/retention.md)",
    )
    max_lag_rows: int = Field(
        10_000_000,
        ge=1,
        description="refined and not loaded, of one stream; above, the resident loop says so and "
        "makes fewer and larger batches; it never stops landing",
    )


class PrivacySettings(Section):
    """The keys under which user ids are pseudonymised."""

    key: SecretStr = Field(SecretStr(LOCAL_PRIVACY_KEY), description="HMAC key for user ids")
    key_id: str = Field("local-1", description="stored beside every pseudonym")
    previous_key: SecretStr | None = Field(
        None, description="set during a rotation: ids are hashed twice"
    )
    previous_key_id: str | None = None

    @model_validator(mode="after")
    def _previous_key_has_an_id(self) -> Self:
        if (self.previous_key is None) != (self.previous_key_id is None):
            raise ValueError(
                "set ADX_PRIVACY__PREVIOUS_KEY and ADX_PRIVACY__PREVIOUS_KEY_ID together"
            )
        return self


class RefineSettings(Section):
    """Bounds that decide a disposition; all are judged against the Kafka timestamp."""

    late_after: timedelta = Field(
        timedelta(hours=1), description="older than this at the broker: late"
    )
    oldest_accepted: timedelta = Field(timedelta(days=30), description="older still: rejected")
    future_tolerance: timedelta = Field(timedelta(minutes=5), description="further ahead: rejected")


class QualitySettings(Section):
    """Bounds of the quality checks and how much stored data a check after each batch reads."""

    tail_offsets: int = Field(
        1_000_000,
        ge=1,
        description="per partition, recounted after each batch; the daily audit recounts all",
    )
    contract_tail_offsets: int = Field(
        5_000, ge=1, description="per partition, verified against the contract's models"
    )
    max_reject_share: float = Field(0.10, ge=0, le=1, description="above: a warning")
    max_late_share: float = Field(0.25, ge=0, le=1, description="above: a warning")
    recent: timedelta = Field(
        timedelta(hours=1),
        description="of Kafka time: the reject and late shares are of so much, up to the newest",
    )
    live_tail_offsets: int = Field(
        10_000,
        ge=1,
        description="per partition, recounted by the resident loop; the loads recount the tail",
    )
    anomaly_training: timedelta = Field(
        timedelta(days=35), description="history that an anomaly check learns from"
    )
    anomaly_tested_hours: int = Field(
        3, ge=1, description="newest closed hours that are judged, and left out of the training"
    )
    anomaly_grace: timedelta = Field(
        timedelta(minutes=15),
        description="of Kafka time after an hour's end, before an anomaly check takes it as over",
    )
    anomaly_min_days: int = Field(
        7, ge=2, description="days an hour of the day must have been seen; before: cold start"
    )
    min_correlation_share: float = Field(
        0.90,
        ge=0,
        le=1,
        description="rendered impressions with a win or billing notice; below: a warning",
    )
    max_event_delay: timedelta = Field(
        timedelta(hours=1),
        description="newest accepted event behind the newest message; above: a warning",
    )


class IncidentSettings(Section):
    """Incidents and how far the platform may go in mending by itself."""

    url: SecretStr | None = Field(
        None, description="SQLAlchemy address of the incident database; absent: SQLite under home"
    )
    max_attempts: int = Field(3, ge=0, description="remediations of one incident; then a person")
    first_pause: timedelta = Field(
        timedelta(seconds=20), description="before the second attempt; doubled for each further one"
    )
    watch_for: timedelta = Field(
        timedelta(hours=6),
        description="an incident that only its source can end is escalated after so long",
    )


class AlertSettings(Section):
    """Who is told. Without any address alerts are only logged."""

    slack_webhook_url: SecretStr | None = Field(
        None, description="Slack, or whatever takes Slack's incoming-webhook format"
    )
    webhook_url: SecretStr | None = Field(None, description="gets each alert as a JSON document")
    webhook_secret: SecretStr | None = Field(
        None, description="signs the document: X-Adx-Signature is sha256=<HMAC of the body>"
    )
    ui_url: str = Field(
        "http://127.0.0.1:3000", description="Dagster's address, for the links in alerts"
    )
    timeout_seconds: float = Field(10.0, gt=0)
    max_attempts: int = Field(8, ge=1, description="deliveries of one alert to one address")


class LogSettings(Section):
    """How logs are written."""

    format: Literal["text", "json"] = Field("text", description="json: one ECS document a line")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="the lowest that is written"
    )


class HygieneSettings(Section):
    """How long Dagster's own records are kept."""

    keep_runs: timedelta = Field(timedelta(days=30), description="finished runs and their events")
    keep_events: timedelta = Field(
        timedelta(days=3), description="materialisations and check results outside of runs"
    )
