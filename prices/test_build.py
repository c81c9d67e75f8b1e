"""What the generator promises beyond the numbers, which check.py compares."""

from __future__ import annotations

import copy
import datetime
import json
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import data, types

import build
import clauses
import extra
import newest
import source

DAY = datetime.date(2026, 12, 1)
SECONDS = 1796083200


def test_the_same_inputs_give_the_same_bytes() -> None:
    book = build.build({}, DAY)
    assert build.text(build.build(book, None)) == build.text(book)
    assert not list(build.differences(build.rows(book), build.rows(book)))


def test_a_vanished_model_stays_and_is_closed_once() -> None:
    former = build.build({}, datetime.date(2026, 11, 1))
    gone = {'id': 'gone', 'match': {'equals': 'gone'}, 'prices': [{'rates': {'input': [1]}}]}
    former['providers'][0]['models'].append(gone)
    closed = build.build(former, DAY)
    again = build.build(closed, datetime.date(2027, 1, 1))
    for book in (closed, again):
        assert book['providers'][0]['models'][-1] == {'closed': SECONDS} | gone
    changes = list(build.differences(build.rows(former), build.rows(closed)))
    assert changes == ['closed   anthropic/gone']


def test_changes_are_named() -> None:
    book = build.build({}, DAY)
    other = copy.deepcopy(book)
    other['providers'][0]['models'][0]['context_window'] = 1
    other['providers'][0]['models'].append({'id': 'new', 'prices': []})
    changes = list(build.differences(build.rows(book), build.rows(other)))
    assert [change.split()[0] for change in changes] == ['changed', 'added']
    assert list(build.summary([*changes, *changes])) == ['anthropic: 1 added, 1 changed']


