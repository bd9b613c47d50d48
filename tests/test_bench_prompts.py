"""`trueup bench prompts` on tiny models: what is counted, and what is told beside what."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

from tiny import save_tiny

from trueup.bench import prompts as bench
from trueup.models import HuggingFace, proxy


def test_every_system_answers_every_prompt_and_the_first_round_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(save_tiny(tmp_path / "a", 1))
    models = {
        bench.SHIPPED: HuggingFace(folder), bench.BARE: HuggingFace(folder, rows=1),
        bench.TOGETHER: HuggingFace(folder, prompts=8), bench.STEERED: proxy(folder, folder, folder, rows=1),
        bench.STEERED_TOGETHER: proxy(folder, folder, folder, prompts=8),
    }  # fmt: skip
    asked: list[list[str]] = []
    monkeypatch.setattr(bench, "_models", lambda threads: models)
    monkeypatch.setattr(
        bench, "start_padded", lambda threads: lambda problems: asked.append([p.id for p in problems]) or 9
    )
    rows = {row["system"]: row for row in bench.prompts(rounds=2)}
    assert set(rows) == {*models, bench.PADDED, "ratios"}
    assert [len(set(problems)) for problems in asked] == [8, 8, 8] and asked[1] != asked[2]
    assert all(len(row["rounds"]) == 2 and min(row["rounds"]) > 0 for name, row in rows.items() if name != "ratios")
    speed = {name: median(row["rounds"]) for name, row in rows.items() if name != "ratios"}
    assert rows["ratios"]["ratio_to_rows_1"] == pytest.approx(speed[bench.TOGETHER] / speed[bench.BARE])
    assert rows["ratios"]["share_of_hf"] == pytest.approx(speed[bench.STEERED_TOGETHER] / speed[bench.TOGETHER])


def test_the_prompts_are_of_several_lengths() -> None:
    """Else nothing is padded."""
    texts = [problem.prompt[0].content for problem in bench._problems(0)]
    assert len({len(text) for text in texts}) >= 4 and max(map(len, texts)) > 3 * min(map(len, texts))
