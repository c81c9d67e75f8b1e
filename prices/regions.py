"""What litellm knows of regions: what the tokens of a model cost more there, or its rates there.

Three ways it says so: a multiplier of a model (OpenAI's hosts, Vertex' regional endpoints, the
`inference_geo` of Anthropic's answers), rows of their own for Azure's data zones, and rows for regions
of Bedrock. A row that is the same number of times ours becomes that number; another one of Bedrock
becomes rates. Where rows of one model disagree, or where other regions are known to cost more, only
that is said, and calls there have a cost that is marked as incomplete.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

Rates = dict[str, list[int | str]]
# Reads a row of litellm: its rates, by the end of their keys.
ByTerm = Callable[[dict[str, Any]], dict[str, Rates]]

# Their multipliers: whose rows have it, and the place that it is for.
MULTIPLIERS = {
    'regional_processing_uplift_multiplier_eu': ('openai', {'region': 'eu'}),
    'regional_processing_uplift_multiplier_us': ('openai', {'region': 'us'}),
    'fedramp_uplift_multiplier': ('openai', {'region': 'gov'}),
    'regional_endpoint_uplift_multiplier': ('google', {'region': '*'}),
}
GEO = {'geo': 'us'}
ROWS = [
    ('azure', re.compile(r'azure/(eu|us|apac|us-gov)/([^/]+)')),
    ('aws', re.compile(r'bedrock/([a-z]+(?:-gov)?-[a-z]+-\d)/([^/]+)')),
]
# Bedrock's regions that have its standard prices, which the others are compared with.
HOME = {'us-east-1', 'us-east-2', 'us-west-2'}
# No region costs less, or more than this many times: such rows have slips.
MOST = 2
# Rates of caches are rounded to a tenth of a cent by some sellers.
ROUNDING = Decimal('0.02')


class Said(NamedTuple):
    """What one row says of a place: how many times the standard rates, or which rates."""

    name: str
    times: Decimal | None
    rates: dict[str, Rates]


def of(
    theirs: dict[str, Any], standard: dict[str, Rates], by_term: ByTerm
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each model is to have for regions, by their standard rates of the day."""
    said: dict[str, dict[tuple[str, str, str], list[Said]]] = defaultdict(lambda: defaultdict(list))
    for name, row in theirs.items():
        for path, seller, place, what in [*multiplied(name, row), *listed(name, row, standard, by_term)]:
            key = ('' if path.startswith(f'{seller}/') else seller, *place)
            said[path][key].append(what)
    for path, places in sorted(said.items()):
        yield path, extra(path, places)


def multiplied(name: str, row: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, str], Said]]:
    """What multipliers of a row say; without one it says that the model costs the same."""
    seller = {'openai': 'openai', 'anthropic': 'anthropic'}.get(row.get('litellm_provider', ''))
    seller = 'google' if name.startswith('vertex_ai/') else seller
    path = found(name.removeprefix('vertex_ai/'), seller) if seller else None
    if path is None or seller is None:
        return
    for key, (whose, place) in MULTIPLIERS.items():
        if whose == seller:
            (pair,) = place.items()
            yield path, seller, pair, Said(name, Decimal(row.get(key, 1)), {})
    if seller == 'anthropic':
        (pair,) = GEO.items()
        times = (row.get('provider_specific_entry') or {}).get('us', 1)
        yield path, seller, pair, Said(name, Decimal(times), {})


def listed(
    name: str, row: dict[str, Any], standard: dict[str, Rates], by_term: ByTerm
) -> Iterator[tuple[str, str, tuple[str, str], Said]]:
    """What a row for a region says."""
    for seller, pattern in ROWS:
        match = pattern.fullmatch(name)
        path = found(match[2], seller) if match else None
        if not match or path is None:
            continue
        rates = by_term(row)
        ours = standard[path]
        if ours and tokens(ours) <= tokens(rates.get('', {})):
            sound = is_sound(rates[''], ours)
            times = ratio(rates[''], ours) if sound else None
            yield path, seller, ('region', match[1]), Said(match[2], times, rates if sound else {})


