"""Writes `extra.json`: rates on terms for which genai-prices has none, and litellm does.

A model's rates on a term are taken whole or not at all: only where the rows of litellm that are called
as the model, or else all that stand for it, agree on prompts and answers, where its standard rates are
ours of that day too, and where every standard rate for tokens that has a size of the prompt at which it
changes has one on the term. So a row that stands for another model, or that lacks a half, prices
nothing. Where our standard rates change on a day, such rates end with them. `source.py` adds them to
the book, and those of regions, of which `regions.py` tells.
"""

from __future__ import annotations

import calendar
import json
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices.data_snapshot import get_snapshot

import build
import crosscheck
import regions
import source

EXTRA = Path(__file__).with_name('extra.json')
TERMS = {
    '_batches': {'processing': 'batch'},
    '_flex': {'service_tier': 'flex'},
    '_priority': {'service_tier': 'priority'},
    '_ultrafast': {'service_tier': 'ultrafast'},
}
HOURS = 'cache_creation_input_token_cost_above_12hr'
LABELS = {key: source.UNITS[keys[0]] for key, keys in crosscheck.UNITS.items()} | {
    HOURS: 'cache_write_12h'
}
KEY = re.compile(
    r'(?P<unit>.*?)(?:_above_(?P<tier>\d+)k_tokens)?(?P<terms>_batches|_flex|_priority|_ultrafast)?'
)
# Two sellers of it, with prices of their own for a batch, of which one is compared.
DISPUTED = {'google/gemini-embedding-001'}
# What is charged by the piece has the same price on all terms.
PIECES = {'web_search'}

LICENCE = {'licence': 'MIT, Copyright (c) 2023 Berri AI'}

Rates = dict[str, list[int | str]]


def main() -> int:
    """Writes the file and says how much is in it."""
    pin, path = crosscheck.wheel()
    theirs = json.loads(zipfile.ZipFile(path).read(crosscheck.MEMBER), parse_float=Decimal)
    book = {
        f'{provider["id"]}/{model["id"]}': model
        for provider in source.plain_providers()
        for model in provider['models']
    }
    name, version = pin.split()
    about = {'name': name, 'version': version, 'sha256': path.stem} | LICENCE
    day = build.day(json.loads(build.BOOK.read_text()), [source.about(), about])
    at = calendar.timegm(day.timetuple())
    found = dict(extras(theirs, book, at))
    standard = {path: current(model['prices'], at)[0]['rates'] for path, model in book.items()}
    for model, row in regions.of(theirs, standard, by_term):
        if row:
            found[model] = found.get(model, {}) | with_terms(row)
    for model in workdays(theirs, book):
        found[model] = found.get(model, {}) | {'workdays': True}
    lines = ',\n'.join(f'{json.dumps(key)}: {json.dumps(row)}' for key, row in sorted(found.items()))
    EXTRA.write_text(f'{{"about": {json.dumps(about)},\n"models": {{\n{lines}}}}}\n')
    print(f'{pin}: rates on terms of {len(found)} models')
    return 0


def workdays(theirs: dict[str, Any], book: dict[str, Any]) -> Iterator[str]:
    """The models whose hours of other prices, by litellm, are none of a weekend."""
    for path, model in book.items():
        row = theirs.get(path, {})
        windows = row.get('off_peak_pricing', {}).get('windows', [])
        weekend = {'hours_utc': '00:00-00:00', 'weekdays': [6, 7]}
        free = weekend in windows
        hours = [price['active']['daily'] for price in model['prices'] if 'daily' in price.get('active', {})]
        if free and hours and all(start < end for start, end in hours):
            yield path


