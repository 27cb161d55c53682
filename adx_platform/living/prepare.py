"""Makes ready what Dagster needs before its programs start; run as a module.

Belongs here: the order of the preparations, in a process that ends, so that the supervisor does not
carry what they import. Does not belong here: the preparations.
"""

from __future__ import annotations

from adx_platform.settings import load_settings


def main() -> None:
    """Parse the models where they changed, and make the instance of the home."""
    # Dagster and dbt take four seconds to import, which importing this module must not.
    from adx_platform.orchestration.dbt_project import ensure_manifest  # noqa: PLC0415 - slow
    from adx_platform.orchestration.instance import ensure_instance  # noqa: PLC0415 - slow

    settings = load_settings()
    ensure_manifest(settings)
    ensure_instance(settings).dispose()


if __name__ == "__main__":
    main()
