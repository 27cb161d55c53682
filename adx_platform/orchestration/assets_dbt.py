"""The dbt models as assets, their tests as checks.

Belongs here: the translation of names, groups and owners, and the one function that runs a build.
Does not belong here: SQL (``dbt_project/``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from adx_platform.orchestration import keys
from adx_platform.orchestration.dbt_project import (
    BUILD_ARGUMENTS,
    WITHOUT_VIEWS,
    dbt_process_environment,
    dbt_project,
    project_digest,
    require_manifest,
)
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.unchanged_views import View, are_unchanged, views_of, with_unchanged
from adx_platform.settings import Settings

MARTS_SCHEMA = "marts"
_SCHEMAS = ("staging", "intermediate", MARTS_SCHEMA)
# In the definition and not in each event: 58 models a minute would be a hundred megabytes a day.
_TRACE_HELP = (
    "Each row's `load_id` names the newest load that it was made from. `adx trace LOAD_ID` gives "
    "that load's lake commit and Kafka offsets; the materialisations of `warehouse/published` list "
    "the newest ones, those of `warehouse/raw/...` all of them."
)


class WarehouseTranslator(DagsterDbtTranslator):
    """Names models by the warehouse schema that they are built in."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """``warehouse/<schema>/<name>``; a key in the node's own meta comes first."""
        if _configured_key(dbt_resource_props):
            return super().get_asset_key(dbt_resource_props)
        if dbt_resource_props["resource_type"] == "source":
            return keys.warehouse_key(dbt_resource_props["source_name"], dbt_resource_props["name"])
        return keys.warehouse_key(_schema(dbt_resource_props), dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The node's dbt group; models without one are grouped by schema."""
        if dbt_resource_props["resource_type"] == "source":
            return None
        group = dbt_resource_props.get("group") or dbt_resource_props["config"].get("group")
        return str(group or _schema(dbt_resource_props))

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The platform's team, unless the model's meta names others."""
        return list(super().get_owners(dbt_resource_props) or keys.OWNERS)

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Columns and their documentation; for a mart also the way back to the messages."""
        metadata = dict(super().get_metadata(dbt_resource_props))
        is_model = dbt_resource_props["resource_type"] != "source"
        if is_model and _schema(dbt_resource_props) == MARTS_SCHEMA:
            metadata["readers_see_it_in"] = dg.MetadataValue.asset(keys.PUBLISHED_KEY)
            metadata["how_to_trace_a_figure"] = dg.MetadataValue.md(_TRACE_HELP)
        return metadata

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """The layer, and whether rows can be joined by person."""
        tags = dbt_resource_props.get("tags") or []
        layer = (
            {}
            if dbt_resource_props["resource_type"] == "source"
            else {keys.LAYER_TAG: _schema(dbt_resource_props)}
        )
        return {**layer, keys.PII_TAG: "reduced" if "pii" in tags else "none"}

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """As dagster-dbt makes it, with a sentence: it looks for one in the test's meta only."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None or spec.description:
            return spec
        return spec._replace(description=describe_test(manifest["nodes"][unique_id]))


def describe_test(node: Mapping[str, Any]) -> str | None:
    """What a dbt test asks of the rows: its own description, or that of its kind.

    Args:
        node: of the manifest.
    """
    if node.get("description"):
        return str(node["description"])
    test = node.get("test_metadata") or {}
    asked = test.get("kwargs") or {}
    if test.get("name") == "unique_combination":
        return f"One row per {', '.join(asked['columns'])}."
    if test.get("name") == "expression_is_true":
        return f"True of every row: `{asked['expression']}`."
    if test.get("name") == "values_exist_in":
        parent = re.sub(r"\W", " ", str(asked["to"])).split()[-1]
        return f"Every {asked['column']} is the {asked['field']} of a row in {parent}."
    return None


def marts_keys(manifest: Path) -> list[dg.AssetKey]:
    """Keys of the models in schema ``marts``: what is published."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    return sorted(
        keys.warehouse_key(MARTS_SCHEMA, node["name"])
        for node in nodes
        if node["resource_type"] == "model" and _schema(node) == MARTS_SCHEMA
    )


def warehouse_models(settings: Settings) -> dg.AssetsDefinition:
    """Every model and test of the project: one build.

    Raises:
        ManifestError: the manifest was not made yet.
    """

    @dbt_assets(
        manifest=require_manifest(settings),
        project=dbt_project(settings),
        dagster_dbt_translator=WarehouseTranslator(),
        name="build_warehouse",
        pool=keys.WAREHOUSE_POOL,
    )
    def build_warehouse(
        context: dg.AssetExecutionContext, line: dg.ResourceParam[Line], dbt: DbtCliResource
    ) -> Iterator[Any]:
        newest_load = line.newest_load()
        refresh = context.run.tags.get(keys.FULL_REFRESH_TAG) == "true"
        everything = not context.is_subset
        left_out = _unchanged(settings, line) if everything and not refresh else ()
        with dbt_process_environment(settings):
            invocation = dbt.cli(
                [
                    *BUILD_ARGUMENTS,
                    *(["--full-refresh"] if refresh else []),
                    *(WITHOUT_VIEWS if left_out else []),
                ],
                context=context,
                raise_on_error=False,
                target_path=settings.dbt_target_dir / "runs" / context.run.run_id,
            )
            # Held back until dbt has ended: while it runs, it has the database to itself.
            events = with_unchanged(list(invocation.stream()), left_out)
        yield from _with_counts(events, line.model_rows(), newest_load)
        error = invocation.get_error()
        if error is not None:
            raise error
        # Only a build of everything may say that it included these loads.
        if everything:
            line.record_build(context.run.run_id, newest_load)

    return build_warehouse


def _unchanged(settings: Settings, line: Line) -> tuple[View, ...]:
    """The views, if none of them is to be made; otherwise none."""
    manifest = json.loads(require_manifest(settings).read_text(encoding="utf-8"))
    translator = WarehouseTranslator()
    asset_keys = {
        name: translator.get_asset_key(node)
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model"
    }
    views = views_of(manifest, asset_keys)
    made = line.views_made_from(project_digest(settings))
    return views if are_unchanged(views, made) else ()


def _with_counts(events: Iterable[Any], rows: Mapping[str, int], load_id: int) -> Iterator[Any]:
    """Add to each model's event how many rows it has and which load it reaches to.

    dagster-dbt's own ``fetch_row_counts`` leaves a connection with other options behind, so that
    DuckDB refuses ours, and its column metadata took 50 s for 58 models (2026-11): the columns are
    in the manifest, with their types and descriptions.
    """
    for event in events:
        if isinstance(event, dg.Output):
            name = str(event.metadata["unique_id"].value).rpartition(".")[2]
            counted = {"dagster/row_count": rows[name]} if name in rows else {}
            yield event.with_metadata(
                {**event.metadata, **counted, "newest_load": dg.MetadataValue.int(load_id)}
            )
        else:
            yield event


def _configured_key(props: Mapping[str, Any]) -> bool:
    meta = props.get("config", {}).get("meta") or props.get("meta") or {}
    return bool(meta.get("dagster", {}).get("asset_key"))


def _schema(props: Mapping[str, Any]) -> str:
    schema = props["config"].get("schema")
    if schema not in _SCHEMAS:
        raise ValueError(
            f"dbt node {props['unique_id']} is in schema {schema!r}: give it one of {_SCHEMAS} "
            "in dbt_project.yml"
        )
    return str(schema)