def found(name: str, seller: str) -> str | None:
    """The model of ours that a name stands for at `seller`."""
    try:
        _, model = get_snapshot().find_provider_model(name, None, seller, None)
    except LookupError:
        return None
    return f'{owner(model)}/{model.id}'


def owner(model: types.ModelInfo) -> str:
    """The provider among whose own models this one is."""
    return next(one.id for one in get_snapshot().providers if any(model is own for own in one.models))


def tokens(rates: Rates) -> set[str]:
    return rates.keys() & {'input', 'output'}


def is_sound(there: Rates, standard: Rates) -> bool:
    """Whether rates can be those of a region."""
    pairs = [(there[unit][0], standard[unit][0]) for unit in tokens(standard)]
    return all(Decimal(other) <= Decimal(one) <= MOST * Decimal(other) for one, other in pairs)


def ratio(there: Rates, standard: Rates) -> Decimal | None:
    """How many times the standard rates these are, if all are."""
    pairs = {
        unit: list(zip(rate[::2], standard[unit][::2], strict=True))
        for unit, rate in there.items()
        if unit in standard and rate[1::2] == standard[unit][1::2]
    }
    if not tokens(standard) <= pairs.keys():
        return None
    first = next((Decimal(one) / Decimal(other) for one, other in pairs['input'] if Decimal(other)), None)
    if first is None or first != round(first, 6):
        return None
    exact = all(
        Decimal(one) == first * Decimal(other)
        for unit in tokens(standard)
        for one, other in pairs[unit]
    )
    close = all(
        abs(Decimal(one) - first * Decimal(other)) <= ROUNDING * Decimal(one)
        for pair in pairs.values()
        for one, other in pair
    )
    return first if exact and close else None


def extra(path: str, places: dict[tuple[str, str, str], list[Said]]) -> dict[str, Any]:
    """The surcharges of a model, and its rates in regions."""
    surcharges: list[dict[str, str]] = []
    variants: list[dict[str, Any]] = []
    for seller in sorted({seller for seller, _, _ in places}):
        mine = {(kind, place): said for (whose, kind, place), said in places.items() if whose == seller}
        ours, more = of_seller(path, seller, mine)
        surcharges += [({'seller': seller} if seller else {}) | one for one in ours]
        variants += more
    return {key: rows for key, rows in (('surcharges', surcharges), ('regional', variants)) if rows}


def of_seller(
    path: str, seller: str, places: dict[tuple[str, str], list[Said]]
) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """The same of one seller."""
    surcharges: list[dict[str, str]] = []
    variants: list[dict[str, Any]] = []
    for (kind, place), said in sorted(places.items(), key=lambda item: (item[0][1] == '*', item[0])):
        times = agreed(path, said)
        rates = said[0].rates
        if times is not None:
            surcharges.append({kind: place, 'times': f'{times:f}'})
        elif rates and not seller and all(one.rates == rates for one in said):
            surcharges.append({kind: place, 'times': '1'})
            terms = sorted((term for term in rates if tokens(rates['']) <= tokens(rates[term])), reverse=True)
            variants += [{'region': place, 'term': term, 'rates': rates[term]} for term in terms]
        else:
            surcharges.append({kind: place})
    named = {place for kind, place in places if kind == 'region' and 'gov' not in place}
    costs_more = any(one.get('times') != '1' for one in surcharges if one.get('region') in named)
    costs_more |= any(one['region'] in named for one in variants)
    if named and costs_more and '*' not in named:
        home = HOME - named if path.startswith('aws/') else set()
        surcharges += [{'region': place, 'times': '1'} for place in sorted(home)]
        return [*surcharges, {'region': '*'}], variants
    return [one for one in surcharges if one.get('times') != '1'], variants


def agreed(path: str, said: list[Said]) -> Decimal | None:
    """What all rows say, or the one that is called as the model is, if it knows of a surcharge."""
    own = next((one.times for one in said if path.endswith(f'/{one.name.removeprefix("vertex_ai/")}')), None)
    all_times = {one.times for one in said}
    if len(all_times) == 1:
        return said[0].times
    return own if own not in (None, 1) else None
