"""What a training was begun with, and what all trainings of a model say to a study."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b
from types import SimpleNamespace

import pytest
from terminal import in_folder
from tiny import save_tiny
from tiny_trained import ITEMS, save_half, write_words
from toys import PRICES

from trueup.cli import training
from trueup.cli.pipeline import price_list
from trueup.core.cost import GPU, read_prices
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger
from trueup.core.roles import ModelCard
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem, Usage
from trueup.models.huggingface.folder import digest, find_folder
from trueup.plan.past import marks, past_of, read_past
from trueup.train.ask import Engine
from trueup.train.books import Books, training_usd
from trueup.train.job import Passes
from trueup.train.origin import changes, items_digest, origin_of
from trueup.train.profiles import find_profile
from trueup.verifiers import exact

HALF = ITEMS // 2
SHOT = {"question": "1 + 1?", "answer": "2"}


def item(*said, system="", name="i"):
    turns = [Message("user" if place % 2 == 0 else "assistant", text) for place, text in enumerate(said)]
    return Item(Problem(name, "s", (*[Message("system", system)] * bool(system), *turns)), "r", name)


def row(*items, recipe=None, usd="1.5", stratum="s"):
    return {"stratum": stratum, "usd": usd, "prompts": [mark for one in items for mark in marks(one, recipe or {})]}


# marks


def test_items_that_end_alike_and_begin_otherwise_are_two():
    one, other = item("a", "b", "Go on."), item("x", "y", "Go on.")
    assert past_of([row(one)]).without([one, other]) == (other,)
    clerk, guide = item("Paris?", system="You sell tickets."), item("Paris?", system="You are a guide.")
    assert past_of([row(clerk)]).without([clerk, guide]) == (guide,)


@pytest.mark.parametrize("said", [("2 + 2?",), ("Hello.", "Yes?", "2 + 2?")])
def test_a_question_that_was_trained_on_is_known_behind_other_shots_and_another_system(said):
    recipe = {"shots": [SHOT], "system": "Be short."}
    trained = item("1 + 1?", "2", *said, system="Be short.")
    past = past_of([row(trained, recipe=recipe)])
    again = [trained, item(*said), item("3 + 3?", "6", *said), item("3 + 3?", "6", *said, system="Be long.")]
    assert past.without([*again, item("2 + 3?")]) == (item("2 + 3?"),)


def test_a_system_of_the_items_own_is_known_behind_other_shots():
    trained = item("1 + 1?", "2", "Paris?", system="You sell tickets.")
    past = past_of([row(trained, recipe={"shots": [SHOT]})])
    others = (item("Paris?"), item("Paris?", system="You are a guide."))
    assert past.without([item("3?", "4", "Paris?", system="You sell tickets."), *others]) == others


def test_a_question_is_known_behind_another_template_where_its_recipe_is_told():
    trained = item("Q: 2 + 2?\nA:")
    past = past_of([row(trained, recipe={"template": "Q: {question}\nA:"})])
    for asked, template in (("2 + 2?", ""), ("Sum: 2 + 2?", "Sum: {question}")):
        assert past.without([item(asked)], {"template": template}) == ()
    assert past.without([item("Sum: 2 + 3?")], {"template": "Sum: {question}"}) == (item("Sum: 2 + 3?"),)


# cards


def test_a_card_of_the_first_version_is_still_read(tmp_path):
    marks = [blake2b(b"2 + 2?", digest_size=16).hexdigest()]
    card = {"version": 1, "training_usd": "2.5", "stratum": "sums", "data": {"prompts": marks}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    past = read_past(str(tmp_path))
    assert (past.usd, past.stratum, past.strata) == (Decimal("2.5"), "sums", ("sums",))
    assert past.without([item("2 + 2?"), item("2 + 3?")]) == (item("2 + 3?"),)


def test_trainings_are_added_up_and_one_that_two_models_share_is_counted_once(tmp_path):
    first, second, third = (
        row(item(text), usd=usd, stratum=text) for text, usd in zip("abc", ("1", "2", None), strict=True)
    )
    for name, rows in {"one": [first, second], "two": [first, third], "three": [first]}.items():
        (tmp_path / name / "adapter").mkdir(parents=True)
        (tmp_path / name / "card.json").write_text(json.dumps({"trainings": rows} | table()))
    assert read_past(str(tmp_path / "one" / "adapter")).usd == 3
    assert read_past(f"proxy:{tmp_path}/one,{tmp_path}/three").usd == 3
    both = read_past(f"proxy:{tmp_path}/one,{tmp_path}/two")
    assert both.usd is None and set(both.strata) == set("abc") and len(both.prompts) == 3


def table():
    return {"stratum": "a", "training_usd": "0", "data": {"prompts": []}}


@pytest.mark.parametrize("card", ["{}", "no", '{"trainings": []}', json.dumps(table() | {"trainings": [{"usd": 1}]})])
def test_a_card_that_is_none_is_one_line(tmp_path, card):
    (tmp_path / "card.json").write_text(card)
    with pytest.raises(BadInput, match="is no card of this version"):
        read_past(str(tmp_path))


def test_weights_of_a_training_that_was_not_measured_yet_are_no_model_to_study(tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "train.json").write_text("{}")
    for name in (tmp_path, tmp_path / "adapter"):
        with pytest.raises(BadInput, match="has no card yet; run its command again to end it"):
            read_past(f"hf:{name}")
    assert read_past(f"hf:{tmp_path}/elsewhere") is None


def test_changed_items_are_told_by_what_they_are_for(tmp_path):
    base = save_tiny(tmp_path, 0)
    kept, other = (Stratum("s", (item("a"),), exact()), Stratum("t", (item("b"),), exact()))
    before = origin_of(kept, other, [other], [], base, None)
    assert not changes(before, json.loads(json.dumps(before)))
    reworded = Stratum("t", (item("c"),), exact())
    assert changes(before, origin_of(kept, reworded, [other], [], base, None)) == "held out"
    assert changes(before, origin_of(reworded, other, [], [], base, None)) == "trained on and of the other strata"
    answered = Stratum("s", (Item(kept.items[0].problem, "another", "i"),), exact())
    assert items_digest(kept) != items_digest(answered), "what is right is a part of it"


# through the command line


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return save_half(tmp_path_factory.mktemp("half"))


def refusal(capsys, folder, *words):
    with pytest.raises(SystemExit) as stop:
        in_folder(folder, *words)
    assert stop.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def words_for(model, out, *sets, stratum="words"):
    usual = ("--task", "task.toml", "--stratum", stratum, "--samples", "1", "--model", model, "--out", out)
    return ("train", "sft", *usual, *(word for pair in ("lora_rank=2", *sets) for word in ("--set", pair)))


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


def test_a_second_training_carries_the_first_ones_items_and_its_cost(half, tmp_path):
    write_words(tmp_path / "task.toml", strata=3)
    in_folder(tmp_path, *words_for(f"hf:{half}", "first", "steps=1", "replay=0.3", stratum="words"))
    in_folder(tmp_path, *words_for("first", "second", "steps=1", stratum="words2"))
    first, second = card_of(tmp_path / "first"), card_of(tmp_path / "second")
    replayed = first["data"]["replayed"]
    assert [name.partition("-")[0] for name in replayed] == ["words1", "words2"], "the strata are taken in turn"
    assert len(first["data"]["prompts"]) == HALF + len(replayed)
    assert [row["stratum"] for row in second["trainings"]] == ["words", "words2"]
    assert Decimal(second["training_usd"]) == sum(Decimal(row["usd"]) for row in second["trainings"])
    assert Decimal(second["trainings"][0]["usd"]) == Decimal(first["training_usd"]) > 0
    assert set(first["data"]["prompts"]) < set(second["data"]["prompts"])
    assert "sft on words2: $" in (tmp_path / "second" / "card.md").read_text()
    assert read_past(f"hf:{tmp_path}/second/base") == read_past(str(tmp_path / "first")), "the base is the first model"
    words = ("--model", f"hf:{half}", "--with", "tuned=second", "--samples", "1", "--methods", "once", "--out", "s")
    in_folder(tmp_path, "study", "task.toml", *words)
    study = json.loads((tmp_path / "s" / "study.json").read_text())
    assert study["left_out"] == {"words": HALF, "words1": 1, "words2": HALF}
    assert study["models"]["tuned"]["training"]["usd"] == pytest.approx(float(second["training_usd"]))


def test_what_an_earlier_training_has_seen_is_not_held_out(half, tmp_path):
    write_words(tmp_path / "task.toml")
    in_folder(tmp_path, *words_for(f"hf:{half}", "first", "steps=1"))
    in_folder(tmp_path, *words_for("first", "second", "steps=1"), "--seed", "5")
    first, second = card_of(tmp_path / "first")["data"], card_of(tmp_path / "second")["data"]
    assert second["held_out"] and not set(second["held_out"]) & {*first["trained_on"], *second["trained_on"]}


def test_a_task_or_a_model_that_changed_between_two_runs_is_one_line(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    shutil.copytree(half, tmp_path / "model")
    words = words_for("hf:model", "o", "steps=1")
    in_folder(tmp_path, *words)
    told = card_of(tmp_path / "o")["data"]
    (tmp_path / "o" / "card.json").unlink()
    rows = (tmp_path / "words.jsonl").read_text()
    (tmp_path / "words.jsonl").write_text(rows.replace("problem 3", "problem three"))
    line = refusal(capsys, tmp_path, *words)
    assert "in 'task.toml' are not what 'o' was begun with; put it back, or choose another --out" in line
    (tmp_path / "words.jsonl").write_text(rows)
    tokens = tmp_path / "model" / "tokenizer_config.json"
    kept = tokens.read_text()
    tokens.write_text(kept.replace("{", '{"note": 1, ', 1))
    assert "the weights of 'hf:model' are not what 'o' was begun with" in refusal(capsys, tmp_path, *words)
    tokens.write_text(kept)
    in_folder(tmp_path, *words)
    assert card_of(tmp_path / "o")["data"] == told


def test_a_task_that_changes_during_a_run_is_told_and_the_card_is_of_the_old_items(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    rows = tmp_path / "words.jsonl"

    def change():
        while not (tmp_path / "o" / "log.jsonl").exists():
            time.sleep(0.01)
        rows.write_text(rows.read_text().replace("problem", "riddle").replace("words-", "riddles-"))

    meddler = threading.Thread(target=change, daemon=True)
    meddler.start()
    in_folder(tmp_path, *words_for(f"hf:{half}", "o", "steps=4"))
    meddler.join(timeout=10)
    assert "the items trained on and held out in 'task.toml' have changed meanwhile" in capsys.readouterr().err
    data = card_of(tmp_path / "o")["data"]
    assert all(name.startswith("words-") for name in data["trained_on"])
    old = [item(f"problem {place}") for place in range(ITEMS)]
    assert len(read_past(str(tmp_path / "o")).without(old)) == HALF


def test_an_adapter_whose_base_is_another_is_taken_by_no_command(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    shutil.copytree(half, tmp_path / "model")
    in_folder(tmp_path, *words_for("hf:model", "first", "steps=1"))
    shutil.copytree(save_tiny(tmp_path / "other", 7), tmp_path / "model", dirs_exist_ok=True)
    trained, found = card_of(tmp_path / "first")["model"]["digest"], digest(tmp_path / "model")
    told = f"was trained on other weights than 'model' ({trained[:8]}, not {found[:8]}); put them back"
    study = ("study", "task.toml", "--model", "first", "--samples", "1", "--methods", "once", "--out", "s")
    again = (*words_for("hf:model", "first", "steps=1"), "--gguf", "f16")
    for words in (words_for("first", "second", "steps=1"), study, again):
        assert refusal(capsys, tmp_path, *words).replace(f"{tmp_path}/", "").endswith(told)
    assert not (tmp_path / "first" / "model.gguf").exists()


def test_an_adapter_with_a_card_that_tells_no_digest_is_still_a_model(half, tmp_path):
    write_words(tmp_path / "task.toml")
    in_folder(tmp_path, *words_for(f"hf:{half}", "first", "steps=1"))
    card = card_of(tmp_path / "first")
    del card["model"]["digest"]
    (tmp_path / "first" / "card.json").write_text(json.dumps(card))
    assert find_folder(str(tmp_path / "first")) == tmp_path / "first" / "adapter"


# prices


def test_a_gpu_is_paid_by_the_hour_that_it_is_held_and_one_without_a_price_is_unknown(tmp_path):
    priced = replace(PRICES, gpu_hour=Decimal("3.6"))
    card, usage = ModelCard("m", "f", GPU), Usage(10, 5, prefill_seconds=1.0, decode_seconds=2.0)
    assert priced.usage(card, usage, with_prompt=True) == Decimal("0.003")
    assert priced.usage(card, usage, with_prompt=False) == Decimal("0.002")
    assert PRICES.usage(card, usage, with_prompt=True) is None and PRICES.held(1.0) is None
    base = save_tiny(tmp_path, 0)
    assert [Engine(device).open(base).card.billing for device in ("cpu", "cuda")] == ["cpu", GPU]


def test_a_price_file_may_leave_the_gpu_out_and_ours_has_it(tmp_path):
    (tmp_path / "p.toml").write_text('date = "2026-01-01"\ncore_hour = 0.1\n')
    assert read_prices(tmp_path / "p.toml").gpu_hour is None
    (tmp_path / "p.toml").write_text('date = "2026-01-01"\ncore_hour = 0.1\ngpu_hour = -1\n')
    with pytest.raises(BadInput, match="gpu_hour is -1; write dollars as a number of 0 or more"):
        read_prices(tmp_path / "p.toml")
    assert price_list(None).gpu_hour > price_list(None).core_hour


def test_a_training_on_gpus_is_charged_for_all_that_its_profile_holds(tmp_path):
    gpus = {name: find_profile(name).gpus for name in ("cpu", "torchrun-2", "gpu", "fsdp2-4", "zero3+vllm-8")}
    assert gpus == {"cpu": 0, "torchrun-2": 0, "gpu": 1, "fsdp2-4": 4, "zero3+vllm-8": 9}
    step = Passes("trained", 0, 10, 5, 1000, 3600.0)
    for prices, usd in ((PRICES, None), (replace(PRICES, gpu_hour=Decimal(2)), Decimal("2.25"))):
        with Ledger(tmp_path / f"{usd}") as ledger:
            Books(ledger, prices, "f", "grpo", {}, "s", 0, gpus=9 / 8).charge(step)
            assert training_usd(ledger) == usd


def test_what_one_of_several_gpus_samples_is_charged_for_all_that_are_held(monkeypatch):
    """The others wait for it; what is measured behind the training holds one."""
    order = SimpleNamespace(prices=None)
    held = price_list(None).gpu_hour
    for name, launched, gpus in (("gpu", False, 1), ("gpu-4", True, 4), ("gpu-4", False, 1), ("torchrun-2", True, 1)):
        for word in ("RANK", "WORLD_SIZE"):
            monkeypatch.setenv(word, "0") if launched else monkeypatch.delenv(word, raising=False)
        assert training._prices(SimpleNamespace(order=order, profile=find_profile(name))).gpu_hour == gpus * held
