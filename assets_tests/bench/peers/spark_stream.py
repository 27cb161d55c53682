"""Spark Structured Streaming: what is there now, decoded in one pass, to one Parquet sink."""

from __future__ import annotations

import json

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.functions import col, expr, from_csv, from_json, when

from assets_tests.bench.peers.job import Job

CORRUPT = "_corrupt_record"


def run(job: Job) -> None:
    """Start the query, and wait until it has stored everything."""
    spark = SparkSession.builder.getOrCreate()
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", job.servers)
        .option("subscribe", job.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    query = (
        _decoded(messages, job)
        .writeStream.format("parquet")
        .option("path", str(job.out / "stored"))
        .option("checkpointLocation", str(job.out / "checkpoint"))
        .option("compression", "zstd")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    spark.stop()


def _decoded(messages: DataFrame, job: Job) -> DataFrame:
    if job.wire == "avro":
        return messages.select(*(_record(*item) for item in job.schemas.items()))
    text = col("value").cast("string")
    if job.wire == "json":
        options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT}
        record = from_json(text, f"{job.spark_schema}, {CORRUPT} STRING", options)
    else:
        # Without that column: Spark would call the lines of an older contract, which are shorter,
        # corrupt. Their missing columns are null.
        options = {"mode": "PERMISSIVE", "quote": '"', "escape": '"'}
        record = from_csv(text, job.spark_schema, options)
    return messages.select(record.alias("event")).select("event.*")


def _record(schema_id: int, schema: str) -> Column:
    """One column for each writer schema: null where the message has another."""
    own = expr("conv(hex(substring(value, 2, 4)), 16, 10)").cast("long") == schema_id
    payload = expr("substring(value, 6)")
    record = when(own, from_avro(payload, schema, {"mode": "PERMISSIVE"}))
    return record.alias(f"{json.loads(schema)['name']}_{schema_id}")


if __name__ == "__main__":
    run(Job.of_command_line())
