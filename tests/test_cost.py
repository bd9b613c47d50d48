"""Price files: what is read of them, and what is refused in one line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from terminal import at_problems

from trueup.core.cost import Prices, TokenPrice, read_prices
from trueup.core.errors import BadInput, UnknownName


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


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("gpu_hours = 2.5", "unknown key of {path} 'gpu_hours'; did you mean 'gpu_hour'?"),
        ('[model."m"]\nprompt_per_million = 1', "unknown key of {path} 'model'; did you mean 'models'?"),
        (
            "[models.m]\nprompt_per_million = 1\ncompletion_per_million = 2\ncached_per_milion = 0.1",
            "unknown key of models.m in {path} 'cached_per_milion'; did you mean 'cached_per_million'?",
        ),
    ],
)
def test_a_misspelt_key_of_a_price_file_is_named(tmp_path, table, what):
    path = tmp_path / "p.toml"
    path.write_text(f'date = "2026-01-01"\ncore_hour = 1\n{table}\n')
    with pytest.raises(UnknownName) as caught:
        read_prices(path)
    assert str(caught.value) == what.format(path=path)


def test_a_price_file_may_say_all_that_there_is_to_say(tmp_path):
    rates = "prompt_per_million = 1\ncompletion_per_million = 2\ncached_per_million = 0.5"
    path = tmp_path / "p.toml"
    path.write_text(f'date = 2026-01-01\nnote = "n"\ncore_hour = 1\ngpu_hour = 2\n[models.m]\n{rates}\n')
    token = TokenPrice(Decimal(1), Decimal(2), Decimal("0.5"))
    assert read_prices(path) == Prices("2026-01-01", Decimal(1), {"m": token}, "n", Decimal(2))


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


def test_a_sum_of_old_and_new_prices_says_that_each_charge_is_at_its_own(tmp_path, monkeypatch, capsys):
    run = at_problems(tmp_path, monkeypatch, capsys, [f"problem {number}" for number in range(6)])
    for hour in (1, 100):
        (tmp_path / f"{hour}.toml").write_text(f'date = "2026-01-01"\ncore_hour = {hour}\n')
    words = ("study", "w.jsonl", "--model", "toy:0.5", "--methods", "once", "--out", "o")
    run(*words, "--samples", 2, "--prices", "1.toml")
    said = run(*words, "--samples", 4, "--prices", "100.toml").out
    assert "in all, as paid; now" in " ".join(said.split())
    assert "USD at the prices when each charge was paid" in run("ledger", "show", "o").out
    assert "shares of dollars, each charge at the prices when it was paid." in (tmp_path / "o/report.html").read_text()
