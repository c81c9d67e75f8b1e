"""What a call costs by somebody else's arithmetic: genai-prices, in exact decimals."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from genai_prices import extract_usage

FLAVORS = {"openai.chat": "chat"}
NANO = Decimal(10**9)


def cost(response: dict[str, Any], api: str, **provider: str) -> int | None:
    """The nano-dollars of a response with its model and usage; `None` if it has no price.

    The provider is given as genai-prices wants it: `provider_id` or `provider_api_url`.
    """
    try:
        used = extract_usage(response, api_flavor=FLAVORS.get(api, "default"), **provider)
        price = used.calc_price().total_price
    except (LookupError, ValueError):
        return None
    return int((price * NANO).quantize(Decimal(1), ROUND_HALF_UP))
