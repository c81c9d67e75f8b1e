"""The demo's traffic: five customers calling three providers through the official SDKs.

Every call is drawn from a fixed seed, so each run of the demo shows the same numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

TENANT, FEATURE, ID = "x-tenant-id", "x-feature", "x-replay-id"

MODELS = {
    "openai": ["gpt-5-mini", "gpt-4.1", "gpt-4o-mini"],
    "anthropic": ["claude-opus-5", "claude-haiku-4-5"],
    "google": ["gemini-2.5-flash", "gemini-2.5-pro"],
}

CUSTOMERS = {
    "acme": (22, ["openai", "anthropic"], ["chat", "summarize"]),
    "megaco": (18, ["anthropic", "google"], ["search", "chat", "translate"]),
    "startupxy": (12, ["openai"], ["chat"]),
    "northwind": (9, ["google"], ["summarize"]),
    "globex": (7, ["openai", "anthropic", "google"], ["search"]),
}
"""Customer to the number of calls, the providers and the features."""

OWN_MODEL = "startupxy-support-7b"
"""A model that no price list knows: its calls must show up as unpriced, not as free."""

NEARLY, SOLD_OUT, DOWNGRADED = "wonka", "initech", "umbrella"
"""Customers at 80 % of their budget, at its end, and at the end of one that asks for a cheaper model."""

AT_ONCE = 8


@dataclass(frozen=True)
class Call:
    """One call that a customer makes."""

    id: str
    customer: str
    feature: str
    provider: str
    model: str
    stream: bool

    @property
    def headers(self) -> dict[str, str]:
        return {TENANT: self.customer, FEATURE: self.feature, ID: self.id}

    @property
    def prompt(self) -> str:
        return f"{self.feature} for {self.customer}, call {self.id}"


def plan() -> list[Call]:
    """All calls, in the order they are made."""
    rng = random.Random("tollgate")
    calls = []
    for customer, (number, providers, features) in CUSTOMERS.items():
        for at in range(number):
            provider = rng.choice(providers)
            model = rng.choice(MODELS[provider])
            feature = rng.choice(features)
            calls.append(Call(f"{customer}-{at}", customer, feature, provider, model, rng.random() < 0.6))
    calls.append(Call("startupxy-own", "startupxy", "support", "openai", OWN_MODEL, False))
    rng.shuffle(calls)
    return calls


class Clients:
    """The SDKs, all pointed at the same gateway.

    Imported only here: it takes them a second, in which Ctrl-C must already find us ready.
    """

    def __init__(self, url: str) -> None:
        import anthropic
        import openai
        from google import genai

        self._openai = openai.OpenAI(base_url=f"{url}/v1", api_key="demo")
        self._anthropic = anthropic.Anthropic(base_url=url, api_key="demo")
        self._google = genai.Client(api_key="demo", http_options={"base_url": url})

    def run(self, calls: list[Call]) -> Iterator[Call]:
        """Makes the calls, several at once; yields each that is done."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in as_completed([pool.submit(self._make, call) for call in calls]):
                yield done.result()

    def refused(self, call: Call) -> str:
        """What the SDK raises for a call that is refused."""
        import openai

        try:
            self._call_openai(call)
        except openai.RateLimitError as error:
            return f"openai.{type(error).__name__}: {error.body['message']}"
        return ""

    def downgraded(self, call: Call) -> tuple[str, str]:
        """The model that answers a call, and what the answer says of a cheaper one."""
        raw = self._openai.chat.completions.with_raw_response.create(
            model=call.model,
            messages=[{"role": "user", "content": call.prompt}],
            extra_headers=call.headers,
        )
        return raw.parse().model, raw.headers.get("x-tollgate-downgraded", "")

    def _make(self, call: Call) -> Call:
        getattr(self, f"_call_{call.provider}")(call)
        return call

    def _call_openai(self, call: Call) -> None:
        streaming = {"stream": True, "stream_options": {"include_usage": True}} if call.stream else {}
        answer = self._openai.chat.completions.create(
            model=call.model,
            messages=[{"role": "user", "content": call.prompt}],
            extra_headers=call.headers,
            **streaming,
        )
        if call.stream:
            list(answer)

    def _call_anthropic(self, call: Call) -> None:
        answer = self._anthropic.messages.create(
            model=call.model,
            max_tokens=2_000,
            messages=[{"role": "user", "content": call.prompt}],
            extra_headers=call.headers,
            stream=call.stream,
        )
        if call.stream:
            list(answer)

    def _call_google(self, call: Call) -> None:
        options = {"http_options": {"headers": call.headers}}
        models = self._google.models
        if call.stream:
            list(models.generate_content_stream(model=call.model, contents=call.prompt, config=options))
        else:
            models.generate_content(model=call.model, contents=call.prompt, config=options)
