"""URIs, masking, and storage failures as sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from adx_platform.lake.errors import LakeUnavailable
from adx_platform.lake.storage import LakeStorage
from adx_platform.settings import LakeSettings, load_settings


def test_a_path_a_file_uri_and_the_default_name_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my lake"
    by_path = LakeStorage.at(str(folder))
    by_uri = LakeStorage.at(folder.as_uri())
    assert by_path.uri == by_uri.uri == str(folder)
    assert LakeStorage.from_settings(load_settings(home=tmp_path)).uri == str(tmp_path / "lake")
    assert by_path.table_uri("raw/x") == str(folder / "raw" / "x")
    assert by_path.is_local
    assert not by_path.is_hdfs


def test_remote_uris_keep_their_form() -> None:
    s3 = LakeStorage.at("s3://bucket/lake/")
    assert s3.table_uri("raw/x") == "s3://bucket/lake/raw/x"
    assert not s3.is_local
    hdfs = LakeStorage.at("hdfs://namenode:8020/lake")
    assert hdfs.is_hdfs
    assert dict(hdfs.options) == {}


def test_an_unknown_scheme_is_refused_with_what_is_possible() -> None:
    with pytest.raises(ValueError, match="'ftp' is not supported; give a path, file://, s3://"):
        LakeStorage.at("ftp://host/lake")


def test_secrets_are_in_no_repr() -> None:
    section = LakeSettings(
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key_id="AKVISIBLE",
        s3_secret_access_key=SecretStr("topsecret"),
        s3_allow_http=True,
    )
    storage = LakeStorage.at("s3://bucket/lake", section)
    assert storage.options["aws_secret_access_key"] == "topsecret"
    assert storage.options["aws_allow_http"] == "true"
    for text in (repr(storage), str(storage)):
        assert "topsecret" not in text
        assert "AKVISIBLE" not in text


def test_put_if_absent_is_always_asked_for_on_s3() -> None:
    # Without it two writers of one version both believe that they won.
    assert LakeStorage.at("s3://bucket/lake").options["aws_conditional_put"] == "etag"


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        ("Generic S3 error: <Code>NoSuchBucket</Code>", "create it, or correct ADX_LAKE__URI"),
        ("<Code>SignatureDoesNotMatch</Code>", "check ADX_LAKE__S3_SECRET_ACCESS_KEY"),
        ("tcp connect error: Connection refused (os error 111)", "check ADX_LAKE__S3_ENDPOINT"),
        ("No space left on device (os error 28)", "free space, then run again"),
    ],
)
def test_storage_failures_say_what_to_do(failure: str, advice: str) -> None:
    storage = LakeStorage("s3://bucket/lake")
    with (
        pytest.raises(LakeUnavailable, match="opening table raw/x in the lake s3://bucket") as seen,
        storage.explained("opening table raw/x"),
    ):
        raise OSError(failure)
    assert advice in str(seen.value)


def test_other_errors_pass_unchanged() -> None:
    with (
        pytest.raises(OSError, match="something else"),
        LakeStorage("/x").explained("opening"),
    ):
        raise OSError("something else")
