"""What OpenAI, Anthropic and Google answer: as JSON and as a stream, with the usage of the call.

The token counts are drawn from the request's bytes, so the same request always gets the same
answer. Identifiers, padding, pings, line ends and compression are as the providers have them.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from .codings import coded
from .upstream import Request, Response

Json = dict[str, Any]

DATED = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}
"""The snapshot that a provider answers with when asked for an alias."""

PAUSE = 0.004
"""Seconds between two events of a stream."""


@dataclass(frozen=True)
class Counts:
    """The tokens of one call. `prompt` includes nothing of a cache, `answer` no reasoning."""

    prompt: int
    cache_read: int
    cache_write: int
    answer: int
    reasoning: int

    @classmethod
    def drawn(cls, rng: random.Random, body: bytes) -> Counts:
        """Counts as varied as real ones; a few prompts are very long."""
        long = 210_000 if rng.random() < 0.06 else 0
        return cls(
            prompt=len(body) // 4 + rng.randint(40, 3_000) + long,
            cache_read=rng.choice([0, 0, 1_024, 1_024 * rng.randint(2, 12)]),
            cache_write=rng.choice([0, 0, rng.randint(1_024, 9_000)]),
            answer=rng.randint(8, 900),
            reasoning=rng.choice([0, 64 * rng.randint(1, 20)]),
        )


class Call:
    """One call: what was asked, and what the answer is made of."""

    provider: ClassVar[str]
    api: ClassVar[str]
    newline: ClassVar[bytes] = b"\n"

    def __init__(self, request: Request, model: str, stream: bool) -> None:
        self.request = request
        self.model = DATED.get(model, model)
        self.stream = stream
        self.rng = random.Random(hashlib.sha256(request.path.encode() + request.body).digest())
        self.counts = Counts.drawn(self.rng, request.body)
        self.id = f"{self.rng.getrandbits(120):030x}"
        self.words = self.rng.choices(WORDS, k=self.rng.randint(6, 30))

    def usage(self) -> Json:
        """The provider's usage object."""
        raise NotImplementedError

    def whole(self) -> Json:
        """The answer as one JSON object."""
        raise NotImplementedError

    def events(self) -> Iterator[tuple[str | None, Json | str]]:
        """The answer as a stream: the name of each event, if it has one, and its data."""
        raise NotImplementedError

    def truth(self) -> Json:
        """The model and the usage as the provider's answer has them."""
        return {"model": self.model, "usage": self.usage()}

    def tells_usage(self) -> bool:
        """Whether the answer says what was used."""
        return True

    def response(self) -> Response:
        """The answer on the wire."""
        if self.stream:
            kind, chunks = "text/event-stream; charset=utf-8", list(self._sse())
        else:
            kind, chunks = "application/json", [_dumped(self.whole(), indent=2)]
        return self._sent(kind, chunks)

    def _sent(self, kind: str, chunks: list[bytes]) -> Response:
        headers = [("content-type", kind), ("x-request-id", f"req_{self.id}")]
        if "gzip" in self.request.header("accept-encoding"):
            headers.append(("content-encoding", "gzip"))
            chunks = coded("gzip", chunks)
        paced = [step for chunk in chunks for step in (chunk, PAUSE)]
        return Response(paced, headers=headers, chunked=self.stream)

    def _sse(self) -> Iterator[bytes]:
        end = self.newline
        for name, data in self.events():
            text = data.encode() if isinstance(data, str) else _dumped(data)
            head = b"" if name is None else b"event: " + name.encode() + end
            yield head + b"data: " + text + end + end


