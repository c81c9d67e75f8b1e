"""Reads genai-prices into the rows of the book: exact numbers, or an error.

Every rate becomes nano-dollars per million of its unit, or per hour of audio, whatever the unit's
own measure is. A price that is no such number, a unit without a name in the filter, a condition
that it cannot tell: each stops the build, or stands in `left_out`, which the page on prices prints,
so that nothing is dropped in silence.
"""

from __future__ import annotations

import calendar
import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from genai_prices import data, types
from genai_prices.data_units import unit_data

import clauses

# Other names by which gateways, SDKs and `src/provider/host.rs` call these providers.
ALIASES = {
    'aws': ['amazon-bedrock', 'aws-bedrock', 'bedrock'],
    'azure': ['azure-openai', 'azure_ai', 'azure_openai'],
    'fireworks': ['fireworks-ai', 'fireworks_ai'],
    'github-copilot': ['copilot', 'github_copilot'],
    'google': ['gemini', 'google-vertex', 'vertex', 'vertex_ai'],
    'mistral': ['mistralai'],
    'moonshotai': ['moonshot'],
    'together': ['together-ai', 'together_ai', 'togetherai'],
    'voyageai': ['voyage'],
    'x-ai': ['xai'],
    'zai': ['z-ai'],
    'zhipuai': ['bigmodel'],
}

# Sellers of other providers' models at their prices, of which genai-prices has no rows.
RESELLERS = {
    'vercel': [
        'openai', 'anthropic', 'google', 'x-ai', 'mistral', 'deepseek', 'cohere', 'moonshotai',
        'zai', 'minimax',
    ],
}  # fmt: skip

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
    'output_citation_mtok': 'citation',
    'web_searches_kcount': 'web_search',
    'storage_searches_kcount': 'file_search',
    'code_executions_kcount': 'code_session',
    'rerank_searches_kcount': 'search_unit',
    'input_document_kpages': 'page',
    'input_mchars': 'character',
    'audio_hours': 'audio_ms',
    'requests_kcount': 'request',
}

# Price keys for which the filter has no unit, and why their rates are left out of the book.
UNMETERED = {
    'input_annotated_document_kpages': 'answers do not tell annotated pages from others',
    'input_text_messages_kcount': 'is charged by the message of a voice session, which is not read',
}

# Price keys that say the same as another one, or else stop the build.
SAME = {'input_audio_hours': 'audio_hours'}

# The least that genai-prices charges for, in the filter's unit: its code has this, not its data.
LEAST = {
    'groq/whisper-large-v3': ['audio_ms', 10_000],
    'groq/whisper-large-v3-turbo': ['audio_ms', 10_000],
}

# What litellm alone knows of terms: `extra.py` writes it.
EXTRA = Path(__file__).with_name('extra.json')

# Perplexity's fee for a thousand calls by `search_context_size`, of which genai-prices has one. The
# answers say what was charged: `low` of three models has been seen there, the rest is litellm's.
SEARCHES = {
    'perplexity/sonar': {'low': '5', 'medium': '8', 'high': '12'},
    'perplexity/sonar-pro': {'low': '6', 'medium': '10', 'high': '14'},
    'perplexity/sonar-reasoning': {'low': '5', 'medium': '8', 'high': '12'},
    'perplexity/sonar-reasoning-pro': {'low': '6', 'medium': '10', 'high': '14'},
}

# The conditions that the filter can tell, with the values of those that are not free text.
CONDITIONS: dict[str, set[str] | None] = {
    'processing': {'batch'},
    'service_tier': None,
    'speed': None,
    'route': None,
    'search_type': None,
}

PER = {unit['price_key']: unit['per'] for unit in unit_data.values()}
MILLION = 1_000_000
# How many of the filter's units a rate is for, where it is no million.
MEASURE = {'audio_hours': 3_600}
NANO = 1_000_000_000
DECIMALS = 9
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
    rows = plain_providers()
    more = extras()
    for row in rows:
        for model in row['models']:
            add_terms(model, f'{row["id"]}/{model["id"]}', more)
    return rows


@cache
def extras() -> dict[str, Any]:
    """What litellm alone knows of terms, by provider and model."""
    return json.loads(EXTRA.read_text())['models']


