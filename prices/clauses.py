"""Turns the match clauses of genai-prices into those of the book.

The book has no regular expressions, so that the filter compiles none. Each one in the data is
rewritten into a `shape`, a text in which `#` stands for a digit and a last `*` for anything, or it
stops the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from genai_prices import types

Clause = dict[str, Any]

# Expressions that no shape can say, each with its equivalent on lower-case names.
REWRITTEN: dict[str, Clause] = {
    r'^(?!.*-[tT][tT][sS](?:$|-))': {'not': {'or': [{'ends_with': '-tts'}, {'contains': '-tts-'}]}},
}

TOKEN = re.compile(
    r"""
    \((?P<group>[^()?|]*)\)(?P<optional>\?)?   # a group of one alternative
  | \[(?P<chars>-?[^\]\\^-]+|[^\]\\^-]+-)\]  # a set of characters without ranges
  | \\d(?:\{(?P<digits>\d+)\})?                # digits
  | \\(?P<escaped>[^a-zA-Z0-9])                # an escaped sign
  | (?P<plain>[a-z0-9=_:@/-])                  # a character that stands for itself
    """,
    re.VERBOSE,
)


def translate(clause: types.MatchLogic) -> Clause:
    """The book's form of one clause."""
    match clause:
        case types.ClauseOr(or_=parts):
            return _joined('or', [translate(part) for part in parts])
        case types.ClauseAnd(and_=parts):
            return _joined('and', [translate(part) for part in parts])
        case types.ClauseRegex(regex=regex):
            return _from_regex(regex)
        case types.ClauseEquals(equals=text):
            return {'equals': text.lower()}
        case types.ClauseStartsWith(starts_with=text):
            return {'starts_with': text.lower()}
        case types.ClauseEndsWith(ends_with=text):
            return {'ends_with': text.lower()}
        case types.ClauseContains(contains=text):
            return {'contains': text.lower()}
    raise ValueError(f'unknown match clause {clause!r}')


def _joined(operator: str, parts: list[Clause]) -> Clause:
    flat = [inner for part in parts for inner in part.get(operator, [part])]
    unique = [part for at, part in enumerate(flat) if part not in flat[:at]]
    return unique[0] if len(unique) == 1 else {operator: unique}


def _from_regex(regex: str) -> Clause:
    if regex in REWRITTEN:
        return REWRITTEN[regex]
    if not regex.startswith('^'):
        raise ValueError(f'cannot rewrite {regex!r}: it is not anchored')
    whole = regex.endswith('$')
    body = regex[1:-1] if whole else regex[1:]
    end = '' if whole else '*'
    return _joined('or', [{'shape': shape + end} for shape in _shapes(body, regex)])


def _shapes(body: str, regex: str) -> Iterator[str]:
    if not body:
        yield ''
        return
    token = TOKEN.match(body)
    if token is None:
        raise ValueError(f'cannot rewrite {regex!r}: stuck at {body!r}')
    heads: list[str]
    if (group := token['group']) is not None:
        heads = [*_shapes(group, regex)] + ([''] if token['optional'] else [])
    elif token['chars']:
        heads = list(token['chars'])
    elif token['escaped'] or token['plain']:
        heads = [token['escaped'] or token['plain']]
    else:
        heads = ['#' * int(token['digits'] or 1)]
    for head in heads:
        for tail in _shapes(body[token.end() :], regex):
            yield head + tail
