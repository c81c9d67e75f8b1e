"""What of litellm's rows for regions becomes a price, and what does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import extra
import regions
import source

STANDARD = {
    f'{provider["id"]}/{model["id"]}': model['prices'][-1]['rates']
    for provider in source.plain_providers()
    for model in provider['models']
}
LLAMA = {'litellm_provider': 'bedrock', 'input_cost_per_token': '2.65e-6', 'output_cost_per_token': '3.5e-6'}


def said(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    exact = {
        name: {key: Decimal(value) if 'cost' in key else value for key, value in row.items()}
        for name, row in rows.items()
    }
    return {path: extra.with_terms(row) for path, row in regions.of(exact, STANDARD, extra.by_term) if row}


def test_a_multiplier_is_taken_and_regions_beside_those_it_names_are_known_to_cost_more() -> None:
    times = Decimal('1.1')
    row = {
        'litellm_provider': 'openai',
        'regional_processing_uplift_multiplier_eu': times,
        'regional_processing_uplift_multiplier_us': times,
    }
    (got,) = said({'gpt-5.4': row, 'gpt-5.4-2026-03-05': row}).values()
    gov = {'region': 'gov', 'times': '1'}
    known = [{'region': place, 'times': '1.1'} for place in ('eu', 'us')]
    assert [one for one in got['surcharges'] if one != gov] == [*known, {'region': '*'}]


@pytest.mark.parametrize(
    ('input_rate', 'output_rate', 'surcharge', 'rates'),
    [
        ('2.65e-6', '3.5e-6', None, None),
        ('5.3e-6', '7e-6', {'region': 'sa-east-1', 'times': '2'}, None),
        # No single number of times: the rates themselves.
        ('4.45e-6', '5.88e-6', {'region': 'sa-east-1', 'times': '1'}, [4_450_000_000, 5_880_000_000]),
        # More than any region costs: a slip.
        ('2.65e-6', '3.5e-5', {'region': 'sa-east-1'}, None),
        ('2e-6', '3.5e-6', {'region': 'sa-east-1'}, None),
    ],
)
def test_a_row_for_a_region_becomes_a_number_or_rates_or_is_only_known_of(
    input_rate: str, output_rate: str, surcharge: dict[str, str] | None, rates: list[int] | None
) -> None:
    row = LLAMA | {'input_cost_per_token': input_rate, 'output_cost_per_token': output_rate}
    path = 'aws/meta.llama3-70b-instruct-v1:0'
    got = said({'bedrock/sa-east-1/meta.llama3-70b-instruct-v1:0': row}).get(path, {})
    home = [{'region': place, 'times': '1'} for place in sorted(regions.HOME)]
    assert got.get('surcharges', []) == ([surcharge, *home, {'region': '*'}] if surcharge else [])
    flat = {unit: [rate] for unit, rate in zip(('input', 'output'), rates or [], strict=False)}
    variants = [{'when': {'region': 'sa-east-1'}, 'rates': flat}] if flat else []
    assert got.get('regional', []) == variants


def test_rows_of_one_model_that_disagree_are_only_known_of() -> None:
    plain = {'litellm_provider': 'vertex_ai-language-models'}
    dear = plain | {'regional_endpoint_uplift_multiplier': Decimal('1.1')}
    name, dated = 'vertex_ai/gemini-3.1-flash-lite', 'vertex_ai/gemini-3.1-flash-lite-preview'
    path = 'google/gemini-3.1-flash-lite'
    assert said({name: dear, dated: plain})[path]['surcharges'] == [{'region': '*', 'times': '1.1'}]
    assert said({name: plain, dated: dear})[path]['surcharges'] == [{'region': '*'}]
    assert said({name: plain, dated: plain}) == {}


def test_what_a_seller_charges_for_a_model_of_another_is_its_own() -> None:
    row = {'litellm_provider': 'vertex_ai', 'regional_endpoint_uplift_multiplier': Decimal('1.1')}
    got = said({'vertex_ai/claude-sonnet-5': row})['anthropic/claude-sonnet-5']
    assert got['surcharges'] == [{'seller': 'google', 'region': '*', 'times': '1.1'}]