def abouts() -> list[dict[str, str]]:
    """Which editions of both sources the book is made of."""
    return [about(), json.loads(EXTRA.read_text())['about']]


def plain_providers() -> list[dict[str, Any]]:
    """The same, with nothing that genai-prices does not say."""
    rows = [_provider(provider) for provider in data.providers]
    rows += [
        {'id': name, 'aliases': [], 'fallback': makers, 'models': []}
        for name, makers in RESELLERS.items()
    ]
    return sorted(rows, key=lambda row: row['id'])


def add_terms(model: dict[str, Any], path: str, extras: dict[str, Any]) -> None:
    """Adds to a row what other sources say of terms that genai-prices does not know."""
    extra = extras.get(path, {})
    for dated in model['prices']:
        for unit, rate in extra.get('rates', {}).items():
            dated['rates'].setdefault(unit, rate)
    if extra.get('workdays'):
        for dated in model['prices']:
            if 'daily' in dated.get('active', {}):
                dated['active'] = {'workdays': dated['active']['daily']}
    variants = extra.get('regional', []) + model.get('variants', []) + extra.get('variants', [])
    fees = [
        {'when': {'search_context': size}, 'rates': {'request': [nanos(Decimal(fee), 'requests_kcount')]}}
        for size, fee in SEARCHES.get(path, {}).items()
    ]
    if variants + fees:
        model['variants'] = fees + variants
    if 'surcharges' in extra:
        model['surcharges'] = [
            ' '.join(f'{key}={value}' for key, value in one.items()) for one in extra['surcharges']
        ]


def left_out() -> dict[str, list[str]]:
    """The models of which a rate is left out, by the reason."""
    found: dict[str, list[str]] = {}
    for provider in data.providers:
        for model in provider.models:
            keys = {k for entry in conditional(model) for k, v in vars(entry.prices).items() if v}
            for key in keys & UNMETERED.keys():
                found.setdefault(f'`{key}` {UNMETERED[key]}', []).append(
                    f'{provider.id}/{model.id}'
                )
    return found


def nanos(price: Decimal, key: str) -> int | str:
    """`price` dollars per measure of `key`, as nano-dollars per million or per hour of audio."""
    exact = (price * NANO * MEASURE.get(key, MILLION) / PER[key]).normalize()
    if exact < 0 or exact != round(exact, DECIMALS):
        raise ValueError(f'{key} {price}: {exact} nano-dollars have more than {DECIMALS} decimals')
    return int(exact) if exact == int(exact) else f'{exact:f}'


def _provider(provider: types.Provider) -> dict[str, Any]:
    return {
        'id': provider.id,
        'aliases': ALIASES.get(provider.id, []),
        'fallback': provider.fallback_model_providers or [],
        'models': [_model(model, f'{provider.id}/{model.id}') for model in provider.models],
    }


def _model(model: types.ModelInfo, path: str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = {'id': model.id, 'match': clauses.of_model(model.match, path)}
        if model.context_window:
            row['context_window'] = model.context_window
        if path in LEAST:
            row['least'] = LEAST[path]
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


def conditional(model: types.ModelInfo) -> list[types.ConditionalPrice | types.PriceVariant]:
    """All prices of a model: the dated ones, and those on terms."""
    return [*entries(model), *(model.price_variants or [])]


def _conditional(entry: types.ConditionalPrice | types.PriceVariant) -> dict[str, Any]:
    given = {key: price for key, price in vars(entry.prices).items() if price is not None}
    for key, other in SAME.items():
        if key in given and given.pop(key) != given.get(other):
            raise ValueError(f'{key} and {other} differ, and the filter has one unit for both')
    rates = {UNITS[key]: _rate(price, key) for key, price in given.items() if _metered(key)}
    order = list(UNITS.values())
    row = {'rates': {unit: rates[unit] for unit in sorted(rates, key=order.index)}}
    return _constraint(entry.constraint) | row


def _metered(key: str) -> bool:
    if key not in UNITS and key not in UNMETERED:
        raise ValueError(f'the filter has no unit for {key}')
    return key in UNITS


def _rate(price: Decimal | types.TieredPrices, key: str) -> list[int | str]:
    """The base rate, then for each tier the total input it starts above, and its rate."""
    if isinstance(price, Decimal):
        return [nanos(price, key)]
    rate: list[int | str] = [nanos(price.base, key)]
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