class OpenAi(Call):
    """Chat completions: cached tokens and reasoning are parts of the two totals."""

    provider, api = "openai", "openai.chat"

    def usage(self) -> Json:
        c = self.counts
        prompt, completion = c.prompt + c.cache_read, c.answer + c.reasoning
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": c.cache_read, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": c.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def tells_usage(self) -> bool:
        options = asked(self.request).get("stream_options") or {}
        return not self.stream or bool(options.get("include_usage"))

    def whole(self) -> Json:
        message = {"role": "assistant", "content": " ".join(self.words), "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage()}

    def events(self) -> Iterator[tuple[str | None, Json | str]]:
        head = self._head("chat.completion.chunk")
        usage = {"usage": None} if self.tells_usage() else {}
        deltas: list[Json] = [{"role": "assistant", "content": "", "refusal": None}]
        deltas += [{"content": f"{word} "} for word in self.words] + [{}]
        for at, delta in enumerate(deltas):
            finish = "stop" if at == len(deltas) - 1 else None
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            padding = "".join(self.rng.choices("abcdefghijkmnopqrstuvwxyz123456789", k=at % 16))
            yield None, {**head, "choices": [choice], **usage, "obfuscation": padding}
        if self.tells_usage():
            yield None, {**head, "choices": [], "usage": self.usage(), "obfuscation": ""}
        yield None, "[DONE]"

    def _head(self, kind: str) -> Json:
        return {
            "id": f"chatcmpl-{self.id}",
            "object": kind,
            "created": int(time.time()),
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": f"fp_{self.id[:10]}",
        }


class Anthropic(Call):
    """Messages: cache reads and writes stand beside the input, a stream's counts are cumulative."""

    provider, api = "anthropic", "anthropic.messages"

    def usage(self) -> Json:
        c = self.counts
        short = c.cache_write // 3
        return {
            "input_tokens": c.prompt,
            "cache_creation_input_tokens": c.cache_write,
            "cache_read_input_tokens": c.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short,
                "ephemeral_1h_input_tokens": c.cache_write - short,
            },
            "output_tokens": c.answer + c.reasoning,
            "output_tokens_details": {"thinking_tokens": c.reasoning},
            "service_tier": "standard",
        }

    def whole(self) -> Json:
        content = [{"type": "text", "text": " ".join(self.words)}]
        return {**self._head(content, "end_turn"), "usage": self.usage()}

    def events(self) -> Iterator[tuple[str | None, Json | str]]:
        usage = self.usage()
        details = usage.pop("output_tokens_details")
        start = {**self._head([], None), "usage": {**usage, "output_tokens": self.rng.randint(1, 8)}}
        yield "message_start", {"type": "message_start", "message": start}
        block = {"type": "text", "text": ""}
        yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}
        yield "ping", {"type": "ping"}
        for word in self.words:
            delta = {"type": "text_delta", "text": f"{word} "}
            yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": 0}
        counts = {key: n for key, n in usage.items() if key.endswith("_tokens")}
        yield (
            "message_delta",
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {**counts, "output_tokens_details": details},
            },
        )
        yield "message_stop", {"type": "message_stop"}

    def _head(self, content: list[Json], stop_reason: str | None) -> Json:
        return {
            "id": f"msg_{self.id}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }


class Google(Call):
    """generateContent: thoughts stand beside the candidates; streams end lines with CRLF."""

    provider, api = "google", "gemini.generateContent"
    newline = b"\r\n"

    def __init__(self, request: Request, model: str, stream: bool, sse: bool) -> None:
        super().__init__(request, model, stream)
        self.sse = sse
        if stream:
            self.api = "gemini.streamGenerateContent"

    def usage(self) -> Json:
        return self._usage(self.counts.answer)

    def truth(self) -> Json:
        return {"modelVersion": self.model, "usageMetadata": self.usage()}

    def whole(self) -> Json:
        return self._part(" ".join(self.words), self.usage(), last=True)

    def events(self) -> Iterator[tuple[str | None, Json | str]]:
        parts = [" ".join(self.words[at : at + 4]) for at in range(0, len(self.words), 4)]
        for at, text in enumerate(parts, start=1):
            answer = self.counts.answer * at // len(parts)
            yield None, self._part(text, self._usage(answer), last=at == len(parts))

    def response(self) -> Response:
        if not self.stream or self.sse:
            return super().response()
        parts = [_dumped(data, indent=2) for _, data in self.events()]
        array = [(b"[" if at == 0 else b",\r\n") + part + b"\n" for at, part in enumerate(parts)]
        return self._sent("application/json; charset=UTF-8", [*array, b"]\n"])

    def _part(self, text: str, usage: Json, *, last: bool) -> Json:
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        finish = {"finishReason": "STOP"} if last else {}
        return {
            "candidates": [candidate | finish],
            "usageMetadata": usage,
            "modelVersion": self.model,
            "responseId": self.id[:22],
        }

    def _usage(self, answer: int) -> Json:
        c = self.counts
        prompt = c.prompt + c.cache_read
        cached = {"cachedContentTokenCount": c.cache_read} if c.cache_read else {}
        thoughts = {"thoughtsTokenCount": c.reasoning} if c.reasoning else {}
        return {
            "promptTokenCount": prompt,
            "candidatesTokenCount": answer,
            "totalTokenCount": prompt + answer + c.reasoning,
            **cached,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
            **thoughts,
        }


def _dumped(data: Json, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None
    return json.dumps(data, indent=indent, separators=separators, ensure_ascii=False).encode()


def asked(request: Request) -> Json:
    """The request's body, if it is a JSON object."""
    try:
        body = json.loads(request.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


WORDS = "the toll is paid by who takes the road, one coin a token, usage and all: «né», 三, ok".split()
