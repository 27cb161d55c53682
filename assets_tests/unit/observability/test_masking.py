"""Nothing that may not be seen survives; whatever else is said stays as it is."""

from __future__ import annotations

import ipaddress
import json
import logging
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from adx_platform.observability import masking
from adx_platform.observability.masking import MASK, Masker, MaskingFilter, masker_for
from adx_platform.settings import AlertSettings, IncidentSettings, KafkaSettings, Settings

SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=4, max_size=30)
WORDS = st.text(string.ascii_letters + " ", max_size=30)
IDS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=40)
NAMES = st.sampled_from(["user_id", "userid", "user-id", "buyeruid", "buyer_uid", "ifa", "IFA"])
PUBLIC_V4 = st.ip_addresses(v=4).map(str).filter(lambda a: a not in ("127.0.0.1", "0.0.0.0"))
PUBLIC_V6 = st.ip_addresses(v=6).filter(lambda a: not (a.is_loopback or a.is_unspecified))


@given(SECRETS, WORDS, WORDS)
def test_no_configured_secret_survives(secret: str, before: str, after: str) -> None:
    mask = Masker([secret])
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        masked = mask(f"{before}|{form}|{after}")
        assert form not in masked.replace(MASK, "\0") or form in f"{before}||{after}"


@given(st.from_regex(r"[a-z]{3,8}", fullmatch=True), IDS, IDS)
def test_no_password_in_an_address_survives(scheme: str, user: str, password: str) -> None:
    masked = Masker()(f"cannot reach {scheme}://{user}:{password}@db.example:5432/adx now")
    assert masked == f"cannot reach {scheme}://{MASK}@db.example:5432/adx now"


@given(PUBLIC_V4)
def test_no_ipv4_address_survives(address: str) -> None:
    mask = Masker()
    assert mask(f"from {address}, again") == f"from {MASK}, again"
    assert mask(f'{{"ip":"{address}"}}') == f'{{"ip":"{MASK}"}}'
    assert mask(f"from {address}.") == f"from {MASK}."
    assert mask(f"{address}:443 refused") == f"{MASK}:443 refused"


@given(PUBLIC_V6, st.booleans())
def test_no_ipv6_address_survives(address: ipaddress.IPv6Address, exploded: bool) -> None:
    text = address.exploded if exploded else address.compressed
    mask = Masker()
    assert mask(f"from {text}, again") == f"from {MASK}, again"
    assert mask(f"[{text}]:443 refused") == f"[{MASK}]:443 refused"
    assert mask(f"client {text.upper()}: gone") == f"client {MASK}: gone"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_addresses_of_no_person_stay(address: str) -> None:
    assert Masker()(f"listening on {address} now") == f"listening on {address} now"


def test_configured_servers_stay() -> None:
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers="10.1.2.3:9092,10.1.2.4:9092"),
        alerts=AlertSettings(ui_url="http://10.9.9.9:3000"),
    )
    said = "10.1.2.4:9092 and http://10.9.9.9:3000/runs, not 10.1.2.5:9092"
    assert masker_for(settings)(said) == said.replace("10.1.2.5", MASK)


@given(NAMES, IDS)
def test_no_persons_id_survives(name: str, value: str) -> None:
    mask = Masker()
    for text in (
        f"{name}={value}",
        f'"{name}": "{value}"',
        f'"{name}":"{value}"',
        f"'{name}': '{value}'",
        f"raw_{name}={value} and more",
        json.dumps(json.dumps({name: value})),
        f'{{"user": {{"{name}": "{value}", "yob": 1}}}}',
    ):
        masked = mask(text)
        assert MASK in masked
        assert value not in masked.replace(name, "").replace(MASK, "") or len(value) < 3