def test_a_provider_that_is_gone_is_closed_as_a_whole_and_loudly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A doctored source, through the program itself."""
    before = source.providers()
    lost = next(provider for provider in before if provider['id'] == 'groq')
    after = [copy.deepcopy(provider) for provider in before if provider is not lost]
    pruned = after[0]['models'].pop(0)
    file = tmp_path / 'book.json'
    monkeypatch.setattr(build, 'BOOK', file)
    monkeypatch.setattr('sys.argv', ['build.py', '--date', '2026-11-01'])
    assert build.main() == 0
    monkeypatch.setattr(source, 'providers', lambda: after)
    monkeypatch.setattr(source, 'about', lambda: {'name': 'genai-prices', 'version': '9'})
    monkeypatch.setattr('sys.argv', ['build.py', '--date', '2026-12-01'])
    capsys.readouterr()
    assert build.main() == 0
    said = capsys.readouterr()
    assert 'WARNING: groq is gone from the data' in said.err
    assert f'groq: {len(lost["models"])} closed' in said.out
    assert f'closed   anthropic/{pruned["id"]}' in said.out
    book = json.loads(file.read_text())
    now = {provider['id']: provider['models'] for provider in book['providers']}
    assert now['groq'] == [{'closed': SECONDS} | model for model in lost['models']]
    assert now['anthropic'][-1] == {'closed': SECONDS} | pruned
    assert list(now) == sorted(now)
    # They stay as they are in the next edition, which says nothing of them.
    monkeypatch.setattr('sys.argv', ['build.py', '--date', '2027-01-01'])
    assert build.main() == 0
    assert 'WARNING' not in capsys.readouterr().err
    again = json.loads(file.read_text())
    assert {p['id']: p['models'] for p in again['providers']} == now


def test_rates_on_terms_are_added_where_the_source_has_none() -> None:
    book = {key: row for key, row in build.rows(build.build({}, DAY)).items()}
    fees = [v for v in book['perplexity', 'sonar']['variants'] if 'search_context' in v['when']]
    assert [v['rates']['request'] for v in fees] == [[n * 10**12] for n in (5, 8, 12)]
    sonnet = book['anthropic', 'claude-sonnet-5']
    assert 'geo=us times=1.1' in sonnet['surcharges']
    llama = book['aws', 'meta.llama3-70b-instruct-v1:0']['variants']
    far = [v for v in llama if v['when'] == {'region': 'sa-east-1'}]
    assert [v['rates']['output'] for v in far] == [[5_880_000_000]]
    priority = [
        v for v in book['google', 'gemini-2.5-pro']['variants']
        if v['when'] == {'service_tier': 'priority'}
    ]  # fmt: skip
    assert [v['rates']['output'] for v in priority] == [[18 * 10**9, 200_000, 27 * 10**9]]


def test_rates_of_another_model_or_of_a_half_are_not_taken() -> None:
    standard = {'input': [10, 5, 20], 'output': [30], 'cache_read': [1]}
    model = {'id': 'm', 'prices': [{'rates': standard}]}
    flex = {'input': [5, 5, 10], 'output': [15], 'cache_read': [1]}
    taken = {'variants': [{'when': {'service_tier': 'flex'}, 'rates': flex}]}
    assert agreed([{'': standard, '_flex': flex}], model) == taken
    halves = [
        {'input': [5, 5, 10], 'output': [15]},
        {'input': [5], 'output': [15], 'cache_read': [1]},
        {'output': [15], 'cache_read': [1]},
    ]
    for half in halves:
        assert agreed([{'': standard, '_flex': half}], model) == {}
    assert agreed([{'': standard | {'output': [31]}, '_flex': flex}], model) == {}
    assert agreed([{'': standard, '_flex': flex}, {'': standard}], model) == {}
    known = model | {'variants': [{'when': {'service_tier': 'flex'}, 'rates': {}}]}
    assert agreed([{'': standard, '_flex': flex}], known) == {}


def agreed(rows: list[dict[str, Any]], model: dict[str, Any], *, name: str = 'other') -> dict[str, Any]:
    return extra.agreed([(name, row) for row in rows], model, SECONDS)


def test_rows_that_are_called_as_the_model_count_before_others_and_the_dearest_part_of_them() -> None:
    standard = {'input': [10], 'output': [30], 'cache_read': [1]}
    model = {'id': 'M', 'prices': [{'rates': standard}]}
    one, other = ({'input': [5], 'output': [15], 'cache_read': rate} for rate in ([2], ['2.5', 200, '2.5']))
    rows = [{'': standard, '_flex': one}, {'': standard, '_flex': other}, {'': standard}]
    both = {'input': [5], 'output': [15], 'cache_read': ['2.5']}
    taken = {'variants': [{'when': {'service_tier': 'flex'}, 'rates': both}]}
    assert agreed(rows, model, name='gemini/m') == taken
    mixed = [('gemini/m', rows[0]), ('latest', {'': {'input': [9], 'output': [9]}})]
    assert extra.agreed(mixed, model, SECONDS)['variants'][0]['rates'] == one
    apart = [{'': standard, '_flex': one}, {'': standard, '_flex': one | {'output': [16]}}]
    assert agreed(apart, model, name='gemini/m') == {}


def test_rates_on_terms_end_with_the_standard_rates_that_they_belong_to() -> None:
    early, late = {'input': [10], 'output': [30]}, {'input': [20], 'output': [60]}
    change = {'active': {'from': SECONDS + 9}, 'rates': late}
    model = {'id': 'm', 'prices': [{'rates': early}, change]}
    flex = {'input': [5], 'output': [15]}
    (variant,) = agreed([{'': early, '_flex': flex}], model)['variants']
    assert variant['active'] == {'between': [0, SECONDS + 9]}
    assert agreed([{'': late, '_flex': flex}], model) == {}
    model['prices'][1]['active'] = {'from': SECONDS}
    (variant,) = agreed([{'': late, '_flex': flex}], model)['variants']
    assert variant['active'] == {'from': SECONDS}


@pytest.mark.parametrize(
    ('price', 'key', 'nanos'),
    [
        ('0.0375', 'input_mtok', 37_500_000),
        ('10', 'web_searches_kcount', 10_000_000_000_000),
        ('0', 'output_mtok', 0),
        ('0.111', 'audio_hours', 111_000_000),
        ('4', 'input_document_kpages', 4_000_000_000_000),
        ('0.08333333333333334', 'cache_write_mtok', '83333333.33333334'),
    ],
)
def test_prices_become_exact_nano_dollars(price: str, key: str, nanos: int | str) -> None:
    assert source.nanos(Decimal(price), key) == nanos


@pytest.mark.parametrize('price', ['0.0000000000000000001', '-1'])
def test_a_price_that_does_not_fit_stops_the_build(price: str) -> None:
    with pytest.raises(ValueError, match='more than 9 decimals'):
        source.nanos(Decimal(price), 'input_mtok')


def test_the_page_on_prices_names_every_model_of_which_a_rate_is_left_out() -> None:
    page = (build.ROOT / 'docs' / 'prices.md').read_text()
    models = {model for models in source.left_out().values() for model in models}
    assert models
    assert {model for model in models if model not in page} == set()


@pytest.mark.parametrize('regex', ['gpt', '^a.*b$', '^a|b$', '^[a-z]$', '^(?=x)a$', r'^a\w$'])
def test_an_expression_without_an_equivalent_stops_the_build(regex: str) -> None:
    with pytest.raises(ValueError, match='cannot rewrite'):
        clauses.translate(types.ClauseRegex(regex))


def test_rewritten_expressions_mean_the_same() -> None:
    """All expressions of all providers, on names that are a few signs away from matching."""
    chance = random.Random(1)
    for regex in sorted(expressions()):
        clause = clauses.translate(types.ClauseRegex(regex))
        matched = 0
        for _ in range(500):
            name = near(regex, chance)
            expected = re.search(regex, name) is not None
            assert meets(clause, name) == expected, (regex, name)
            matched += expected
        assert 0 < matched < 500, regex


def expressions() -> set[str]:
    """Every regular expression in genai-prices' data."""
    found: set[str] = set()
    todo = [model.match for provider in data.providers for model in provider.models]
    while todo:
        match todo.pop():
            case types.ClauseOr(or_=parts) | types.ClauseAnd(and_=parts):
                todo += parts
            case types.ClauseRegex(regex=regex):
                found.add(regex)
    return found


