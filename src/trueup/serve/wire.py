"""What strangers send and what they get, in OpenAI's shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "logit_bias": (None, {}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "top_k": (None, -1, 0),
    "min_p": (None, 0),
    "repetition_penalty": (None, 1),
    "repeat_penalty": (None, 1),
    "best_of": (None, 1),
    "min_tokens": (None, 0),
    "ignore_eos": (None, False),
    "guided_json": (None,),
    "guided_regex": (None,),
    "guided_choice": (None,),
    "guided_grammar": (None,),
    "structured_outputs": (None,),
    "grammar": (None, ""),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "reasoning_effort": (None,),
    "verbosity": (None,),
    "web_search_options": (None,),
    "moderation": (None,),
}
"""Parameters that clients know and a policy does not honour, with the values that ask for nothing."""

NonEmpty = Annotated[str, StringConstraints(min_length=1)]


class Given(BaseModel):
    """Of a request: exact types, unknown fields ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Turn(Given):
    """One message; parts of text are joined, parts of anything else refused."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | None = None
    refusal: str | None = None
    tool_calls: None = None

    @field_validator("content", mode="before")
    @classmethod
    def join_parts(cls, content: object) -> object:
        """The text of a content that may come as a list of parts."""
        if not isinstance(content, list):
            return content
        for part in content:
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                kind = part.get("type") if isinstance(part, dict) else type(part).__name__
                raise PydanticCustomError("text_only", "only parts of text are taken, not {kind}", {"kind": repr(kind)})
        return "".join(part["text"] for part in content)

    @property
    def said(self) -> str | None:
        """The text; where an assistant refused, its words for that."""
        return self.refusal if self.content is None and self.role == "assistant" else self.content


class StreamOptions(Given):
    """What a stream shall carry besides the answer."""

    include_usage: bool | None = None


class Schema(Given):
    """A JSON schema with the name that the API asks for."""

    model_config = ConfigDict(strict=True, extra="ignore", populate_by_name=True)

    name: str = ""
    body: Annotated[dict[str, Any], Field(alias="schema")]


class ResponseFormat(Given):
    """The form that the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None

    @model_validator(mode="after")
    def require_schema(self) -> ResponseFormat:
        """`json_schema` comes with its schema."""
        if self.type == "json_schema" and self.json_schema is None:
            raise PydanticCustomError("schema_missing", "type json_schema needs a json_schema")
        return self

    def schema_text(self) -> str | None:
        """The schema as canonical JSON text; None where any text will do."""
        if self.type == "text":
            return None
        body = self.json_schema.body if self.json_schema is not None else {"type": "object"}
        return json.dumps(body, sort_keys=True)


class ChatRequest(Given):
    """POST /v1/chat/completions, as far as a policy honours it."""

    model: str
    messages: Annotated[list[Turn], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Annotated[list[NonEmpty], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: dict[str, Any] | None = None
    response_format: ResponseFormat | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def list_stop(cls, stop: object) -> object:
        """A single stop text is a list of one."""
        return [stop] if isinstance(stop, str) else stop

    @property
    def limit(self) -> int | None:
        """The most tokens of a text, None where the client does not say."""
        return self.max_completion_tokens or self.max_tokens


class CompletionDetails(BaseModel):
    """The tokens that were spent and are not in the answer's text."""

    reasoning_tokens: int


class Usage(BaseModel):
    """All tokens spent on a request: judges and discarded attempts too."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: CompletionDetails


class Said(BaseModel):
    """The answer as a message."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """The one choice of a reply."""

    index: int = 0
    message: Said
    logprobs: None = None
    finish_reason: str


class Completion(BaseModel):
    """A plain reply; `usage` is null where the model's endpoint does not tell."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None
    system_fingerprint: str


class Delta(BaseModel):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(BaseModel):
    """The one choice of a chunk."""

    index: int
    delta: Delta
    logprobs: None
    finish_reason: str | None


class Chunk(BaseModel):
    """A part of a streamed reply; only the fields that were set are sent."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class ModelEntry(BaseModel):
    """A name that `model` may be."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "trueup"


class ModelList(BaseModel):
    """All names that `model` may be."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(BaseModel):
    """Every answer that is no success."""

    error: ErrorBody
