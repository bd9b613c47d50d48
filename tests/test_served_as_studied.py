"""A policy is served by the models that it was studied on: their settings, and their files."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import terminal
from mock_endpoint import MockEndpoint, loopback

import trueup.cli.serve as cli_serve
from trueup.cli.request import find_files, find_model
from trueup.core.errors import BadInput
from trueup.plan import read_policy
from trueup.serve.service import Service

pytest.importorskip("starlette")
ROWS = "".join(json.dumps({"id": str(i), "prompt": f"q {i}", "reference": "right"}) + "\n" for i in range(3))
TASK = """
[task]
name = "held"
[[stratum]]
name = "words"
source = "jsonl:q.jsonl"
verifier = "exact"
max_tokens = 9
constrain = true
grammar = 'root ::= "right" | "wrong"'
"""
STUDY = ("--samples", "2", "--methods", "once", "--out", "o", "-q")

Run = Callable[..., Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command line in this test's own folder, which has a task."""
    (tmp_path / "task.toml").write_text(TASK)
    (tmp_path / "q.jsonl").write_text(ROWS)
    monkeypatch.chdir(tmp_path)

    def order(*words: object, code: int = 0) -> Any:
        terminal.trueup(monkeypatch, *words, code=code)
        return capsys.readouterr()

    return order


@pytest.fixture
def opened(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Service, str]]:
    """`trueup serve` up to where it would listen: what it would serve with, and what it said."""
    services: list[Service] = []
    monkeypatch.setattr(cli_serve, "run_server", lambda app, *rest, **more: services.append(app.state.service))

    def order(*words: object) -> tuple[Service, str]:
        told = run("serve", *words)
        return services[-1], told.err

    return order