@given(st.emails())
def test_no_mail_address_of_the_usual_form_survives(address: str) -> None:
    user = address.partition("@")[0]
    if all(letter.isalnum() or letter in "._+-%" for letter in user):
        assert Masker()(f"ask {address} about it") == f"ask {MASK} about it"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key AKIAIOSFODNN7EXAMPLE is unknown", f"key {MASK} is unknown"),
        ("Authorization: Bearer abc.def-ghi_jkl0123456789", f"Authorization: {MASK}"),
        ("sent bearer eyJhbGciOiJIUzI1NiJ9.e30.x", f"sent bearer {MASK}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: {MASK}"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", f"{{'Authorization': '{MASK}'}}"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", f"aws_secret_access_key={MASK}"),
        ('{"password": "hunter2"}', f'{{"password": "{MASK}"}}'),
        ("?X-Amz-Signature=abc123&x=1", f"?X-Amz-Signature={MASK}&x=1"),
    ],
)
def test_credentials_of_the_usual_forms(text: str, masked: str) -> None:
    assert Masker()(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "committed 0:[0, 50000), 2:[0, 50000) of ad_impressions, lane 0: 99000 accepted",
        "the secret does not belong to the access key: check ADX_LAKE__S3_SECRET_ACCESS_KEY",
        "2026-03-02T12:00:00.123456+00:00 at 12:30:45, 3.5 % of 1,000",
        "bearer authentication is not offered; basic auth neither",
        "s3://lake/adx/events/ad_impressions and file:///var/lib/adx",
        "adx_platform.lake.errors.LakeUnavailable: std::string dead:beef",
        "dagster 1.13.27, topic id aGVsbG8td29ybGQ_-w/3 INC-0042",
        "mail the team @ noon",
        "",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert Masker(["a-secret"])(text) == text


@given(st.text(string.ascii_letters + string.digits + " ,;()[]%-_/", max_size=80))
def test_text_without_the_marks_is_unchanged(text: str) -> None:
    # No "@", "=", ":" or "."; the two forms that need none of them are words of their own.
    if "bearer" not in text.lower() and not masking._AWS_KEY_ID.search(text):
        assert Masker(["~~secret~~"])(text) == text


@given(SECRETS, PUBLIC_V4)
def test_masking_twice_changes_nothing_more(secret: str, address: str) -> None:
    mask = Masker([secret])
    once = mask(f"user_id={secret} at {address}")
    if secret not in MASK:
        assert mask(once) == once


def test_every_secret_of_the_tree_is_known() -> None:
    settings = Settings(
        kafka=KafkaSettings(
            sasl_password=SecretStr("kafka-pw"),
            client_options={"sasl.oauthbearer.client.secret": "oauth-pw", "linger.ms": "5000"},
        ),
        alerts=AlertSettings(slack_webhook_url=SecretStr("https://hooks.example/T0/B0/x")),
        incidents=IncidentSettings(url=SecretStr("postgresql://adx:p%40ss@db.example/adx")),
    )
    mask = masker_for(settings)
    said = "kafka-pw oauth-pw https://hooks.example/T0/B0/x p%40ss p@ss 5000"
    assert mask(said) == f"{MASK} {MASK} {MASK} {MASK} {MASK} 5000"


def test_a_short_secret_does_not_garble_every_text() -> None:
    assert Masker(["abc"])("the abc of it") == "the abc of it"


class BoomError(Exception):
    pass


def refuse() -> None:
    raise BoomError("password-of-the-day was refused")


def record_of(message: str, *args: object, error: bool = False) -> logging.LogRecord:
    exc_info = None
    if error:
        try:
            refuse()
        except BoomError as boom:
            exc_info = (BoomError, boom, boom.__traceback__)
    return logging.LogRecord("x", logging.INFO, "f.py", 1, message, args, exc_info)


def test_the_filter_masks_message_arguments_and_exception() -> None:
    record = record_of("refused %s", "password-of-the-day", error=True)
    assert MaskingFilter(Masker(["password-of-the-day"])).filter(record)
    text = logging.Formatter("%(message)s").format(record)
    assert "password-of-the-day" not in text
    assert text.startswith(f"refused {MASK}\n")
    assert f"BoomError: {MASK} was refused" in text


def test_arguments_that_do_not_fit_are_masked_and_no_second_error() -> None:
    record = record_of("took %d s", "password-of-the-day")
    MaskingFilter(Masker(["password-of-the-day"])).filter(record)
    assert record.getMessage() == f"took %d s ('{MASK}',) (the arguments do not fit the message)"


def test_installed_it_masks_what_any_handler_gets(
    clean_logging: None, caplog: pytest.LogCaptureFixture
) -> None:
    masking.install(Masker(["first-secret"]))
    masking.install(Masker(["other-secret"]))
    with caplog.at_level(logging.INFO):
        logging.getLogger("somebody.else").info("other-secret and %s", "first-secret")
    assert caplog.messages == [f"{MASK} and first-secret"]
    masking.uninstall()
    with caplog.at_level(logging.INFO):
        logging.getLogger("somebody.else").info("other-secret")
    assert caplog.messages[-1] == "other-secret"
