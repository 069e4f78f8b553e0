"""Store URIs of object stores (`s3://`, `gs://`) and the clients behind them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from harness.errors import UsageError, unknown
from harness.masking import mask

SCHEMES = ("s3", "gs", "gcs")
_OPTIONS = {
    "s3": ("region", "endpoint_override", "scheme", "access_key", "secret_key", "session_token", "anonymous", "force_virtual_addressing"),
    "gs": ("endpoint_override", "scheme", "service_account", "anonymous"),
}
"""What may stand behind the question mark of a store's URI."""
_S3_NAMES = {
    "region": "region",
    "access_key": "access_key_id",
    "secret_key": "secret_access_key",
    "session_token": "session_token",
}
CONNECT_S = 5.0


def is_object_uri(uri: str) -> bool:
    """Whether a store's URI is one of an object store."""
    return uri.partition("://")[0] in SCHEMES and "://" in uri


def opened(uri: str, answer_s: float) -> tuple[Any, str]:
    """The client of the bucket that `uri` names, which waits `answer_s` for each answer and never asks twice; and the prefix in it.

    UsageError where the URI or one of its options cannot be meant.
    """
    try:
        parts = urlsplit(uri)
        user, key = (unquote(text) if text else "" for text in (parts.username, parts.password))
        bucket = parts.netloc.rpartition("@")[2]
    except ValueError as error:
        raise _refused(uri, str(error)) from None
    if not is_object_uri(uri):
        raise _refused(uri, f"papertrial knows folders and {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    if not bucket:
        raise _refused(uri, "it names no bucket")
    kind = "s3" if parts.scheme == "s3" else "gs"
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS[kind]:
            raise unknown(f"option of a {kind}:// store", name, _OPTIONS[kind])
    if options.get("scheme", "https") not in ("http", "https"):
        raise _refused(uri, "its scheme is neither http nor https")
    if user == "anonymous":
        options["anonymous"] = "true"
    elif user:
        options |= {"access_key": user, "secret_key": key}
    endpoint = _endpoint(kind, options)
    client = {
        "allow_http": bool(endpoint) and endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=min(CONNECT_S, answer_s)),
        # A limit to the whole of a request would be one to the size of a checkpoint.
        "timeout": timedelta(days=1),
        "read_timeout": timedelta(seconds=answer_s),
    }
    settings = {"client_options": client, "retry_config": {"max_retries": 0}}
    prefix = "/".join(part for part in unquote(parts.path).split("/") if part)
    try:
        make = _s3 if kind == "s3" else _gs
        return make(bucket, options, endpoint, settings), prefix
    except UsageError:
        raise
    except Exception as error:  # the client's own kinds of error, and what reading keys from a file raises
        raise _refused(uri, str(error).partition("\n")[0]) from None


def _s3(bucket: str, options: Mapping[str, str], endpoint: str, settings: Mapping[str, Any]) -> Any:
    from obstore.store import S3Store

    named: dict[str, Any] = {ours: options[name] for name, ours in _S3_NAMES.items() if options.get(name)}
    if endpoint:
        named["endpoint"] = endpoint
    if _is_true(options, "anonymous"):
        named["skip_signature"] = True
    elif "access_key" not in options and _has_profile():
        named["credential_provider"] = _profile()
    if _is_true(options, "force_virtual_addressing"):
        named["virtual_hosted_style_request"] = True
    # Deleting in bulk is no part of what compatible servers have in common.
    return S3Store(bucket, **named, disable_bulk_delete=True, **settings)


def _gs(bucket: str, options: Mapping[str, str], endpoint: str, settings: Mapping[str, Any]) -> Any:
    from obstore.store import GCSStore

    named: dict[str, Any] = {"base_url": endpoint} if endpoint else {}
    if _is_true(options, "anonymous") and endpoint:
        # The client writes with a token only, and a stand-in for Google's storage takes any.
        named["credential_provider"] = lambda: {"token": "anonymous", "expires_at": None}
    elif _is_true(options, "anonymous"):
        named["skip_signature"] = True
    if options.get("service_account"):
        named["service_account"] = options["service_account"]
    return GCSStore(bucket, **named, **settings)


def _endpoint(kind: str, options: Mapping[str, str]) -> str:
    given = options.get("endpoint_override", "") or (_endpoint_of_aws() if kind == "s3" else "")
    return given if not given or "://" in given else f"{options.get('scheme', 'https')}://{given}"


def _endpoint_of_aws() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3", "") or os.environ.get("AWS_ENDPOINT_URL", "")


def _is_true(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "false").lower() in ("true", "1", "")


def _has_profile() -> bool:
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return False
    return "AWS_PROFILE" in os.environ or (Path.home() / ".aws" / "credentials").exists()


def _profile() -> Any:
    """The keys that `aws configure` or `aws sso login` left, and their renewal."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise UsageError(
            "keys of an AWS profile are read by boto3, which is not here: pip install boto3, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        ) from None
    return Boto3CredentialProvider()


def _refused(uri: str, why: str) -> UsageError:
    return UsageError(f"the store {mask(uri)!r} is not a path or URI that can be opened: {mask(why)}")
