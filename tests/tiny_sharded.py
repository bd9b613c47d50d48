"""The command line with a profile that cuts weights over two processes of a CPU: `python -m tiny_sharded WORD ...`."""

from __future__ import annotations

from trueup.cli import main
from trueup.train.profiles import PROFILES, Profile

PROFILES["cut-2"] = Profile("cut-2", processes=2, launcher="torchrun", sharding="fsdp2", rows=1)

if __name__ == "__main__":
    main()
