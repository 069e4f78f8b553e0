"""Credentials in what is shown and kept: one function takes them out of any text.

A URI keeps its real form only where it opens something. Everything printed, raised or written to a study or to MLflow goes through `mask`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASKED = "***"
# `s3:/` is what a file path makes of `s3://`. A password may hold slashes and at-signs that nobody encoded.
_USER = re.compile(r"(?:\b([A-Za-z][A-Za-z0-9+.-]*:/{1,2})(?:[^/:@\s]*:[^\s]*@|[^/@\s]+@)|(//)[^/:@\s]*:[^\s]*@)")
"""The second form is what a slip of the pen makes of the first: no scheme, or one without its colon."""
_SENSITIVE = r"[\w.%-]*(?:key|secret|token|passw|pwd|sig|credential|auth)[\w.%-]*"
_NAMED = re.compile(rf"(?i)([?&;#]{_SENSITIVE}=)[^&;#\s]+")
_WORD = re.compile(r"(?i)(?<![\w?&;#])((?:password|passwd|pwd)\s?=\s?)([^\s&;]+)")
"""A password among words, as `host=h password=p`."""
_QUERY = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*:/{1,2}[^\s?#]*[?#]([^\s]*)")
_PAIR = re.compile(r"([^=&;#?\s]*)=?([^&;#?\s]*)")
_PLAIN_OPTIONS = {"region", "endpoint_override", "scheme", "allow_bucket_creation", "allow_bucket_deletion", "anonymous", "mode", "uri"}
"""Of a query that a user gave the names whose values are shown; another value that looks like a token may be one."""
_BARE = re.compile(r"^[\w.%+~-]+:([^\s/@]+)@(?=[\w\[])")
"""A user and a password before a host, as an address without a scheme has them."""
_VARIABLE = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|ACCESS_KEY|ACCESS_KEY_ID|SECRET_KEY|API_KEY)$")
_SHORTEST = 6
"""A secret of fewer characters is only taken out where its place says that it is one."""
_FROM_ENVIRONMENT = {"tracking-uri": "MLFLOW_TRACKING_URI", "address": "RAY_ADDRESS", "store": "PAPERTRIAL_STORE"}

_learnt: set[str] = set()
_Variables = tuple[tuple[str | bytes, str | bytes], ...]


def learn(*texts: str) -> None:
    """Remember the credentials in URIs, so that they are found alone too: libraries repeat a password without its URI, or decoded."""
    for text in texts:
        _learnt.update(_forms(_secrets(text)))


def mask(text: str) -> str:
    """`text` without credentials: no user information in URIs, no value that a query calls a key or a token, nothing that was learnt."""
    if not text:
        return text
    for secret in sorted(_learnt | _of_environment(_environment()), key=len, reverse=True):
        if secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASKED, text)
    text = _USER.sub(lambda found: found[1] or found[2], text)
    return _WORD.sub(rf"\g<1>{MASKED}", _NAMED.sub(rf"\g<1>{MASKED}", text))


def _secrets(text: str) -> set[str]:
    found: set[str] = set()
    for match in _QUERY.finditer(text):
        for name, value in _PAIR.findall(match[1]):
            telling = re.fullmatch(_SENSITIVE, name, re.IGNORECASE) and value
            word = value or name
            if telling or not (name in _PLAIN_OPTIONS or (word.isalpha() and word.islower())):
                found.add(word)
    for match in _USER.finditer(text):
        scheme = match[1] or match[2]
        user, _, password = match[0][len(scheme) : -1].partition(":")
        found |= {password or user, *([user] if scheme.startswith(("s3:", "gs:")) else [])}
    found |= {match[2] for match in _WORD.finditer(text)}
    return found | {match[1] for match in _BARE.finditer(text)}


def _environment() -> _Variables:
    """Every variable, as it is kept: `os.environ` would decode all of them, which costs more than all the rest of `mask`."""
    return tuple(getattr(os.environ, "_data", os.environ).items())


@lru_cache(maxsize=1)
def _of_environment(variables: _Variables) -> frozenset[str]:
    """The credentials among these variables, in all their forms: found once for as long as none of them changes."""
    found: set[str] = set()
    for name, value in ((os.fsdecode(name), os.fsdecode(value)) for name, value in variables):
        if _VARIABLE.search(name):
            found.add(value)
        elif "://" in value and ("@" in value or "?" in value):
            found |= _secrets(value)
    return frozenset(_forms(found))


def _forms(secrets: Iterable[str]) -> set[str]:
    """Each secret as it stands, decoded and encoded."""
    decoded = {form for secret in secrets for form in (secret, unquote(secret), unquote_plus(secret))}
    forms = {form for secret in decoded for form in (secret, *_encoded(secret), repr(secret)[1:-1])}
    return {form for form in forms if len(form) >= _SHORTEST}


def _encoded(secret: str) -> tuple[str, ...]:
    """As libraries write it in URIs. Bytes that are no UTF-8, which a variable or an argument may hold, are encoded as they are."""
    odd = "surrogateescape"
    return quote(secret, safe="", errors=odd), quote(secret, errors=odd), quote_plus(secret, errors=odd)


def again(words: Sequence[str]) -> str:
    """The command line `papertrial WORDS` for a shell, with a variable in the place of each word that holds credentials."""
    shown, variables, option = ["papertrial"], list[str](), ""
    for word in words:
        name, equals, value = word.partition("=")
        joined = name.startswith("--") and equals
        option = name if name.startswith("--") else option
        secret = value if joined else word
        if mask(secret) == secret:
            shown.append(shlex.quote(word))
            continue
        key = option.removeprefix("--")
        variable = next((found for whole, found in _FROM_ENVIRONMENT.items() if key and whole.startswith(key)), "PAPERTRIAL_SECRET")
        variables.append(variable)
        shown.append(f'{name}="${variable}"' if joined else f'"${variable}"')
    line = " ".join(shown)
    if not variables:
        return line
    return f"{line} (credentials are not shown: set {' and '.join(dict.fromkeys(variables))} in the environment to what you gave)"