@contextlib.contextmanager
def serving(policy: str) -> Iterator[str]:
    """The address of `trueup serve` in a process of its own, which says nothing but that, and ends when terminated."""
    command = [sys.executable, "-m", "trueup", "serve", policy, "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().split()[3]
        server.send_signal(signal.SIGTERM)
        _, complaints = server.communicate(timeout=20)
    assert (server.returncode, complaints) == (143, "")


def test_a_policy_is_served_with_the_settings_of_its_study(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYKEY", "mine")
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    mock = MockEndpoint(reply=lambda body: "right")
    with loopback(mock.app) as root:
        run("study", ".", "--model", f"openai:{root}/v1#m", "--set", "model.key_env=MYKEY",
            "--set", "model.server=vllm", "--set", "words.max_tokens=7", *STUDY)  # fmt: skip
        studied = mock.calls[-1]
        with serving("o/policy.toml") as url:
            asked = {"model": "held", "messages": [{"role": "user", "content": "new"}]}
            answer = httpx.post(f"{url}/chat/completions", json=asked)
    assert answer.status_code == 200
    assert mock.calls[-1].authorization == studied.authorization == "Bearer mine"
    varying = {"messages", "seed", "n"}
    assert {key: value for key, value in mock.calls[-1].body.items() if key not in varying} == {
        key: value for key, value in studied.body.items() if key not in varying
    }
    assert studied.body["top_k"] == -1 and studied.body["structured_outputs"]
    settings = read_policy(tmp_path / "o" / "policy.toml").settings
    assert settings == {"model": {"key_env": "MYKEY", "server": "vllm"}}
    assert "mine" not in (tmp_path / "o" / "policy.toml").read_text()


def test_what_may_be_a_key_is_not_written(run: Run, tmp_path: Path) -> None:
    with loopback(MockEndpoint(reply=lambda body: "right").app) as root:
        told = run("study", "q.jsonl", "--model", f"openai:{root}/v1#m", "--set", "model.key_env=sk-Secret", *STUDY).err
    assert "model.key_env is left out of policy.toml" in told and "sk-Secret" not in told
    assert "sk-Secret" not in (tmp_path / "o" / "policy.toml").read_text()


def test_further_models_keep_their_settings_and_the_command_line_goes_over_them(run: Run, opened: Any) -> None:
    with loopback(MockEndpoint(reply=lambda body: "right").app) as root:
        spec = f"openai:{root}/v1#m"
        run("study", "q.jsonl", "--model", spec, "--with", f"far={spec}", "--set", "far.server=sglang",
            "--set", "far.retries=3", "--set", "model.retries=4", *STUDY)  # fmt: skip
    service, told = opened("o/policy.toml", "--set", "far.retries=1")
    own, far = service.clerk.model, service.clerk.models["far"]
    assert (own.retries, far.retries, far.card.fingerprint.rsplit(":", 1)[1], told) == (4, 1, "sglang", "")
    service, told = opened("o/policy.toml", "--model", f"{spec}2", "--set", "model.server=vllm")
    assert service.clerk.model.retries == 5
    assert told.count("\n") == 1 and f"measured on 'openai:{root}/v1:m', and 'openai:{root}/v1:m2:vllm' serves" in told
    told = run("serve", "o/policy.toml", "--set", "fax.retries=1", code=2).err
    assert "unknown --set 'fax'; did you mean 'far'?" in told


def test_files_are_found_from_where_the_study_was_started(
    run: Run, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("study", "q.jsonl", "--model", "toy:0.9", "--record", "tape.jsonl", *STUDY)
    router = {"cheap": "once", "costly": "vote n=2", "threshold": 0.5, "bias": 0.0, "weights": {}, "logits": []}
    (tmp_path / "o" / "router.json").write_text(json.dumps(router | {"shares": []}))
    methods = ("--methods", "route router=o/router.json", "--samples", "2", "--out", "p", "-q")
    run("study", "q.jsonl", "--model", "replay:tape.jsonl", "--with", "old=replay:tape.jsonl", *methods)
    (tmp_path / "elsewhere").mkdir()
    for place, policy in (("elsewhere", "../p/policy.toml"), (".", "p/policy.toml")):
        monkeypatch.chdir(tmp_path / place)
        service, told = opened(policy)
        assert (service.clerk.model.card.name, told) == ("toy", "")
    assert tomllib.loads((tmp_path / "p" / "policy.toml").read_text())["model"] == "replay:tape.jsonl"


def test_only_places_that_the_study_had_are_looked_for_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("made", "smollm2", "toy", "vllm"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir("/")
    origin, made = str(tmp_path), str(tmp_path / "made")
    for spec, found in {
        "hf:made": f"hf:{made}",
        "made": made,
        "proxy:made,smollm2,Org/Name": f"proxy:{made},smollm2,Org/Name",
        "gguf:/else/where.gguf": "gguf:/else/where.gguf",
        **{
            same: same for same in ("smollm2", "hf:smollm2", "hf:Org/Name", "toy:0.5", f"openai:http://h/{'v' * 300}#m")
        },
    }.items():
        assert find_model(spec, origin) == found
    assert find_model("hf:made", "") == "hf:made"
    settings = {"template": "made", "table": "", "router": "none", "server": "vllm", "n": 2}
    assert find_files(settings, origin) == settings | {"template": made}
    monkeypatch.chdir(tmp_path)
    assert find_model("hf:made", origin) == "hf:made"


def test_a_share_of_traffic_that_is_not_kept_is_refused(run: Run, tmp_path: Path) -> None:
    run("study", "q.jsonl", "--model", "toy:0.9", *STUDY)
    told = run("serve", "o/policy.toml", "--port", "0", "--traffic-share", "0.5", code=2).err
    assert "--traffic-share is 0.5, and nothing is kept without --traffic FILE; add it" in told


def test_as_many_requests_are_worked_on_as_lanes_say_else_as_the_model_has(run: Run, opened: Any) -> None:
    with loopback(MockEndpoint(reply=lambda body: "right").app) as root:
        run("study", "q.jsonl", "--model", f"openai:{root}/v1#m", "--set", "model.lanes=3", *STUDY)
    many, few = ("--set", "model.lanes=128"), ("--lanes", "2")
    orders = ((), many, (*many, *few), ("--model", "toy:0.9"))
    assert [opened("o/policy.toml", *words)[0].gate.lanes for words in orders] == [3, 128, 2, 16]
    for bad in ("0", "-1"):
        assert run("serve", "o/policy.toml", "--lanes", bad, code=2).err == f"error: lanes is {bad}; give at least 1\n"


def test_settings_that_are_no_table_are_one_line(run: Run, tmp_path: Path) -> None:
    run("study", "q.jsonl", "--model", "toy:0.9", *STUDY)
    policy = tmp_path / "o" / "policy.toml"
    policy.write_text("settings = {model = 3}\n" + policy.read_text())
    with pytest.raises(BadInput, match=r"policy\.toml: the settings are .*; write those of a model as a table"):
        read_policy(policy)
