"""Compares the filter's prices with those of genai-prices, call by call, to the nano-dollar.

Random calls over all models of the book: every way to name them, sizes around every tier, times
around every date, all terms. Each is priced by genai-prices' `calc_price` in decimals, rounded half
up, and by the filter's core through `examples/price.rs`. A sample of the calls with the right
answers goes to `golden.jsonl`, where a unit test of the core reads it.

Where the filter says more than genai-prices, the rule is checked too: tokens without any rate make
a call unpriced, and an item without one makes its cost incomplete; genai-prices leaves both out. So
is the one where it says less: a name that genai-prices takes for a model's only because of how it
begins, or of what it contains, has no price, unless what is added names an edition.
"""

from __future__ import annotations

import argparse
import decimal
import itertools
import json
import random
import re
import string
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot
from genai_prices.decompose import is_descendant_or_self
from genai_prices.units import _get_registry

import clauses
import crosscheck
import source

Call = dict[str, Any]
Answer = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / 'prices' / 'golden.jsonl'
CORE = ['cargo', 'run', '--quiet', '--no-default-features', '--example', 'price']

# What the filter's units are called by genai-prices, and in which sums it counts them.
KEYS = {
    'input': ['input'],
    'cache_read': ['cache_read', 'input'],
    'cache_write': ['cache_write', 'input'],
    'cache_write_5m': ['cache_write_5m', 'cache_write', 'input'],
    'cache_write_1h': ['cache_write_1h', 'cache_write', 'input'],
    'cache_write_12h': ['cache_write', 'input'],
    'input_tool': ['input_tool', 'input'],
    'input_audio': ['input_audio', 'input'],
    'cache_read_audio': ['cache_audio_read', 'input_audio', 'cache_read', 'input'],
    'input_image': ['input_image', 'input'],
    'cache_read_image': ['cache_image_read', 'input_image', 'cache_read', 'input'],
    'input_video': ['input_video', 'input'],
    'cache_read_video': ['cache_video_read', 'input_video', 'cache_read', 'input'],
    'output': ['output'],
    'reasoning': ['output_reasoning', 'output'],
    'output_audio': ['output_audio', 'output'],
    'output_image': ['output_image', 'output'],
    'output_video': ['output_video', 'output'],
}
# Those of which genai-prices has no tokens: their units there, of which some say the same twice.
ITEMS = {
    'citation': ['output_citation_tokens', 'output_tokens'],
    'web_search': ['web_searches'],
    'maps_search': [],
    'file_search': ['storage_searches'],
    'code_session': ['code_executions'],
    'search_unit': ['rerank_searches'],
    'image': [],
    'page': ['input_document_pages'],
    'character': ['input_characters'],
    'audio_ms': ['audio_seconds', 'input_audio_seconds'],
}
# How many of the filter's units are one of theirs.
PARTS = {'audio_ms': 1000}

# Sellers at litellm beside those of which it is compared, and ours.
SELLERS = {
    'bedrock': 'aws', 'bedrock_converse': 'aws', 'bedrock_mantle': 'aws', 'cohere': 'cohere',
    'cohere_chat': 'cohere', 'deepseek': 'deepseek', 'minimax': 'minimax', 'mistral': 'mistral',
    'moonshot': 'moonshotai', 'xai': 'x-ai',
}  # fmt: skip

# Real names that genai-prices gives the price of another model, by litellm's rates.
REFUSED = {'ft:gpt-4-0613', 'gemini-3.8-flash-cyber'}

TIERS = [None, None, 'default', 'flex', 'priority', 'fast', 'auto', 'standard', 'ultrafast']
SPEEDS = [None, None, 'fast', 'standard']
SEARCHES = [None, None, 'fast', 'web']
ROUTES = [None, 'mistral/eu']
CONTEXT = ('service_tier', 'speed', 'search_type', 'route')
SAMPLE = 25
DIFFERENT = 'different'
# What names of a model end in; the filter knows a few more.
EDITION = r'([-@]20\d{6}|-20\d\d-\d\d-\d\d|-v\d:\d|-latest|-preview|-\d\d-\d\d|-0\d\d)*'
BOOK_FROM, BOOK_TO = date(2023, 1, 1), date(2027, 6, 1)


