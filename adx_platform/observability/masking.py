"""Secrets and personal data out of whatever is logged or sent to people.

Belongs here: what is masked, and the filter that does it to log records. Does not belong here: how
records are written (``logs``), or the reduction of personal data in events (``refine``).

To mask too much is cheap and to mask too little is not: a version of four numbers looks like an
IPv4 address and is masked. A secret of fewer than four characters is not looked for: it would
garble every text.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import BaseModel, SecretStr

MASK: Final = "***"

_SHORTEST_SECRET: Final = 4
_SECRET_OPTION: Final = re.compile(r"password|secret|token|\.key|key\.|credential", re.IGNORECASE)

_USER_IN_URL: Final = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_AWS_KEY_ID: Final = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z0-9]{16}\b")
_BEARER: Final = re.compile(r"\b(bearer\s+)[A-Za-z0-9._~+/\-]{16,}=*", re.IGNORECASE)
_AUTHORIZATION: Final = re.compile(
    r"(authorization\\?[\"']?\s*[:=]\s*\\?[\"']?)(?:(?:basic|bearer|digest|negotiate)\s+)?"
    r"[^\s\"',}]+",
    re.IGNORECASE,
)
# A value after `=`, or in JSON after a quoted name; a sentence about a password keeps its words.
_NAMED_SECRET: Final = re.compile(
    r"((?:password|passwd|secret|token|api_?key|access_key|secret_key|credential|signature)"
    r"(?:=|\\?[\"']\s*[:=]\s*)\\?[\"']?)[^\s\"'\\,;&}]+",
    re.IGNORECASE,
)
_NAMED_PERSON: Final = re.compile(
    r"(?<![a-z0-9])((?:user_?id|user-id|buyer_?uid|ifa|idfa|gaid|aaid|device_?id|first_party_id)"
    r"(?:\\?[\"'])?\s*[=:]\s*)"
    r"(?:\\\"(?:[^\"\\])*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s\"',;&}\])]+)",
    re.IGNORECASE,
)
# Loopback and "every interface" are addresses of no person.
_IPV4: Final = re.compile(
    r"(?<![\d.])(?!127\.0\.0\.1(?![\d])|0\.0\.0\.0(?![\d]))"
    r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d|\.\d)"
)
_IPV6: Final = re.compile(
    r"(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{3,39}"
    r"(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![0-9A-Za-z])"
)
_EMAIL: Final = re.compile(r"[\w.+\-%]+@[\w\-]+(?:\.[\w\-]+)+")


class Masker:
    """Masks texts: the secrets that it was given, and whatever has the form of one."""

    def __init__(self, secrets: Iterable[str] = (), hosts: Iterable[str] = ()) -> None:
        """Remember what to look for.

        Args:
            secrets: texts that must never be seen; those shorter than 4 characters are passed over.
            hosts: configured servers, whose addresses are no personal data.
        """
        forms = {
            form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)
        }
        # The longest first: a password that is part of a secret address must not split it.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._hosts = frozenset(hosts)

    def __call__(self, text: str) -> str:
        """``text`` with everything that may not be seen replaced by ``***``."""
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        # Each pattern costs a pass: the character that it cannot do without is asked for first.
        if "@" in text:
            text = _USER_IN_URL.sub(f"{MASK}@", text)
            text = _EMAIL.sub(MASK, text)
        if "=" in text or ":" in text:
            text = _NAMED_SECRET.sub(rf"\1{MASK}", text)
            text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
            text = _NAMED_PERSON.sub(rf"\1{MASK}", text)
        if ":" in text:
            text = _IPV6.sub(self._ipv6, text)
        if "." in text:
            text = _IPV4.sub(self._address, text)
        text = _BEARER.sub(rf"\1{MASK}", text)
        return _AWS_KEY_ID.sub(MASK, text)

    def _address(self, found: re.Match[str]) -> str:
        return found[0] if found[0] in self._hosts else MASK

    def _ipv6(self, found: re.Match[str]) -> str:
        text = found[0]
        # A colon after the address ends a clause.
        for address, rest in ((text, ""), (text[:-1], text[-1])):
            if _is_ipv6(address):
                return text if address in self._hosts else MASK + rest
        return text


class MaskingFilter(logging.Filter):
    """Masks a record in place: its message with the arguments, and the text of its exception."""

    def __init__(self, masker: Masker) -> None:
        super().__init__()
        self._mask = masker

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask ``record``; it is always let through."""
        record.msg, record.args = self._mask(_message(record)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._mask(_TRACES.formatException(record.exc_info))
        if record.stack_info:
            record.stack_info = self._mask(record.stack_info)
        return True


def masker_for(settings: BaseModel) -> Masker:
    """A masker that knows every secret and every server of ``settings``."""
    values = tuple(_leaves(settings))
    secrets = [text for value in values if isinstance(value, SecretStr) for text in _parts(value)]
    secrets += [text for name, text in _options(settings) if _SECRET_OPTION.search(name)]
    hosts = {host for value in values if isinstance(value, str) for host in _hosts(value)}
    return Masker(secrets, hosts)


def mask(text: str) -> str:
    """``text`` masked by what this process was configured with; see :func:`install`."""
    return _installed.masker(text)


def install(masker: Masker) -> None:
    """Mask every log record of this process at its birth, whoever handles it.

    A filter on our own handler would not do: Dagster keeps what is logged in a run in its event
    log, by a handler of its own that comes first.
    """
    with _installed.lock:
        _installed.masker = masker
        if not isinstance(logging.getLogRecordFactory(), _MaskingFactory):
            logging.setLogRecordFactory(_MaskingFactory(logging.getLogRecordFactory()))


def uninstall() -> None:
    """Let records be as they are again."""
    with _installed.lock:
        factory = logging.getLogRecordFactory()
        if isinstance(factory, _MaskingFactory):
            logging.setLogRecordFactory(factory.inner)
        _installed.masker = Masker()


class _Installed:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.masker = Masker()


class _MaskingFactory:
    def __init__(self, inner: Callable[..., logging.LogRecord]) -> None:
        self.inner = inner

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        record = self.inner(*args, **kwargs)
        MaskingFilter(_installed.masker).filter(record)
        return record


_installed = _Installed()
_TRACES = logging.Formatter()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # Arguments that do not fit: logging would print them as they are, in a report of its own.
        return f"{record.msg} {record.args!r} (the arguments do not fit the message)"


def _forms(secret: str) -> Iterator[str]:
    """The secret as it may stand in a text: plain, in a URL, in JSON, in a repr."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]


def _parts(secret: SecretStr) -> Iterator[str]:
    """A secret, and the password in it where it is an address."""
    text = secret.get_secret_value()
    yield text
    if "://" in text and (password := _split_password(text)):
        yield password
        yield unquote(password)


def _split_password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:
        return None


def _leaves(section: BaseModel) -> Iterator[object]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value)
        else:
            yield value


def _options(section: BaseModel) -> Iterator[tuple[str, str]]:
    """Options that are passed through, of which the names alone say what is secret."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _options(value)
        elif isinstance(value, Mapping):
            yield from ((str(key), str(text)) for key, text in value.items())


def _hosts(value: str) -> Iterator[str]:
    """Hosts in ``host:port,host:port``, a URL, or a bare name."""
    for item in value.split(","):
        try:
            found = urlsplit(item if "://" in item else f"//{item}").hostname
        except ValueError:
            continue
        if found:
            yield found


@lru_cache(maxsize=1024)
def _is_ipv6(text: str) -> bool:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
