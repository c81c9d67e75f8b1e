"""What calls cost by genai-prices' arithmetic, and why ours may say something else.

A difference must be one that `WHY` explains, by what the call itself shows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from genai_prices import Usage, calc_price

from . import truth
from .envoy import Row

Json = dict[str, Any]

PROVIDERS = {"bedrock": "aws", "xai": "x-ai", "moonshot": "moonshotai", "vertex": "google"}
"""What genai-prices calls a provider, where that is another name."""


def theirs(expected: Json, provider: str, call: Json) -> int | None:
    """The nano-dollars of the expected usage at the time of the call; `None` without a price."""
    usage = Usage(
        input_tokens=expected.get("input_tokens"),
        cache_read_tokens=expected.get("cached_input_tokens"),
        cache_write_tokens=expected.get("cache_write_tokens"),
        output_tokens=expected.get("output_tokens"),
        input_audio_tokens=expected.get("input_audio_tokens") or None,
        output_audio_tokens=expected.get("output_audio_tokens") or None,
    )
    model = expected.get("model") or expected.get("request_model") or ""
    try:
        price = calc_price(
            usage,
            model,
            provider_id=PROVIDERS.get(provider, provider),
            genai_request_timestamp=datetime.fromtimestamp(call["t"] / 1000, UTC),
        )
    except (LookupError, ValueError):
        return None
    return truth.nano(price.total_price)


WHY: dict[str, Callable[[Json, Json], bool]] = {
    "searches of the web or of maps, which its usage does not have": lambda call, _: any(
        unit in call["leaves"] for unit in ("web_search", "maps_search", "file_search", "code_session")
    ),
    "work of other models that one call employed (iterations, pictures)": lambda call, expected: (
        bool(expected.get("iterations")) or "image_gen" in json.dumps(expected.get("tool_usage", ""))
    ),
    "a call charged by its length, its characters or its images": lambda call, _: any(
        unit in call["leaves"] for unit in ("audio_ms", "character", "image", "page", "search_unit")
    ),
    "tokens that are not text, which the expectation does not tell apart": lambda call, _: any(
        unit.endswith(("_audio", "_image", "_video")) for unit in call["leaves"]
    ),
    "cache writes by their time to live, which the expectation adds up": lambda call, _: (
        "cache_write_1h" in call["leaves"]
    ),
    "DeepSeek's peak hours on a weekend, of which genai-prices does not know": lambda call, _: (
        call["provider"] == "deepseek" and datetime.fromtimestamp(call["t"] / 1000, UTC).isoweekday() > 5
    ),
    "served on terms other than the standard ones": lambda call, _: (
        call.get("tier") not in (None, "default", "standard", "auto", "ON_DEMAND", "on_demand")
    ),
    "thinking that Google's chat completions show in the total alone": lambda call, expected: (
        call["provider"] in ("google", "vertex")
        and expected.get("reported_total_tokens", 0) > expected["input_tokens"] + expected["output_tokens"]
    ),
    "Perplexity's fee, which depends on the size of the search": lambda call, _: (
        call["provider"] == "perplexity" and (call["model"] or "").startswith("sonar")
    ),
    "tokens both read from a cache and written to it, which OpenRouter charges for both": lambda call, _: (
        "overlap" in call
    ),
}
"""Why a cost differs, and what of the call and of what was expected shows it."""


def compare(pairs: Iterable[tuple[Json, Json, Row]]) -> int:
    """Prints how our costs compare, for (recorded, expected, row); returns the unexplained."""
    same, explained, unexplained, said = 0, Counter[str](), [], Counter[str]()
    for recorded, expected, row in pairs:
        call = json.loads(row.get("call") or "{}")
        if row.get("usage") != "reported" or call.get("short"):
            continue
        if "cost" not in call:
            if other := theirs(expected, recorded["provider"], call):
                unexplained.append(f"  {recorded['id']}  {call.get('model')}: {other}, got no price")
            continue
        if own := row.get("provider_cost_nano_usd"):
            same_as_said = "equal" if own == row["cost_nano_usd"] else "different"
            said[f"{recorded['provider']}: {same_as_said}"] += 1
        other = theirs(expected, recorded["provider"], call)
        if other is None:
            continue
        if other == call["cost"]:
            same += 1
            continue
        reason = next((why for why, shows in WHY.items() if shows(call, expected)), None)
        if reason:
            explained[reason] += 1
        else:
            unexplained.append(f"  {recorded['id']}  {call.get('model')}: {other}, got {call['cost']}")
    print(f"\ncosts to the nano-dollar against genai-prices: {same} equal")
    print("".join(f"  {count:4} differ: {why}\n" for why, count in explained.most_common()), end="")
    print(f"  {len(unexplained):4} differ and nothing explains it", *unexplained, sep="\n")
    print("costs that providers say, against the book's:", dict(sorted(said.items())))
    return len(unexplained)