def main() -> int:
    """Prices the calls both ways and reports."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('--calls', type=int, default=100, help='calls per model')
    arguments.add_argument('--golden', action='store_true', help='write golden.jsonl')
    arguments.add_argument('core', nargs='*', help='command of examples/price.rs')
    options = arguments.parse_args()
    decimal.getcontext().prec = 60
    chance = random.Random(1)
    cases = [(call, answer(call)) for call in calls(options.calls, chance)]
    cases = [(call, right) for call, right in cases if not is_extra(call, right)]
    if options.golden:
        GOLDEN.write_text(''.join(golden(cases)))
    cases += [(call, answer(call)) for call in litellms()]
    return compare(cases, options.core or CORE)


def golden(cases: list[tuple[Call, Answer]]) -> Iterator[str]:
    """Some calls of each provider, from all over its models."""
    known = [(call, right) for call, right in cases if right['id'] and is_named(call)]
    for _, of_one in itertools.groupby(known, lambda case: case[0]['provider']):
        lines = [line(call | {'answer': right}) for call, right in of_one]
        yield from lines[:: max(1, len(lines) // SAMPLE)]


def calls(per_model: int, chance: random.Random) -> Iterator[Call]:
    """Random calls, `per_model` for each model of the book."""
    for provider in get_snapshot().providers:
        for model in provider.models:
            edges = list(thresholds(model))
            names = [*names_of(model.match, chance), model.id]
            for _ in range(per_model):
                call = {
                    'provider': provider.id,
                    'model': spelled(chance.choice(names), chance),
                    'usage': usage(model, edges, chance),
                    'at': moment(model, chance),
                    'service_tier': chance.choice(TIERS),
                    'batch': chance.random() < 0.3,
                    'speed': chance.choice(SPEEDS),
                    'search_type': chance.choice(SEARCHES),
                    'route': chance.choice(ROUTES),
                }
                yield {key: value for key, value in call.items() if value}


def litellms() -> Iterator[Call]:
    """Every name that litellm has at a provider of ours, without usage: real names, which need a price."""
    _, path = crosscheck.wheel()
    for name, row in json.loads(zipfile.ZipFile(path).read(crosscheck.MEMBER)).items():
        seller = row.get('litellm_provider', '')
        provider = crosscheck.PROVIDERS.get(seller) or SELLERS.get(seller)
        bare = name.removeprefix(f'{seller}/').removeprefix('vertex_ai/')
        if provider and '/' not in bare:
            at = seconds(BOOK_TO)
            yield {'provider': provider, 'model': bare, 'at': at, 'listed': True}


def names_of(clause: types.MatchLogic, chance: random.Random) -> Iterator[str]:
    """Names that meet a clause, or nearly."""
    noise = ''.join(chance.choices(string.ascii_lowercase + string.digits + '-', k=5))
    match clause:
        case types.ClauseOr(or_=parts) | types.ClauseAnd(and_=parts):
            for part in parts:
                yield from names_of(part, chance)
        case types.ClauseEquals(equals=text):
            yield from (text, text, text + noise)
        case types.ClauseStartsWith(starts_with=text):
            yield from (
                text,
                text + noise,
                f'{text}-tts',
                f'{text}-tts-{noise}',
                f'{text}-20251211',
            )
        case types.ClauseEndsWith(ends_with=text):
            yield from (text, noise + text, text + noise, f'us.{text}')
        case types.ClauseContains(contains=text):
            yield from (*editions(text, chance), f'us.{text}', noise + text + noise, text + noise)
        case types.ClauseRegex(regex=regex):
            text = regex.strip('^$').replace('\\.', '.').replace('[-@]', '@')
            for digits in ('\\d{4}', '\\d{8}', '\\d{2}', '\\d'):
                text = text.replace(
                    digits, {'\\d{4}': '2026', '\\d{8}': '20260417'}.get(digits, '11')
                )
            if '(' not in text:
                yield from (text, text + noise, text[:-1])


def editions(text: str, chance: random.Random) -> Iterator[str]:
    """Names of the model that a text is the beginning of, mostly."""
    ends = ['-20251211', '@20251211', '-v1:0', '-latest', '-preview', '-preview-05-06', '-001', '']
    yield from (text, text, text + chance.choice(ends), text + chance.choice(ends))


def spelled(name: str, chance: random.Random) -> str:
    return chance.choice([name, name, name.upper(), name + '-2025-11-13'])


def thresholds(model: types.ModelInfo) -> Iterator[int]:
    for entry in source.conditional(model):
        for price in vars(entry.prices).values():
            if isinstance(price, types.TieredPrices):
                yield from (tier.start for tier in price.tiers)


def usage(model: types.ModelInfo, edges: list[int], chance: random.Random) -> dict[str, int]:
    """A few units; often exactly as much input as makes, or just misses, a tier."""
    largest = chance.choice([10, 5_000, 300_000, 2_000_000, 10**9])
    keys = {key for entry in source.conditional(model) for key, v in vars(entry.prices).items() if v}
    units = chance.sample([*KEYS, *ITEMS], chance.randint(0, 4))
    # Without a rate of their own, genai-prices takes them for tokens of the answer.
    units = [unit for unit in units if unit != 'citation' or 'output_citation_mtok' in keys]
    own = [unit for key, unit in source.UNITS.items() if key in keys and unit != 'request']
    units = list(dict.fromkeys([*units, *chance.sample(own, min(len(own), chance.randint(0, 2)))]))
    if chance.random() < 0.5:
        units += ['input', 'output']
    amounts = {unit: chance.randint(0, largest) for unit in units}
    if edges and chance.random() < 0.5:
        total = chance.choice(edges) + chance.choice([-1, 0, 1])
        others = [unit for unit in amounts if unit != 'input' and 'input' in KEYS.get(unit, [])]
        for unit in others:
            amounts[unit] = chance.randint(0, total // (len(others) + 1))
        amounts['input'] = total - sum(amounts[unit] for unit in others)
    return amounts


def moment(model: types.ModelInfo, chance: random.Random) -> int:
    starts = [
        entry.constraint.start_date
        for entry in source.conditional(model)
        if isinstance(entry.constraint, types.StartDateConstraint)
    ]
    if starts and chance.random() < 0.5:
        return seconds(chance.choice(starts)) + chance.choice([-1, 0, 1])
    at = chance.randint(seconds(BOOK_FROM), seconds(BOOK_TO))
    edges = [
        edge.hour * 3600 + edge.minute * 60
        for entry in source.conditional(model)
        if isinstance(entry.constraint, types.TimeOfDateConstraint)
        for edge in (entry.constraint.start_time, entry.constraint.end_time)
    ]
    if edges and chance.random() < 0.7:
        # Before, at and after the edges of hours, and of the day.
        return at - at % 86400 + chance.choice([*edges, 86400]) + chance.choice([-60, -1, 0, 1, 60])
    return at


def seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def answer(call: Call) -> Answer:
    """What genai-prices says of a call, and our two rules about what has no rate."""
    try:
        provider, model = get_snapshot().find_provider_model(
            call['model'], None, call['provider'], None
        )
    except LookupError:
        return {'id': None, 'nanos': None, 'complete': False}
    context: dict[str, str] = {key: call[key] for key in CONTEXT if key in call}
    context |= {'processing': 'batch'} if 'batch' in call else {}
    at = datetime.fromtimestamp(call['at'], UTC)
    price = model.calc_price(
        types.Usage(**sums(call.get('usage', {}))),
        provider,
        genai_request_timestamp=at,
        price_context=context,
    )
    used = {unit for unit, n in call.get('usage', {}).items() if n}
    missing = {unit for unit in used if not has_rate(unit, price.model_price)}
    by_request = price.model_price.requests_kcount is not None
    if missing - ITEMS.keys() or (missing and missing == used and not by_request):
        return {'id': model.id, 'nanos': None, 'complete': False}
    nanos = (price.total_price * source.NANO).to_integral_value(decimal.ROUND_HALF_UP)
    complete = not missing and not is_too_cheap(provider, model, at, context)
    return {'id': model.id, 'nanos': int(nanos), 'complete': complete}


def sums(usage: dict[str, int]) -> dict[str, int | decimal.Decimal]:
    """The same usage as genai-prices counts it: wholes with their parts."""
    counts: dict[str, int | decimal.Decimal] = {
        f'{key}_tokens': 0 for keys in KEYS.values() for key in keys
    }
    counts |= {key: 0 for keys in ITEMS.values() for key in keys}
    for unit, amount in usage.items():
        for key in [f'{key}_tokens' for key in KEYS.get(unit, [])] + ITEMS.get(unit, []):
            counts[key] += decimal.Decimal(amount) / PARTS[unit] if unit in PARTS else amount
    return counts


def is_extra(call: Call, right: Answer) -> bool:
    """Whether other sources say more of the terms of a call than genai-prices."""
    row = source.extras().get(f'{call["provider"]}/{right["id"]}', {})
    if row.get('workdays') and datetime.fromtimestamp(call['at'], UTC).isoweekday() > 5:
        return True
    terms = {'service_tier': call.get('service_tier'), 'processing': 'batch' if 'batch' in call else None}
    used = call.get('usage', {}).keys() & row.get('rates', {}).keys()
    return bool(used) or any(
        variant['when'].items() <= terms.items() for variant in row.get('variants', [])
    )


def is_too_cheap(
    provider: types.Provider, model: types.ModelInfo, at: datetime, context: dict[str, str]
) -> bool:
    """Whether the call was on terms that cost more, of which there are no rates."""
    dear = context.get('service_tier') in ('priority', 'ultrafast')
    if not dear and context.get('speed') != 'fast':
        return False
    met = (
        variant.when
        for variant in model.price_variants or []
        if (variant.constraint is None or variant.constraint.active(at))
        and all(context.get(key) == value for key, value in variant.when.items())
    )
    own = any(model is other for other in provider.models)
    return not (own and any({'service_tier', 'speed'} & when.keys() for when in met))


def has_rate(unit: str, prices: types.ModelPrice) -> bool:
    """Whether genai-prices has a price for this unit or one that includes it."""
    registry = _get_registry()
    keys = ITEMS[unit] if unit in ITEMS else [f'{KEYS[unit][0]}_tokens']
    if not keys:
        return False
    used = registry.units[keys[0]]
    priced = [
        registry.unit_for_price_key(key) for key, price in vars(prices).items() if price is not None
    ]
    return any(is_descendant_or_self(other, used) for other in priced)


def compare(cases: list[tuple[Call, Answer]], core: list[str]) -> int:
    """Runs the core over all calls; the number of differences decides the exit code."""
    lines = ''.join(line(call) for call, _ in cases)
    done = subprocess.run(
        core, input=lines, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    ours = [json.loads(text) for text in done.stdout.splitlines()]
    if len(ours) != len(cases):
        raise SystemExit(f'{len(ours)} answers to {len(cases)} calls')
    counts: Counter[str] = Counter()
    for (call, right), our in zip(cases, ours, strict=True):
        what = verdict(call, right, our)
        counts[what] += 1
        if what == DIFFERENT:
            print(f'{line(call)}  genai-prices {right}\n  ours         {our}')
    print(f'{len(cases)} calls: ' + ', '.join(f'{n} {what}' for what, n in sorted(counts.items())))
    return 1 if counts[DIFFERENT] else 0


def verdict(call: Call, right: Answer, our: Answer) -> str:
    if right['id'] is None:
        return 'of models unknown to both' if our['id'] is None else 'named beyond genai-prices'
    named = (call.get('listed') and call['model'] not in REFUSED) or is_named(call)
    if our['id'] is None and not named:
        return 'priced as another model by genai-prices'
    if right != our:
        return DIFFERENT
    return 'equal' if our['nanos'] is not None else 'unpriced'


def is_named(call: Call) -> bool:
    """Whether a name that genai-prices knows is one that the data lists, or of one of its editions."""
    name = call['model'].lower()
    _, model = get_snapshot().find_provider_model(call['model'], None, call['provider'], None)
    todo, texts = [model.match], []
    while todo:
        match todo.pop():
            case types.ClauseOr(or_=parts) | types.ClauseAnd(and_=parts):
                todo += parts
            case types.ClauseEquals(equals=text) if text.lower() == name:
                return True
            case types.ClauseRegex(regex=regex) if regex.endswith('$') and re.search(regex, name):
                return True
            case types.ClauseStartsWith(starts_with=text) | types.ClauseContains(contains=text):
                texts.append(clauses.whole(text))
            case types.ClauseEndsWith(ends_with=text):
                texts.append(clauses.whole(text))
    return any(re.fullmatch(rf'(us\.)?{re.escape(text)}{EDITION}', name) for text in texts)


def line(value: Any) -> str:
    return json.dumps(value, separators=(',', ':')) + '\n'


if __name__ == '__main__':
    sys.exit(main())
