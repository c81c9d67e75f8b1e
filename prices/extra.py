"""Writes `extra.json`: rates on terms for which genai-prices has none, and litellm does.

A model's rates on a term are taken whole or not at all: only where all rows of litellm that stand for
the model agree, where its standard rates are ours too, and where every standard rate for tokens that
has a size of the prompt at which it changes has one on the term. So a row that stands for another
model, or that lacks a half, prices nothing. `source.py` adds them to the book.
"""

from __future__ import annotations

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
    found = dict(extras(theirs, book))
    for model, row in regions.of(theirs, book, by_term):
        if row:
            found[model] = found.get(model, {}) | with_terms(row)
    name, version = pin.split()
    about = {'name': name, 'version': version, 'sha256': path.stem} | LICENCE
    lines = ',\n'.join(f'{json.dumps(key)}: {json.dumps(row)}' for key, row in sorted(found.items()))
    EXTRA.write_text(f'{{"about": {json.dumps(about)},\n"models": {{\n{lines}}}}}\n')
    print(f'{pin}: rates on terms of {len(found)} models')
    return 0


def extras(theirs: dict[str, Any], book: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each model of the book is to have more."""
    said: dict[str, list[dict[str, Rates]]] = defaultdict(list)
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
            said[f'{provider}/{model.id}'].append(by_term(row))
    for path, rows in said.items():
        if path not in DISPUTED and (extra := agreed(rows, book[path])):
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


def agreed(rows: list[dict[str, Rates]], model: dict[str, Any]) -> dict[str, Any]:
    """What all rows say, if they speak of `model`."""
    standard = model['prices'][-1]['rates']
    tokens = {unit for unit in ('input', 'output') if unit in standard}
    if len(model['prices']) > 1 or not tokens:
        return {}
    if any(row.get('', {}).get(unit) != standard[unit] for row in rows for unit in tokens):
        return {}
    extra: dict[str, Any] = {}
    first = rows[0]
    hours = first.get('', {}).get('cache_write_12h')
    if hours and all(row.get('', {}).get('cache_write_12h') == hours for row in rows):
        extra['rates'] = {'cache_write_12h': hours}
    present = [variant['when'] for variant in model.get('variants', [])]
    variants = []
    for term, when in TERMS.items():
        rates = first.get(term, {})
        same = all(row.get(term, {}) == rates for row in rows)
        if same and is_whole(rates, standard, tokens) and when not in present:
            variants.append({'when': when, 'rates': rates})
    if 'rates' in extra:
        # The other terms have a price for such writes as well, or the standard one would count.
        hour = [
            {'when': when, 'rates': {'cache_write_12h': first[term]['cache_write_12h']}}
            for term, when in TERMS.items()
            if when in present and 'cache_write_12h' in first.get(term, {})
        ]
        variants += hour
    return extra | ({'variants': variants} if variants else {})


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
