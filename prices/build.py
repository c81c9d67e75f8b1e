"""Makes the price book, `src/price/book.json`, from genai-prices, and prints what changed.

The same inputs (the former book and the pinned sources) give the same bytes. A model that is in the
former book and no longer in the data stays, closed by the date of the new version; so do all models
of a provider that is gone as a whole, which is said loudly. Nothing is ever lost.
"""

from __future__ import annotations

import argparse
import calendar
import datetime
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import source

Book = dict[str, Any]
Rows = dict[tuple[str, str], dict[str, Any]]

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / 'src' / 'price' / 'book.json'
FORMAT = 1


def main() -> int:
    """Builds, writes and reports."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('--date', type=datetime.date.fromisoformat, help='date of the version')
    date = arguments.parse_args().date
    former = json.loads(BOOK.read_text()) if BOOK.exists() else {}
    book = build(former, date)
    changes = list(differences(rows(former), rows(book)))
    if changes and former.get('version') == book['version'] and date is None:
        print(*changes, sep='\n')
        print(
            'the same sources give another book: name the new version with --date', file=sys.stderr
        )
        return 1
    BOOK.parent.mkdir(exist_ok=True)
    BOOK.write_text(text(book))
    print(*changes, sep='\n')
    print(*summary(changes), sep='\n')
    for provider in gone(former, book):
        print(f'WARNING: {provider} is gone from the data: all of its models are closed', file=sys.stderr)
    print(f'{book["version"]}: {len(rows(book))} models, {len(changes)} changed')
    return 0


def build(former: Book, date: datetime.date | None) -> Book:
    """The new book. Its date is `date`, or that of the former book if the sources are the same."""
    sources = source.abouts()
    date = date or day(former, sources)
    book = {
        'format': FORMAT,
        'version': '.'.join([str(date), *(f'{one["name"]}-{one["version"]}' for one in sources)]),
        'rates': 'nano-dollars per million of the unit: [base, tier start, tier rate, ...]',
        'sources': sources,
        'providers': source.providers(),
    }
    keep_vanished(former, book, calendar.timegm(date.timetuple()))
    return book


def day(former: Book, sources: list[dict[str, str]]) -> datetime.date:
    """That of the former book if it is of the same sources, else today."""
    if sources == former.get('sources'):
        return datetime.date.fromisoformat(former['version'].split('.', 1)[0])
    return datetime.date.today()


def keep_vanished(former: Book, book: Book, closed: int) -> None:
    """Appends to each provider the models that only the former book has, and providers as well."""
    present = rows(book)
    known = {provider['id'] for provider in book['providers']}
    lost = [provider for provider in former.get('providers', []) if provider['id'] not in known]
    book['providers'] += [provider | {'models': []} for provider in lost]
    book['providers'].sort(key=lambda provider: provider['id'])
    for provider in book['providers']:
        for (owner, model), row in rows(former).items():
            if owner == provider['id'] and (owner, model) not in present:
                provider['models'].append({'closed': closed} | row)


def gone(former: Book, book: Book) -> list[str]:
    """The providers of which the former book had an open model and the new one has none."""

    def open_in(one: Book) -> set[str]:
        return {owner for (owner, _), model in rows(one).items() if 'closed' not in model}

    return sorted(open_in(former) - open_in(book))


def summary(changes: list[str]) -> Iterator[str]:
    """How much has changed of each provider, by the lines that say what."""
    counts = Counter((name.split('/', 1)[0], what) for what, name in map(str.split, names(changes)))
    for provider in sorted({provider for provider, _ in counts}):
        kinds = (f'{n} {what}' for (owner, what), n in sorted(counts.items()) if owner == provider)
        yield f'{provider}: {", ".join(kinds)}'


def names(changes: list[str]) -> set[str]:
    """What has become of which model: each once, however many of its fields have changed."""
    return {' '.join(change.split(':', 1)[0].split()[:2]) for change in changes}


def rows(book: Book) -> Rows:
    """The models of a book by provider and id."""
    return {
        (provider['id'], model['id']): model
        for provider in book.get('providers', [])
        for model in provider['models']
    }


def differences(old: Rows, new: Rows) -> Iterator[str]:
    """One line for each model that was added, closed, lost or changed."""
    for key in sorted(old.keys() | new.keys()):
        name = '/'.join(key)
        before, after = old.get(key), new.get(key)
        if before is None:
            yield f'added    {name}'
        elif after is None:
            raise ValueError(f'{name} would be lost')
        elif 'closed' in after and 'closed' not in before:
            yield f'closed   {name}'
        elif before != after:
            fields = [
                f for f in sorted(before.keys() | after.keys()) if before.get(f) != after.get(f)
            ]
            for field in fields:
                was, now = _short(before.get(field)), _short(after.get(field))
                yield f'changed  {name}: {field} {was} -> {now}'


def _short(value: Any) -> str:
    return json.dumps(value, separators=(',', ':'))


def text(book: Book) -> str:
    """The file: one line per model, so that a change of the book is readable as one of lines."""
    providers = book['providers']
    head = ',\n'.join(
        f'"{key}":{_short(value)}' for key, value in book.items() if key != 'providers'
    )
    blocks = []
    for provider in providers:
        opening = _short({key: value for key, value in provider.items() if key != 'models'})[:-1]
        models = ',\n'.join(_short(model) for model in provider['models'])
        blocks.append(f'{opening},"models":[\n{models}]}}')
    return f'{{{head},\n"providers":[\n' + ',\n'.join(blocks) + ']}\n'


if __name__ == '__main__':
    sys.exit(main())