def extras(theirs: dict[str, Any], book: dict[str, Any], at: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each model of the book is to have more."""
    said: dict[str, list[tuple[str, dict[str, Rates]]]] = defaultdict(list)
    for name, row in theirs.items():
        provider = crosscheck.PROVIDERS.get(row.get('litellm_provider', ''))
        bare = name.removeprefix(f'{row.get("litellm_provider")}/').removeprefix('vertex_ai/')
        if provider is None or '/' in bare:
            continue
        try:
            owner, model = get_snapshot().find_provider_model(bare, None, provider, None)
        except LookupError:
            continue
        if owner.id == provider and any(model is own for own in owner.models):
            said[f'{provider}/{model.id}'].append((name, by_term(row)))
    for path, rows in said.items():
        if path not in DISPUTED and (extra := agreed(rows, book[path], at)):
            yield path, extra


def with_terms(row: dict[str, Any]) -> dict[str, Any]:
    """The rates of regions, on the terms that the end of litellm's keys stands for."""
    regional = [
        {'when': TERMS.get(one['term'], {}) | {'region': one['region']}, 'rates': one['rates']}
        for one in row.get('regional', [])
    ]
    return row | ({'regional': regional} if regional else {})


def by_term(row: dict[str, Any]) -> dict[str, Rates]:
    """The rates of one row of litellm, by the end of their keys; of the standard ones, that is ''."""
    raw: dict[str, dict[str, dict[int, int | str]]] = defaultdict(lambda: defaultdict(dict))
    for key, value in row.items():
        parts = KEY.fullmatch(key)
        if not parts or parts['unit'] not in LABELS or not isinstance(value, int | Decimal):
            continue
        label = LABELS[parts['unit']]
        nanos = source.nanos(Decimal(value) * source.MILLION, 'input_mtok')
        raw[parts['terms'] or ''][label][int(parts['tier'] or 0) * 1000] = nanos
    return {
        term: {
            label: [tiers[0], *(part for tier in sorted(tiers) if tier for part in (tier, tiers[tier]))]
            for label, tiers in units.items()
            if 0 in tiers
        }
        for term, units in raw.items()
    }


def agreed(named: list[tuple[str, dict[str, Rates]]], model: dict[str, Any], at: int) -> dict[str, Any]:
    """What rows of litellm say of the terms of `model`, if they speak of it.

    Of several names those count that are the model's own. Sellers of one model may round a part of its
    rates in different ways: then the dearest is taken, so that nothing is charged too little.
    """
    own = [row for name, row in named if name.rsplit('/', 1)[-1].lower() == model['id'].lower()]
    rows = own or [row for _, row in named]
    prices, active = current(model['prices'], at)
    standard = prices['rates']
    tokens = {unit for unit in ('input', 'output') if unit in standard}
    if not tokens or any(row.get('', {}).get(unit) != standard[unit] for row in rows for unit in tokens):
        return {}
    extra: dict[str, Any] = {}
    hours = rows[0].get('', {}).get('cache_write_12h')
    if hours and not active and all(row.get('', {}).get('cache_write_12h') == hours for row in rows):
        extra['rates'] = {'cache_write_12h': hours}
    present = [variant['when'] for variant in model.get('variants', [])]
    variants = []
    for term, when in TERMS.items():
        said = [row[term] for row in rows if term in row]
        rates = joined(said, standard) if own or len(said) == len(rows) else {}
        if is_whole(rates, standard, tokens) and when not in present:
            variants.append({'when': when} | active | {'rates': rates})
    if 'rates' in extra:
        # The other terms have a price for such writes as well, or the standard one would count.
        hour = [
            {'when': when, 'rates': {'cache_write_12h': rows[0][term]['cache_write_12h']}}
            for term, when in TERMS.items()
            if when in present and 'cache_write_12h' in rows[0].get(term, {})
        ]
        variants += hour
    return extra | ({'variants': variants} if variants else {})


def current(prices: list[dict[str, Any]], at: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The price that holds at `at`, and for how long rates that belong to it do."""
    starts = [price.get('active', {}).get('from', 0) for price in prices]
    if any('daily' in price.get('active', {}) for price in prices):
        return {'rates': {}}, {}
    past = [number for number, start in enumerate(starts) if start <= at]
    number = past[-1] if past else 0
    later = [start for start in starts[number + 1 :] if start > at]
    if later:
        return prices[number], {'active': {'between': [starts[number], min(later)]}}
    return prices[number], {'active': {'from': starts[number]}} if starts[number] else {}


def joined(rows: list[Rates], standard: Rates) -> Rates:
    """The rates of all rows, where they say the same of the tokens of prompts and answers."""
    rates: Rates = {}
    for unit in dict.fromkeys(unit for row in rows for unit in row):
        sizes = standard.get(unit, [0])[1::2]
        said = [flat(row[unit]) for row in rows if unit in row]
        fitting = [rate for rate in said if rate[1::2] == sizes or unit not in standard]
        agreed = len({str(rate) for rate in said}) == 1
        if fitting and (agreed or unit not in ('input', 'output')):
            rates[unit] = max(fitting, key=lambda rate: [Decimal(part) for part in rate[::2]])
    return rates


def flat(rate: list[int | str]) -> list[int | str]:
    """A rate without sizes at which it does not change."""
    return rate[:1] if len({str(part) for part in rate[::2]}) == 1 else rate


def is_whole(rates: Rates, standard: Rates, tokens: set[str]) -> bool:
    """Whether rates on a term can stand in the place of the standard ones."""
    sizes = {unit: rate[1::2] for unit, rate in standard.items() if unit not in PIECES}
    has = tokens <= rates.keys()
    # A part that is cheaper on standard terms must be on these: else it would not be charged less.
    parts = {unit for unit in sizes if unit in ('cache_read', 'cache_write', 'cache_write_1h')}
    return has and parts <= rates.keys() and all(
        rate[1::2] == sizes.get(unit, rate[1::2]) for unit, rate in rates.items()
    )


if __name__ == '__main__':
    sys.exit(main())
