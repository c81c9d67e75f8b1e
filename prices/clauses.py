"""Turns the match clauses of genai-prices into those of the book.

The book has no regular expressions, so that the filter compiles none. Each one in the data is
rewritten into a `shape`, a text in which `#` stands for a digit and a last `*` for anything, or it
stops the build.

A text that a name only begins with or contains stands for the model's editions alone
(`src/price/ending.rs`), where genai-prices takes any name for the model's. So a text that ends within
a part of a name is rewritten to end before it.
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

# Texts that end within a number, each with its beginning.
CUT_SHORT = {
    'claude-sonnet-4-2025': 'claude-sonnet-4-',
    'gemini-2.0-flash-0': 'gemini-2.0-flash-',
}

# Names that stand for a model of which the data has only a beginning or a part, where what they have
# more is no date or revision. Their rates at litellm are the model's, where it has any.
NAMES = {
    'anthropic/claude-2': ['claude-2.0', 'claude-2.1'],
    'aws/qwen.qwen3-coder-30b-a3b-v1:0': ['qwen.qwen3-coder-30b-a3b-instruct'],
    'aws/qwen.qwen3-coder-480b-a35b-v1:0': ['qwen.qwen3-coder-480b-a35b-instruct'],
    'aws/qwen.qwen3-vl-235b-a22b-v1:0': ['qwen.qwen3-vl-235b-a22b-instruct'],
    'cohere/c4ai-aya-expanse-32b': ['c4ai-aya-expanse-32b'],
    'cohere/c4ai-aya-expanse-8b': ['c4ai-aya-expanse-8b'],
    'cohere/command-light': ['command-light-nightly'],
    'deepseek/deepseek-v4-flash': ['deepseek-v4-flash-vision-exp'],
    'google/gemini-2.0-flash': ['gemini-2.0-flash-exp-image-generation'],
    'google/gemini-3.1-pro-preview': ['gemini-3.1-pro-preview-customtools'],
    'google/gemini-3.8-live': ['gemini-3.8-live-extended-thinking'],
    'google/gemini-live-2.5-flash': [
        'gemini-live-2.5-flash-native-audio', 'gemini-live-2.5-flash-preview-native-audio-09-2025',
    ],
    'google/gemma-3': ['gemma-3-1b-it', 'gemma-3-4b-it', 'gemma-3-12b-it', 'gemma-3-27b-it'],
    'google/gemma-3n': ['gemma-3n-e2b-it', 'gemma-3n-e4b-it'],
    'minimax/MiniMax-M2.1-highspeed': ['minimax-m2.1-highspeed'],
    'minimax/MiniMax-M2.5-highspeed': ['minimax-m2.5-highspeed'],
    'minimax/MiniMax-M2.7-highspeed': ['minimax-m2.7-highspeed'],
    'openai/moderation': [
        'omni-moderation-2024-09-26', 'omni-moderation-latest', 'text-moderation-007',
        'text-moderation-latest', 'text-moderation-stable',
    ],
}  # fmt: skip

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


def of_model(clause: types.MatchLogic, path: str) -> Clause:
    """The book's form of the clause of a model, and the names that it has beside."""
    more = [{'equals': name} for name in NAMES.get(path, [])]
    return _joined('or', [translate(clause), *more]) if more else translate(clause)


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
            return {'starts_with': whole(text)}
        case types.ClauseEndsWith(ends_with=text):
            return {'ends_with': text.lower()}
        case types.ClauseContains(contains=text):
            return {'contains': whole(text)}
    raise ValueError(f'unknown match clause {clause!r}')


def whole(text: str) -> str:
    """The text up to the end of one of the parts of a name."""
    return CUT_SHORT.get(text.lower(), text.lower())


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
    shapes = list(_shapes(body, regex))
    if whole:
        return _joined('or', [{'shape': shape} for shape in shapes])
    return _joined('or', [_open(shape) for shape in shapes])


def _open(shape: str) -> Clause:
    """A shape that anything may follow, of which the filter takes what names an edition."""
    return {'and': [{'starts_with': shape.rstrip('#')}, {'shape': f'{shape}*'}]}


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
