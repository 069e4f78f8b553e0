"""A study's folder in an object store: one request a file, asked again while the store is away, and conditional writes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from harness.durations import seconds_of
from harness.object_uri import opened
from harness.shown import sentence

PATIENCE_VARIABLE = "PAPERTRIAL_STORE_PATIENCE"
PATIENCE_S = 300.0
"""How long a store that has answered before is asked again: a run outlives that much of an outage."""
FIRST_PATIENCE_S = 15.0
"""How long a store that has never answered is asked: a wrong address is said in seconds."""
ANSWER_S = 30.0
"""How long one answer may take."""
PART_BYTES, PARTS_AT_ONCE = 5 << 20, 4
"""Files beyond `PART_BYTES` travel in parts: a slow line still answers each in time."""

Version = Mapping[str, str]
"""What tells one content of an object from the next: its e_tag, and its generation where the store counts them."""
_T = TypeVar("_T")
_STATUS = re.compile(r"status code: (\d{3})")
_ASKED = re.compile(r"Error performing [A-Z]+ (\w+://[^/\s]+)")
_CAUSE = re.compile(r"kind: (\w+)")
_METADATA = "//169.254.169.254"
"""Where the machines of a cloud are told their credentials."""
_ANSWER = re.compile(r"status code: (\d{3}[^:]*)(?:.*?<Code>([^<]*)</Code>)?(?:.*?<Message>([^<]*)</Message>)?", re.DOTALL)


class Conflict(Exception):  # noqa: N818 - not an error: a question that was answered with no
    """The object is not as the writer expects it: another has written it, or an answer to this writer was lost."""


class ObjectFolder:
    """Files by name relative to a prefix of a bucket, as `LocalFolder` has them. Errors are OSErrors of one sentence."""

    def __init__(self, uri: str, name: str, *, answered: bool = False, answer_s: float = ANSWER_S) -> None:
        """The folder `name` of the store `uri`, each of whose answers may take `answer_s`.

        `answered` says that the store is known to be there: it is waited for from the start.
        """
        self._patience_s = patience_s()
        self._client, prefix = opened(uri, min(answer_s, self._patience_s / 4))
        self._root = f"{prefix}/{name}" if prefix else name
        self._answered = answered

    def write(self, name: str, data: bytes) -> None:
        """Replace a whole object."""
        self._ask(
            lambda: self._client.put(
                self._key(name), data, use_multipart=len(data) > PART_BYTES, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
        )

    def write_if(self, name: str, data: bytes, version: Version | None, *, patience_s: float | None = None) -> Version:
        """Write an object that is still at `version`, or that is not there (None), in one request; its new version. Conflict otherwise.

        After an answer that was lost the request is made again, and Conflict may mean that the first one was heard.
        """
        mode = "create" if version is None else dict(version)
        return _version(self._ask(lambda: self._client.put(self._key(name), data, mode=mode), patience_s))

    def read(self, name: str) -> bytes:
        """The contents of an object; FileNotFoundError when there is none."""
        return self.read_version(name)[0]

    def read_version(self, name: str) -> tuple[bytes, Version]:
        """The contents of an object and which version they are; FileNotFoundError when there is none."""

        def get() -> tuple[bytes, Version]:
            found = self._client.get(self._key(name))
            return bytes(found.bytes()), _version(found.meta)

        return self._ask(get, missing=True)

    def exists(self, name: str) -> bool:
        """Whether an object is there."""
        try:
            self._ask(lambda: self._client.head(self._key(name)), missing=True)
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """Names of the objects right below a prefix."""
        found = self._ask(lambda: self._client.list_with_delimiter(self._key(folder)))
        return [entry["path"].rpartition("/")[2] for entry in found["objects"]]

    def remove(self, name: str) -> None:
        """Delete an object if it is there."""
        try:
            self._ask(lambda: self._client.delete(self._key(name)), missing=True)
        except FileNotFoundError:
            return

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _ask(self, call: Callable[[], _T], patience_s: float | None = None, *, missing: bool = False) -> _T:
        """The answer to `call`, asked again for as long as patience lasts while nobody answers or the server is in trouble.

        `missing` says that the object may not be there.
        """
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        began, pause = time.monotonic(), 0.1
        while True:
            try:
                found = call()
            except (AlreadyExistsError, PreconditionError):
                self._answered = True
                raise Conflict from None
            except FileNotFoundError as error:
                self._answered = True
                if missing:
                    raise
                raise OSError(_said(error)) from None
            except BaseError as error:
                most = patience_s if patience_s is not None else self._patience_s
                if not self._answered:
                    most = min(most, FIRST_PATIENCE_S)
                if not _may_pass(error) or time.monotonic() - began + pause > most:
                    raise OSError(_said(error)) from None
            else:
                self._answered = True
                return found
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


def patience_s() -> float:
    """Seconds that a store which was there is asked again. UsageError where the variable holds no number above zero."""
    return seconds_of(PATIENCE_VARIABLE, PATIENCE_S)


def _version(meta: Mapping[str, Any]) -> Version:
    return {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}


def _may_pass(error: Exception) -> bool:
    """Whether an error is one of the network or of a server in trouble, and not of what was asked."""
    from obstore.exceptions import GenericError

    status = _STATUS.search(str(error))
    return type(error) is GenericError and (status is None or status[1][0] == "5" or status[1] in ("408", "429"))


def _said(error: Exception) -> str:
    """What a server answered, or that none did, without the client's words about its own doing."""
    text, _, source = str(error).partition("\n\nDebug source")
    asked = _ASKED.search(text)
    server = asked[1] if asked else ""
    if _METADATA in server or "token request" in text:
        return "no credentials were found: docs/cluster.md says where they are looked for"
    if found := _ANSWER.search(text):
        return sentence(": ".join(part.strip() for part in found.groups() if part))
    if server:
        causes = [cause for cause in _CAUSE.findall(source) if cause != "Request"]
        return sentence(f"no answer from {server}{f' ({causes[-1]})' if causes else ''}")
    return sentence(text)