def near(regex: str, chance: random.Random) -> str:
    """A name that `regex` matches, or one that it just misses."""
    text = 'gemini-x-tts' if '?!' in regex else regex.strip('^$')
    text = re.sub(r'\(([^)]*)\)\?', lambda m: chance.choice(['', m[1]]), text)
    text = text.replace('[-@]', chance.choice('-@_'))
    text = re.sub(r'\\d\{(\d+)\}', lambda m: r'\d' * int(m[1]), text)
    text = re.sub(r'\\d', lambda _: chance.choice('0123456789'), text)
    text = re.sub(r'\\(.)', r'\1', text)
    at = chance.randint(0, len(text))
    edits = [text, text, text[:at] + chance.choice('0a-.') + text[at:], text[:at] + text[at + 1 :]]
    return chance.choice(edits) + chance.choice(['', '', '1', '-x'])


def meets(clause: clauses.Clause, name: str) -> bool:
    """What `Clause::is_met` of the filter does, before it looks at what stands around a text."""
    ((kind, value),) = clause.items()
    match kind:
        case 'or':
            return any(meets(part, name) for part in value)
        case 'and':
            return all(meets(part, name) for part in value)
        case 'not':
            return not meets(value, name)
        case 'starts_with':
            return name.startswith(value)
        case 'ends_with':
            return name.endswith(value)
        case 'contains':
            return value in name
        case 'shape':
            pattern = ''.join(
                '[0-9]' if sign == '#' else re.escape(sign) for sign in value.rstrip('*')
            )
            return re.match(pattern + ('' if value.endswith('*') else r'\Z'), name) is not None
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ('text', 'pinned'),
    [
        ('# why\na==1.0\n', '# why\na==1.1\n'),
        ('# why\na==1.0 --hash=sha256:00ff\nb==2\n', '# why\na==1.1 --hash=sha256:0abc\nb==2\n'),
        ('ab==3\na==1.1\n', 'ab==3\na==1.1\n'),
    ],
)
def test_the_newest_version_is_pinned_with_its_hash(text: str, pinned: str) -> None:
    found = {
        'metadata': {'version': '1.1'},
        'download_info': {'archive_info': {'hashes': {'sha256': '0abc'}}},
    }
    assert newest.repin(text, 'a', found) == pinned
    with pytest.raises(ValueError, match='no pin of c'):
        newest.repin(text, 'c', found)


def test_a_version_names_both_sources() -> None:
    book = build.build({}, DAY)
    genai, litellm = book['sources']
    pins = (newest.SOURCE.read_text(), newest.CROSSCHECK.read_text())
    assert f'genai-prices=={genai["version"]}' in pins[0]
    assert f'litellm=={litellm["version"]} --hash=sha256:{litellm["sha256"]}' in pins[1]
    assert book['version'] == f'{DAY}.genai-prices-{genai["version"]}.litellm-{litellm["version"]}'
