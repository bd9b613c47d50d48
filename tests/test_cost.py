"""Price files: what is read of them, and what is refused in one line."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trueup.core.cost import read_prices
from trueup.core.errors import BadInput


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("core_hour = 1e30", "core_hour is 1e+30; write 1,000,000 dollars or less"),
        ("core_hour = 1\ngpu_hour = 1000001", "gpu_hour is 1000001; write 1,000,000 dollars or less"),
        ("core_hour = inf", "core_hour is inf; write dollars"),
        ("core_hour = nan", "core_hour is nan; write dollars"),
        ("core_hour = -1", "core_hour is -1; write dollars"),
        ("core_hour = true", "core_hour is True; write dollars"),
        ("core_hour = 1\n[models]\ntoy = 1", "models.toy is 1; write a table"),
        ("core_hour = 1\nmodels = 3", "models is 3; write a table"),
        (
            "core_hour = 1\n[models.a]\nprompt_per_million = 1e7\ncompletion_per_million = 1",
            "a.prompt_per_million is 10000000.0; write 1,000,000",
        ),
        (f"core_hour = 1{'0' * 5000}", "not valid TOML"),
        ("core_hour = ", "not valid TOML"),
    ],
)
def test_a_price_that_cannot_be_booked_is_one_line_with_its_key_and_value(tmp_path, table, what):
    path = tmp_path / "p.toml"
    path.write_text(f'date = "2026-01-01"\n{table}\n')
    with pytest.raises(BadInput) as caught:
        read_prices(path)
    assert str(caught.value).startswith(f"{path}: ") and what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_price_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*: Is a directory; give a price file"):
        read_prices(tmp_path)
    with pytest.raises(BadInput, match="no price file"):
        read_prices(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="not valid TOML"):
        read_prices(tmp_path / "p.toml")


def test_a_price_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "p.toml").write_bytes(b'\xef\xbb\xbfdate = "2026-01-01"\ncore_hour = 1000000\n')
    assert read_prices(tmp_path / "p.toml").core_hour == Decimal(1_000_000)
