"""What a client's own schema becomes where no engine can compile it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("starlette")
from trueup.core.errors import BadForm, BadInput
from trueup.serve.failure import to_failure


def test_a_schema_that_does_not_compile_is_the_clients_to_mend_and_another_setting_ours():
    broken = BadForm("the schema '{' does not compile")
    theirs, ours = to_failure(broken, has_own_form=True), to_failure(BadInput("no such solver"), has_own_form=True)
    told = json.loads(theirs.body())["error"]
    assert (theirs.status, told["param"], told["code"]) == (400, "response_format", "schema_invalid")
    assert "does not compile" in told["message"]
    assert ours.status == to_failure(broken).status == 500
