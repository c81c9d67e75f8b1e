"""The dialects as tables: for each, one answer as JSON and as a stream, and what it used.

All answers tell of the same tokens, so that the tests can be one text for all: 100 of input, 40 of
them from a cache, and 25 of output, 5 of them reasoning.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from ..upstream import Response, Step, sse

Json = dict[str, Any]

USED = {
    "usage": "reported",
    "input_tokens": "100",
    "cache_read_tokens": "40",
    "cache_write_tokens": "0",
    "output_tokens": "25",
    "reasoning_tokens": "5",
}
"""The fields of the access log after any of the answers."""


@dataclass(frozen=True)
class Dialect:
    """One provider's way to ask and to answer."""

    name: str
    provider: str
    model: str
    """The model asked for."""
    answered: str
    """The model that the answer names."""
    api: str
    stream_api: str
    path: str
    stream_path: str
    whole: Json
    events: list[str]
    """The payloads of the stream's events. The first two carry text."""
    newline: str = "\n"

    def body(self, *, stream: bool = False, **more: Any) -> Json:
        """A request's body."""
        if self.name == "gemini":
            return {"contents": [{"parts": [{"text": "hello"}]}], **more}
        asked = {"model": self.model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 99}
        if stream:
            asked["stream"] = True
            if self.name == "openai":
                asked["stream_options"] = {"include_usage": True}
        return asked | more

    def json(self, **more: Any) -> Response:
        """The answer as JSON."""
        return Response([json.dumps(self.whole).encode()], chunked=False, **more)

    def chunks(self) -> list[bytes]:
        """The stream, an event a chunk."""
        return sse(self.events, newline=self.newline)

    def stream(self, steps: list[Step] | None = None, **more: Any) -> Response:
        """The answer as a stream of these steps, by default its events one by one."""
        paced = [step for chunk in self.chunks() for step in (chunk, 0.002)]
        return Response(paced if steps is None else steps, headers=STREAM, **more)

    def renamed(self, model: str) -> Dialect:
        """The same dialect, asked for and answered by another model."""
        events = [event.replace(self.answered, model) for event in self.events]
        whole = json.loads(json.dumps(self.whole).replace(self.answered, model))
        return replace(self, model=model, answered=model, whole=whole, events=events)

    def __str__(self) -> str:
        return self.name


STREAM = (("content-type", "text/event-stream; charset=utf-8"),)


def _openai() -> Dialect:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 25,
        "total_tokens": 125,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    head = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
    chunk = {**head, "object": "chat.completion.chunk", "usage": None}

    def delta(**fields: Any) -> Json:
        return {**chunk, "choices": [{"index": 0, "delta": fields, "finish_reason": None}]}

    message = {"role": "assistant", "content": 'the word "usage": {"prompt_tokens": 9}'}
    events = [
        delta(role="assistant", content=""),
        delta(content="né, "),
        delta(content='"usage": {"prompt_tokens": 9}'),
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**chunk, "choices": [], "usage": usage},
    ]
    return Dialect(
        name="openai",
        provider="openai",
        model="gpt-4o-mini",
        answered=head["model"],
        api="openai.chat",
        stream_api="openai.chat",
        path="/v1/chat/completions",
        stream_path="/v1/chat/completions",
        whole={
            **head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        },
        events=[*map(_compact, events), "[DONE]"],
    )


def _anthropic() -> Dialect:
    usage = {
        "input_tokens": 60,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 40,
        "output_tokens": 25,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001"}
    started = {key: usage[key] for key in ("input_tokens", "cache_creation_input_tokens")}
    start = {**head, "content": [], "usage": {**started, "cache_read_input_tokens": 40, "output_tokens": 1}}

    def delta(text: str) -> Json:
        return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}

    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    grown = {"output_tokens": 25, "output_tokens_details": {"thinking_tokens": 5}}
    events = [
        {"type": "message_start", "message": start},
        block,
        {"type": "ping"},
        delta("né, "),
        delta('"usage": {"output_tokens": 9}'),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": grown},
        {"type": "message_stop"},
    ]
    return Dialect(
        name="anthropic",
        provider="anthropic",
        model="claude-haiku-4-5",
        answered=head["model"],
        api="anthropic.messages",
        stream_api="anthropic.messages",
        path="/v1/messages",
        stream_path="/v1/messages",
        whole={**head, "content": [{"type": "text", "text": "hello"}], "usage": usage},
        events=[*map(_compact, events)],
    )


def _gemini() -> Dialect:
    model = "gemini-2.5-flash"

    def usage(candidates: int) -> Json:
        return {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 40,
            "candidatesTokenCount": candidates,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 105 + candidates,
        }

    def part(text: str, candidates: int) -> Json:
        content = {"parts": [{"text": text}], "role": "model"}
        return {
            "candidates": [{"content": content, "index": 0}],
            "usageMetadata": usage(candidates),
            "modelVersion": model,
        }

    texts = ["hel", "né, ", '"usageMetadata": {"promptTokenCount": 9}', "."]
    events = [part(text, 5 * at) for at, text in enumerate(texts, start=1)]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    return Dialect(
        name="gemini",
        provider="google",
        model=model,
        answered=model,
        api="gemini.generateContent",
        stream_api="gemini.streamGenerateContent",
        path=f"/v1beta/models/{model}:generateContent",
        stream_path=f"/v1beta/models/{model}:streamGenerateContent?alt=sse",
        whole=part("hello", 20),
        events=[_compact(event) for event in events],
        newline="\r\n",
    )


def _compact(event: Json) -> str:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


OPENAI, ANTHROPIC, GEMINI = _openai(), _anthropic(), _gemini()
DIALECTS = [OPENAI, ANTHROPIC, GEMINI]
