"""Reads genai-prices into the rows of the book: integers only, or an error.

Every rate becomes nano-dollars per million of its unit, whatever the unit's own measure is. A price
that is no whole number then, a unit without a name in the filter, a condition that it cannot tell:
each stops the build, so that nothing is dropped in silence.
"""

from __future__ import annotations

import calendar
import hashlib
from collections.abc import Iterable
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

from genai_prices import data, types
from genai_prices.data_units import unit_data

from clauses import translate

# The providers of the book. A name added here is all that a further provider needs, unless it
# brings a unit or a condition that the filter does not know: then the build says which.
PROVIDERS = ['anthropic', 'azure', 'google', 'openai']

# Other names by which gateways call these providers.
ALIASES = {
    'azure': ['azure_ai', 'azure_openai'],
    'google': ['gemini', 'vertex', 'vertex_ai'],
}

# Price keys of genai-prices, and what the filter calls that unit (`Unit::label` in src/usage.rs).
UNITS = {
    'input_mtok': 'input',
    'cache_read_mtok': 'cache_read',
    'cache_write_mtok': 'cache_write',
    'cache_write_5m_mtok': 'cache_write_5m',
    'cache_write_1h_mtok': 'cache_write_1h',
    'input_tool_mtok': 'input_tool',
    'input_audio_mtok': 'input_audio',
    'cache_audio_read_mtok': 'cache_read_audio',
    'input_image_mtok': 'input_image',
    'cache_image_read_mtok': 'cache_read_image',
    'input_video_mtok': 'input_video',
    'cache_video_read_mtok': 'cache_read_video',
    'output_mtok': 'output',
    'output_reasoning_mtok': 'reasoning',
    'output_audio_mtok': 'output_audio',
    'output_image_mtok': 'output_image',
    'output_video_mtok': 'output_video',
    'web_searches_kcount': 'web_search',
}

# Price keys of units that no API read by the filter reports. Their rates are left out.
UNMETERED = {'audio_hours', 'input_audio_hours', 'input_mchars', 'storage_searches_kcount'}

# The conditions that the filter can tell, with the values of those that are not free text.
CONDITIONS: dict[str, set[str] | None] = {
    'processing': {'batch'},
    'service_tier': None,
    'speed': None,
}

PER = {unit['price_key']: unit['per'] for unit in unit_data.values()}
MILLION = 1_000_000
NANO = 1_000_000_000
NAME = 'genai-prices'


def about() -> dict[str, str]:
    """Which genai-prices this is."""
    assert data.__file__
    return {
        'name': NAME,
        'version': metadata.version(NAME),
        'sha256': hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest(),
        'licence': 'MIT, Copyright (c) Pydantic Services Inc. 2025 to present',
    }


def providers() -> list[dict[str, Any]]:
    """The providers of the book with their models, in the order in which names are tried."""
    known = {provider.id: provider for provider in data.providers}
    return [_provider(known[name]) for name in sorted(PROVIDERS)]


def nanos(price: Decimal, key: str) -> int:
    """`price` dollars per measure of `key`, as nano-dollars per million."""
    exact = price * NANO * MILLION / PER[key]
    if exact != int(exact) or exact < 0:
        raise ValueError(f'{key} {price}: {exact} is not a whole number of nano-dollars')
    return int(exact)


def _provider(provider: types.Provider) -> dict[str, Any]:
    fallback = [name for name in provider.fallback_model_providers or [] if name in PROVIDERS]
    return {
        'id': provider.id,
        'aliases': ALIASES.get(provider.id, []),
        'fallback': fallback,
        'models': [_model(model, f'{provider.id}/{model.id}') for model in provider.models],
    }


def _model(model: types.ModelInfo, path: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = {'id': model.id, 'match': translate(model.match)}
        if model.context_window:
            row['context_window'] = model.context_window
        row['prices'] = [_conditional(entry) for entry in entries(model)]
        if model.price_variants:
            row['variants'] = [
                {'when': _when(variant.when)} | _conditional(variant)
                for variant in model.price_variants
            ]
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return row


def entries(model: types.ModelInfo) -> Iterable[types.ConditionalPrice]:
    """The dated prices of a model, of which the last active one holds."""
    if isinstance(model.prices, types.ModelPrice):
        return [types.ConditionalPrice(prices=model.prices)]
    return model.prices


def _conditional(entry: types.ConditionalPrice | types.PriceVariant) -> dict[str, Any]:
    rates = {
        UNITS[key]: _rate(price, key)
        for key, price in vars(entry.prices).items()
        if price is not None and _metered(key)
    }
    order = list(UNITS.values())
    row = {'rates': {unit: rates[unit] for unit in sorted(rates, key=order.index)}}
    return _constraint(entry.constraint) | row


def _metered(key: str) -> bool:
    if key not in UNITS and key not in UNMETERED:
        raise ValueError(f'the filter has no unit for {key}')
    return key in UNITS


def _rate(price: Decimal | types.TieredPrices, key: str) -> list[int]:
    """The base rate, then for each tier the total input it starts above, and its rate."""
    if isinstance(price, Decimal):
        return [nanos(price, key)]
    rate = [nanos(price.base, key)]
    for tier in price.tiers:
        rate += [tier.start, nanos(tier.price, key)]
    return rate


def _constraint(
    constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None,
) -> dict[str, Any]:
    match constraint:
        case None:
            return {}
        case types.StartDateConstraint(start_date=start):
            return {'active': {'from': calendar.timegm(start.timetuple())}}
        case types.TimeOfDateConstraint():
            times = [types._utc_timetz(t) for t in (constraint.start_time, constraint.end_time)]
            if any(t.microsecond for t in times):
                raise ValueError(f'{constraint}: finer than a second')
            return {'active': {'daily': [(t.hour * 60 + t.minute) * 60 + t.second for t in times]}}


def _when(when: dict[str, str]) -> dict[str, str]:
    for key, value in when.items():
        if key not in CONDITIONS or value not in (CONDITIONS[key] or {value}):
            raise ValueError(f'the filter cannot tell {key}={value}')
    return dict(sorted(when.items()))
