"""Raters: what they say of known texts, and that the same text always gets the same rating."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from hashlib import blake2b
from pathlib import Path

import pytest
from toys import attempts

from trueup import raters
from trueup.core.cache import sha256
from trueup.core.cost import Cost
from trueup.core.errors import BadInput, UnknownName
from trueup.core.outcome import Pool
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.raters.features import NAMES, describe


def asked(text, name="p"):
    return Problem(name, "s", (Message("user", text),), ratable=True)


def rated(rater, problem, *texts):
    return list(asyncio.run(rater.rate(problem, texts)))


SUDOKU = asked("Fill it.\n\n1 _ 3 _\n_ 4 _ 2\n2 _ 4 _\n_ 3 _ 1")


# constraint_prefix


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("", 1),
        ("Let me see.", 1),
        ("1 2 3 4", 1),
        ("1234\n3", 1),
        ("1234\n3412\n2143\n4321", 1),
        ("| 1 | 2 | 3 | 4 |\n| 3 | 4 |", 1),
        ("[[1,2,3,4],[3,4", 1),
        ("4 2 3 1", 0),
        ("1 2 3 3", 0),
        ("1 2 3 5", 0),
        ("1 2 3 4 1", 0),
        ("1 3 3", 0),
        ("1 4", 0),
        ("1234\n2", 0),
        ("1234\n34\n21", 0),
        ("1234\n3412\n2143\n4321\n1", 0),
        ("1 4\nThat was wrong. Once more:\n1 2", 1),
        ("1 2\nOnce more:\n1 4", 0),
    ],
)
def test_a_beginning_that_broke_a_rule_is_worth_nothing(text, rating):
    assert rated(raters.constraint_prefix(), SUDOKU, text) == [rating]


def test_every_beginning_of_a_solution_is_sound_and_a_given_below_it_already_counts():
    whole = "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1"
    beginnings = [whole[:end] for end in range(len(whole) + 1)]
    assert set(rated(raters.constraint_prefix(), SUDOKU, *beginnings)) == {1.0}
    assert rated(raters.constraint_prefix(), SUDOKU, "1 3", "1 4", "1 2") == [0.0, 0.0, 1.0]


def test_constraint_prefix_wants_a_puzzle_of_a_family_it_knows():
    with pytest.raises(BadInput, match="holds no sudoku"):
        rated(raters.constraint_prefix(), asked("2+2?"), "4")
    with pytest.raises(UnknownName, match="did you mean 'sudoku'"):
        raters.constraint_prefix(family="sudoko")


# head


def pool(name, rows):
    """A pool of texts and whether each is right."""
    problem = asked(name, name)
    made = tuple(Attempt(i, text, "stop", Usage(1, 1)) for i, (text, _) in enumerate(rows))
    return Pool(Item(problem, None, name), made, tuple(Grade(float(right)) for _, right in rows), Cost())


def test_features_of_a_text_by_hand():
    found = dict(zip(NAMES, describe(asked("12 + 30 ="), "12 + 30 = 42."), strict=True))
    assert found["ends in a number"] == 1
    assert found["digits of the last number"] == 2
    assert found["last number stands in the question"] == 0
    assert found["share of the last number's digits that are in the question"] == 0.5
    assert found["share of words seen in the question"] == pytest.approx(4 / 5)
    assert len(describe(asked(""), "")) == len(NAMES)


ROWS = [("I am sure of it: it is 4", 1), ("It is certainly 4", 1), ("maybe 4", 0), ("perhaps, wait, 4", 0)]
SURE = [row for row in ROWS if row[1]]


def test_a_head_learns_what_tells_right_from_wrong_and_keeps_it_on_items_it_has_not_seen():
    """Long answers are right here, hedged ones wrong, whatever the item."""
    pools = [pool(f"question {i}", ROWS) for i in range(6)]
    worth = raters.held_out(pools)
    assert (worth.overall, worth.within, worth.items) == (1.0, 1.0, 6)


def test_an_item_without_which_nothing_can_be_learned_is_not_rated_and_that_is_said():
    pools = [pool("the odd one", ROWS), *(pool(f"question {i}", SURE) for i in range(5))]
    worth = raters.held_out(pools)
    assert (worth.overall, worth.within, worth.items, worth.unrated) == (None, None, 0, 1)
    found = raters.learn_head(pools, "here")
    assert found.about.endswith("; 1 of 6 items could not be left out: all other attempts are of one kind")
    assert (found.weights, found.bias) == (raters.fit_head(pools).weights, raters.fit_head(pools).bias)
    with pytest.raises(BadInput, match="these 10 are all of one kind"):
        raters.learn_head(pools[1:], "here")


def by_chance(name):
    """An item whose texts have nothing in them that tells right from wrong."""
    dice = random.Random(name)
    words = ["wait", "so", "then", "12", "7", "99", "maybe", "1003"]
    return pool(name, [(" ".join(dice.choices(words, k=8)), dice.random() < 0.5) for _ in range(4)])


def test_an_item_is_left_out_with_its_whole_cluster():
    """What is said three times weighs three times as much, which three times the penalty makes up for."""
    once = [by_chance(f"question {i}") for i in range(40)]
    alone, repeated = raters.held_out(once), raters.held_out(once * 3, penalty=3.0)
    assert repeated.overall == pytest.approx(alone.overall)
    assert repeated.within == pytest.approx(alone.within)
    assert (repeated.items, repeated.unrated) == (3 * alone.items, 0)


def test_a_head_says_that_clusters_were_left_out_where_they_are_fewer_than_the_items():
    once = [by_chance(f"question {i}") for i in range(40)]
    assert "160 attempts at 40 items of here; on items left out AUC" in raters.learn_head(once, "here").about
    told = raters.learn_head(once * 3, "here").about
    assert "480 attempts at 120 items of here in 40 clusters; on clusters left out AUC" in told


def test_a_text_is_described_once_however_many_items_are_left_out(monkeypatch):
    seen = []

    def counted(problem, text):
        seen.append(text)
        return describe(problem, text)

    monkeypatch.setattr("trueup.raters.fit.describe", counted)
    told = raters.learn_head([pool(f"question {i}", ROWS) for i in range(60)], "here").about
    assert len(seen) == 60 * len(ROWS)
    assert "AUC 1.00 over all attempts, 1.00 between" in told and told.endswith("(60 items with both kinds)")


def test_fitting_reaches_the_closed_form_of_one_binary_feature():
    """Two kinds of text, 3 of 4 and 1 of 4 right: without a penalty the head must say .75 and .25."""
    rows = [("4", 1), ("4", 1), ("4", 1), ("4", 0), ("wait 4", 1), ("wait 4", 0), ("wait 4", 0), ("wait 4", 0)]
    model = raters.fit_head([pool("q", rows)], penalty=1e-6)
    assert rated(model, asked("q"), "4", "wait 4") == pytest.approx([0.75, 0.25], abs=1e-4)


def test_a_strong_penalty_leaves_only_the_base_rate():
    model = raters.fit_head([pool("q", [("4", 1), ("wait 4", 0), ("wait 5", 0), ("6", 0)])], penalty=1e9)
    assert rated(model, asked("q"), "4", "wait, anything") == pytest.approx([0.25, 0.25], abs=1e-4)


def test_discrimination_is_the_share_of_pairs_won_and_ties_count_half():
    worth = raters.discrimination([[0.9, 0.1, 0.5], [0.5, 0.5]], [[True, False, False], [True, False]])
    assert worth.within == pytest.approx((2 + 0.5) / 3)
    assert worth.overall == pytest.approx((3 + 0.5 * 2 + 1) / 6)
    assert raters.discrimination([[0.5]], [[True]]).overall is None


def test_a_head_needs_right_and_wrong_attempts():
    with pytest.raises(BadInput, match="these 1 are all of one kind"):
        raters.fit_head([pool("q", [("4", 1)])])


def test_a_head_is_kept_in_a_file_as_it_was(tmp_path):
    model = raters.fit_head([pool("q", [("4", 1), ("wait 4", 0)])], about="mine")
    model.save(tmp_path / "head.json")
    again = raters.head(file=str(tmp_path / "head.json"))
    assert (again, again.fingerprint) == (model, model.fingerprint)
    assert again.fingerprint != raters.head().fingerprint


@pytest.mark.parametrize(
    "content", ["no JSON", "[]", '{"weights": {}}', json.dumps({"weights": dict.fromkeys(NAMES, "x")})]
)
def test_a_file_that_is_no_head_is_named(tmp_path, content):
    (tmp_path / "f").write_text(content)
    with pytest.raises(BadInput, match="rater head"):
        raters.head(file=str(tmp_path / "f"))
    with pytest.raises(BadInput, match="cannot read"):
        raters.head(file=str(tmp_path / "none"))


def test_the_shipped_head_rates_an_implausible_sum_lower():
    plausible, implausible = rated(raters.head(), asked("14 + 60 ="), "14 + 60 = 74", "14 + 60 = 190")
    assert 0 <= implausible < plausible <= 1


def test_the_shipped_head_is_what_its_script_makes():
    import runpy
    from pathlib import Path

    script = runpy.run_path(str(Path(__file__).parent.parent / "tools" / "fit_head.py"))
    root = Path(__file__).parent.parent
    found = script["pools"](root / "results" / "mixed" / "rows.jsonl", root / "examples" / "mixed" / "arithmetic.jsonl")
    assert (len(found), {len(p.attempts) for p in found}) == (24, {16})
    fitted, shipped = raters.fit_head(found), raters.head()
    assert fitted.weights == pytest.approx(shipped.weights, rel=1e-6)


# pretrained


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Folders of tiny random reward models, by kind."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tiny import byte_tokenizer

    shape = {
        "vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 256, "pad_token_id": 0,
    }  # fmt: skip
    kinds = {
        "one": ("LlamaForSequenceClassification", {"num_labels": 1}),
        "two": ("LlamaForSequenceClassification", {"num_labels": 2, "id2label": {0: "wrong", 1: "right"}}),
        "steps": ("LlamaForTokenClassification", {"num_labels": 2}),
        "causal": ("LlamaForCausalLM", {}),
    }
    folders = {}
    for kind, (name, more) in kinds.items():
        torch.manual_seed(0)
        folders[kind] = tmp_path_factory.mktemp(kind)
        getattr(transformers, name)(transformers.LlamaConfig(**shape, **more)).save_pretrained(folders[kind])
        byte_tokenizer().save_pretrained(folders[kind])
    return {kind: str(folder) for kind, folder in folders.items()}


def test_a_reward_model_rates_a_text_alike_in_any_company(tiny):
    model = raters.hf_reward(name=tiny["one"])
    alone, company = rated(model, asked("2+2?"), "4"), rated(model, asked("2+2?"), "a longer one", "4")
    assert alone[0] == company[1] != company[0]
    assert all(0 < rating < 1 for rating in company)
    asyncio.run(model.close())
    assert rated(model, asked("2+2?"), "4") == alone


def test_a_reward_model_of_classes_gives_the_named_one(tiny):
    right = rated(raters.hf_reward(name=tiny["two"], label="right"), asked("2+2?"), "4")
    wrong = rated(raters.hf_reward(name=tiny["two"], label="0"), asked("2+2?"), "4")
    assert right[0] + wrong[0] == pytest.approx(1)
    with pytest.raises(BadInput, match=r"add label=NAME.*wrong, right"):
        rated(raters.hf_reward(name=tiny["two"]), asked("2+2?"), "4")


@pytest.mark.parametrize("more", [{"label": 1}, {"good": "+", "bad": "-"}])
def test_a_process_model_scores_each_step_by_what_stands_before_it(tiny, more):
    name = tiny["steps" if "label" in more else "causal"]
    model = raters.hf_process(name=name, **more)
    scores = model.scores(asked("2+2?"), "first\n\nsecond\nthird")
    assert len(scores) == 3 and len(set(scores)) == 3
    assert model.scores(asked("2+2?"), "first\nsecond")[:2] == pytest.approx(scores[:2], abs=1e-6)
    for aggregate, wanted in (("last", scores[2]), ("min", min(scores)), ("prod", scores[0] * scores[1] * scores[2])):
        again = raters.hf_process(name=name, aggregate=aggregate, **more)
        assert rated(again, asked("2+2?"), "first\nsecond\nthird") == pytest.approx([wanted], abs=1e-6)
    assert rated(model, asked("2+2?"), "\n") == [0.0]


def test_a_causal_process_model_compares_its_two_marks_only(tiny):
    plus = raters.hf_process(name=tiny["causal"], good="+", bad="-").scores(asked("2?"), "a")
    minus = raters.hf_process(name=tiny["causal"], good="-", bad="+").scores(asked("2?"), "a")
    assert plus[0] + minus[0] == pytest.approx(1)


@pytest.mark.parametrize("tag", ["#", r"#\n"])
def test_a_step_is_scored_at_the_token_of_its_tag_and_not_at_what_parts_it_from_the_next(tiny, tag):
    torch = pytest.importorskip("torch")
    model = raters.hf_process(name=tiny["steps"], tag=tag)
    tokenizer, network = model.model.parts()
    text = "<s>user: 2?<s>assistant: ab#cd#".replace("#", tag.replace(r"\n", "\n"))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    tags = [place for place, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids("#")]
    with torch.inference_mode():
        wanted = network(torch.tensor([ids])).logits[0].softmax(-1)[tags, 1]
    assert model.scores(asked("2?"), "ab\ncd") == pytest.approx(wanted.tolist())


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory):
    """The folders again, with a tokenizer that has no template and encloses a text in `<s>` and `</s>`."""
    from tiny import byte_tokenizer
    from tokenizers.processors import TemplateProcessing

    tokenizer = byte_tokenizer(template=None)
    ends = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    folders = {}
    for kind, folder in tiny.items():
        folders[kind] = tmp_path_factory.mktemp("plain") / kind
        shutil.copytree(folder, folders[kind], ignore=shutil.ignore_patterns("*.jinja", "tokenizer*"))
        tokenizer.save_pretrained(folders[kind])
    return {kind: str(folder) for kind, folder in folders.items()}


def enclosed(tokenizer, text):
    return [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def test_a_reward_model_without_template_reads_its_special_tokens(plain):
    torch = pytest.importorskip("torch")
    model = raters.hf_reward(name=plain["one"])
    tokenizer, network = model.model.parts()
    with torch.inference_mode():
        wanted = network(torch.tensor([enclosed(tokenizer, "2?\n4")])).logits[0].sigmoid()
    assert rated(model, asked("2?"), "4") == pytest.approx(wanted.tolist())


@pytest.mark.parametrize("more", [{"label": 1}, {"good": "+", "bad": "-"}])
def test_a_process_model_without_template_reads_them_too_and_scores_at_none(plain, more):
    torch = pytest.importorskip("torch")
    model = raters.hf_process(name=plain["steps" if "label" in more else "causal"], tag="#", **more)
    tokenizer, network = model.model.parts()
    ids = enclosed(tokenizer, "2?\nab#cd#")
    tags = [place for place, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids("#")]
    assert tags == [6, 9] and len(ids) == 11
    shown = [1] if "label" in more else tokenizer.convert_tokens_to_ids(["+", "-"])
    with torch.inference_mode():
        logits = network(torch.tensor([ids])).logits[0, tags]
    chances = logits.softmax(-1) if "label" in more else logits[:, shown].softmax(-1)
    assert model.scores(asked("2?"), "ab\ncd") == pytest.approx(chances[:, 1 if "label" in more else 0].tolist())


def of_files(folder):
    """The fingerprint by the files alone."""
    whole = blake2b(digest_size=8)
    for path in sorted(Path(folder).iterdir()):
        whole.update(f"{path.name}\0{sha256(path)}\0".encode())
    return f"hf_reward:{whole.hexdigest()}:"


@pytest.mark.parametrize(
    ("settings", "has_template"),
    [
        ("{}", False),
        ('{"chat_template": null}', False),
        ('{"chat_template" : ""}', False),
        ('{"chat_template": "x"}', True),
        ('{"chat_template":\n[{"name": "default"}]}', True),
    ],
)
def test_what_was_rated_without_special_tokens_is_not_taken_up(tiny, plain, tmp_path, settings, has_template):
    """A model with a template is read as ever, and known by the files alone."""
    folder = shutil.copytree(plain["one"], tmp_path / "m")
    (folder / "tokenizer_config.json").write_text(settings)
    assert (raters.hf_reward(name=str(folder)).fingerprint == of_files(folder)) == has_template
    assert raters.hf_reward(name=tiny["one"]).fingerprint == of_files(tiny["one"])


def test_fingerprints_tell_models_and_settings_apart(tiny):
    made = [
        raters.hf_reward(name=tiny["one"]),
        raters.hf_reward(name=tiny["two"], label="right"),
        raters.hf_reward(name=tiny["two"], label="wrong"),
        raters.hf_process(name=tiny["steps"]),
        raters.hf_process(name=tiny["steps"], aggregate="min"),
        raters.constraint_prefix(),
        raters.head(),
    ]
    assert len({rater.fingerprint for rater in made}) == len(made)
    assert raters.hf_reward(name=tiny["one"]).fingerprint == made[0].fingerprint


def test_a_begun_turn_is_read_as_one_and_a_model_without_template_line_by_line(tiny):
    from trueup.raters.pretrained import as_read

    class Plain:
        chat_template = None

    begun = Problem("p", "s", (Message("user", "2?"), Message("assistant", "It is")))
    assert as_read(Plain(), begun, " 4") == "2?\nIt is 4"
    tokenizer, _ = raters.hf_reward(name=tiny["one"]).model.parts()
    assert as_read(tokenizer, begun, " 4") == "<s>user: 2?<s>assistant: It is 4"


def test_settings_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(BadInput, match="has no model; add name=FOLDER"):
        _ = raters.hf_reward().fingerprint
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        _ = raters.hf_process(name=str(tmp_path)).fingerprint
    with pytest.raises(UnknownName, match="did you mean 'last'"):
        raters.hf_process(aggregate="lst")
    with pytest.raises(BadInput, match="give both"):
        raters.hf_process(good="+")
    with pytest.raises(BadInput, match="neither may be empty"):
        raters.hf_process(tag="")


def test_the_answers_of_attempts_play_no_part_in_a_rating():
    assert [a.text for a in attempts("4")] == ["<4>"]
    assert rated(raters.head(), asked("2 + 2 ="), "<4>") == rated(raters.head(), asked("2 + 2 =", "other"), "<4>")
