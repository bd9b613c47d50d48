"""Which models an arm may ask: what its words say against what it asks when it is run."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from toys import problem

from trueup.arms import make_arm, models_of
from trueup.catalog import names
from trueup.core.asks import Sample, relayed
from trueup.core.errors import BadInput
from trueup.core.settings import settings_of
from trueup.methods.start import CHOOSERS
from trueup.run import rehearse

NAMED = {"model": "m", "to": "t", "judge_model": "j", "models": "a+b"}
UNHEARD = ("decode_with_lexicon", "propose_and_assign", "retract")
"""Methods that come to no model on a made-up problem: a solver or the problem's form has to say something first."""
SCHEMA = '{"type": "string"}'


def asked(arm):
    """The models that an arm asks on made-up replies, with a check and without one."""
    found = set()

    def noted(ask):
        found.update({ask.model} if isinstance(ask, Sample) else ())
        return ask

    told = replace(arm, start=lambda one: relayed(arm.start(one), noted))
    for is_checkable in (False, True):
        with suppress(BadInput):  # what searches by a check does not begin without one
            rehearse(told, problem(checkable=is_checkable, schema=SCHEMA))
    return found


def words_of(name):
    """A method as it is, and with each of its settings that name a model, alone and all together."""
    known = [key for key in NAMED if key in settings_of(names("methods")[name]) or key == "model"]
    pairs = [f"{key}={NAMED[key]}" for key in known]
    return [name, *(f"{name} {pair}" for pair in pairs), " ".join([name, *pairs])]


@pytest.mark.parametrize("name", sorted(set(names("methods")) - set(CHOOSERS)))
def test_every_model_that_a_method_asks_is_among_those_that_it_may_ask(name):
    try:
        make_arm(f"{name} model=m")
    except BadInput:
        assert make_arm(name).is_batch
        assert models_of(make_arm(name)) == {""}
        return
    for words in words_of(name):
        may, does = models_of(make_arm(words)), asked(make_arm(words))
        assert does <= may, words
        assert may == does or name in UNHEARD, words


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("cascade", {"", "strong"}),
        ("cascade to=solver", {""}),
        ("cascade to=", {""}),
        ("cascade model=m to=", {"", "m"}),
        ("cascade model=m to=t", {"m", "t"}),
        ("judge_best judge_model=j", {"", "j"}),
        ("judge_best judge_model=j model=m", {"j", "m"}),
        ("mixture_of_agents models=a,b", {"", "a", "b"}),
        ("solve", set()),
        ("decode_with_lexicon model=m", {"m"}),
    ],
)
def test_the_settings_of_a_method_name_its_models(words, wanted):
    assert models_of(make_arm(words)) == wanted


def test_what_chooses_by_a_file_may_ask_the_models_of_what_it_chooses(tmp_path):
    router = {"cheap": "once", "costly": "cascade to=t", "threshold": 0.5, "bias": 0.0, "weights": {}}
    (tmp_path / "r.json").write_text(json.dumps(router | {"logits": [], "shares": []}))
    table = {"pilot": 2, "signal": "agreement", "edges": [0.5], "methods": ["once model=m", "solve"]}
    (tmp_path / "t.json").write_text(json.dumps(table))
    assert models_of(make_arm(f"route router={tmp_path}/r.json")) == {"", "t"}
    assert models_of(make_arm(f"route router={tmp_path}/r.json model=o")) == {"o", "t"}
    assert models_of(make_arm(f"compute_optimal table={tmp_path}/t.json")) == {"", "m"}
