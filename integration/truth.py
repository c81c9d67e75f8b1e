"""What a call costs by somebody else's arithmetic: genai-prices, in exact decimals."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from genai_prices import extract_usage
from genai_prices.data_snapshot import get_snapshot

FLAVORS = {"openai.chat": "chat"}
NANO = Decimal(10**9)


def cost(response: dict[str, Any], api: str, **provider: str) -> int | None:
    """The nano-dollars of a response with its model and usage; `None` if it has no price.

    The provider is given as genai-prices wants it: `provider_id` or `provider_api_url`.
    """
    try:
        used = extract_usage(response, api_flavor=FLAVORS.get(api, "default"), **provider)
        price = used.calc_price().total_price
    except (LookupError, ValueError, AttributeError):
        # The last where Google was asked for enums as numbers: genai-prices expects names.
        return None
    return nano(price)


def nano(dollars: Decimal) -> int:
    """Dollars in whole nano-dollars, rounded half up."""
    return int((dollars * NANO).quantize(Decimal(1), ROUND_HALF_UP))


def tokens(response: dict[str, Any], api: str, provider_id: str) -> dict[str, int]:
    """The tokens of a response by kind, none of which contains another."""
    provider = get_snapshot().find_provider(None, provider_id, None)
    _, used = provider.extract_usage(response, api_flavor=FLAVORS.get(api, "default"))
    read, written = used.cache_read_tokens or 0, used.cache_write_tokens or 0
    reasoning = used.output_reasoning_tokens or 0
    return {
        "input": used.input_tokens - read - written,
        "cache read": read,
        "cache write": written,
        "output": used.output_tokens - reasoning,
        "reasoning": reasoning,
    }
