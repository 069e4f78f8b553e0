"""What `ray job submit --working-dir .` would send from a folder, and whether the cluster that RAY_ADDRESS names would take it."""

from __future__ import annotations

import http.client
import logging
import os
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.masking import mask
from harness.shown import reason_of

ANSWER_LIMIT_S = 5.0
"""How long a dashboard may take to answer. Ray itself asks for half a minute."""
TOKEN_FILE = "~/.ray/auth_token"
_ADVICE = "`ray get-auth-token --generate` makes one; the cluster's own is on its head"


@dataclass(frozen=True)
class Upload:
    """The files that .gitignore and .rayignore leave; Ray packs them without compression."""

    size: int
    files: int
    limit: int
    """Bytes that a dashboard takes."""
    tops: tuple[tuple[str, int], ...]
    """The largest of what lies directly in the folder, and its bytes."""

    @property
    def too_large(self) -> str:
        """What to do about it; empty where Ray takes it."""
        if self.size <= self.limit:
            return ""
        largest = ", ".join(f"{name} ({mib(size)})" for name, size in self.tops)
        return f"the upload is {mib(self.size)} and Ray takes {mib(self.limit)}; the largest: {largest}. A line in .rayignore leaves it out"


def upload(folder: Path) -> Upload:
    """What would be sent, by the rules of the installed Ray."""
    from ray._private import ray_constants
    from ray._private.runtime_env import packaging

    root, sizes = folder.absolute(), Counter[str]()
    files = 0

    def weigh(path: Path) -> None:
        nonlocal files
        if path.is_file():
            files += 1
            sizes[path.relative_to(root).parts[0]] += path.stat().st_size

    excludes = [packaging._get_excludes(root, ray_constants.get_runtime_env_default_excludes())]
    obeys = os.environ.get(ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1"
    packaging._dir_travel(root, excludes, weigh, include_gitignore=obeys, logger=logging.getLogger(__name__))
    limit = min(ray_constants.DASHBOARD_CLIENT_MAX_SIZE, packaging.GCS_STORAGE_MAX_SIZE)
    return Upload(sizes.total(), files, limit, tuple(sizes.most_common(3)))


def mib(size: float) -> str:
    """Bytes in MiB."""
    return f"{size / 2**20:.1f} MiB"


@dataclass(frozen=True)
class Answer:
    """What is known of the cluster, and what keeps a job from it."""

    says: str
    problem: str = ""


def token() -> Answer:
    """Whether a token would be sent, from where Ray looks for one."""
    found = _token()
    if _sends():
        return Answer(f"sent, from {found[0]}") if found else Answer("none", f"RAY_AUTH_MODE=token, and there is no token: {_ADVICE}")
    return Answer(f"not sent, though there is one in {found[0]}: RAY_AUTH_MODE=token sends it" if found else "none is sent")


def _sends() -> bool:
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


def _token() -> tuple[str, str] | None:
    """(where it is from, the token)."""
    if "RAY_AUTH_TOKEN" in os.environ:
        return "RAY_AUTH_TOKEN", os.environ["RAY_AUTH_TOKEN"].strip()
    path = os.environ.get("RAY_AUTH_TOKEN_PATH", TOKEN_FILE)
    try:
        text = Path(path).expanduser().read_text().strip()
    except (OSError, RuntimeError, ValueError):
        return None
    return (path, text) if text else None


def cluster() -> Answer:
    """Whether the dashboard that `ray job submit` would talk to answers, and takes the token."""
    address = os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
    if not address:
        return Answer("RAY_ADDRESS is unset", "name the cluster: RAY_ADDRESS=http://HOST:8265, or --address with each `ray job`")
    shown = mask(address)
    if not address.startswith(("http://", "https://")):
        return Answer(shown, f"RAY_ADDRESS={shown} is no dashboard: jobs are submitted to http://HOST:8265")
    try:
        request = urllib.request.Request(f"{address.rstrip('/')}/api/version")
        if _sends() and (found := _token()):
            request.add_header("Authorization", f"Bearer {found[1]}")
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT_S):
            return Answer(f"{shown} answers and would take a job")
    except urllib.error.HTTPError as error:
        return Answer(shown, _refusal(shown, error))
    except urllib.error.URLError as error:
        reason = reason_of(error.reason) if isinstance(error.reason, OSError) else error.reason
        return Answer(shown, f"{shown} does not answer ({reason})")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Answer(shown, f"{shown} does not answer ({reason_of(error)})")


def _refusal(shown: str, error: urllib.error.HTTPError) -> str:
    if error.code == 401:
        return f"{shown} wants a token: set RAY_AUTH_MODE=token, with the cluster's token in {TOKEN_FILE}"
    if error.code == 403:
        return f"{shown} refuses this token: {_ADVICE}"
    return f"{shown} answers with {error.code} {error.reason}: is it the dashboard of a Ray?"
