"""What `ray job submit --working-dir .` uploads: small enough for the 100 MiB of a dashboard, and nothing private or generated."""

import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ray._private.runtime_env.packaging import create_package

    target = tmp_path_factory.mktemp("upload") / "package.zip"
    create_package(str(ROOT), target, include_gitignore=True, include_parent_dir=False)
    return target


def test_the_upload_is_small(upload: Path) -> None:
    assert upload.stat().st_size < 20 * 2**20


def test_the_upload_holds_the_code_and_nothing_else(upload: Path) -> None:
    names = [name for name in zipfile.ZipFile(upload).namelist() if not name.endswith("/")]
    assert {"pyproject.toml", "harness/cli.py", "harness/report/template.html", "tasks/__init__.py", "kernels/__init__.py"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert not tops & {".git", ".venv", ".ci", "results", "mlruns", "build"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".parquet", ".jsonl"))]
