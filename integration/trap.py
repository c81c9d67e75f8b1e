"""A filter that traps: the built one, but for one callback, which does what no code of ours does.

A trap cannot be provoked from outside, and no code for tests is in the filter. So the module is
changed: the export of the callback is another function, whose whole body is `unreachable`.
"""

from __future__ import annotations

from pathlib import Path

FUNCTIONS, EXPORTS, CODE, IMPORTS = 3, 7, 10, 2
FUNCTION = 0
UNREACHABLE = bytes([3, 0, 0x00, 0x0B])
"""A function's size, no locals, `unreachable`, `end`."""


def trapping(module: Path, export: str, target: Path) -> Path:
    """Writes the module to `target` with an `export` that traps, and returns `target`."""
    data = module.read_bytes()
    sections = list(_sections(data))
    bodies = dict(sections)
    imported = _imported_functions(bodies[IMPORTS])
    types, at = _list_of_numbers(bodies[FUNCTIONS])
    exports, index = _with_export(bodies[EXPORTS], export, imported + len(types))
    types.append(types[index - imported])
    count, at = _number(bodies[CODE], 0)
    changed = {
        FUNCTIONS: _leb(len(types)) + b"".join(map(_leb, types)),
        EXPORTS: exports,
        CODE: _leb(count + 1) + bodies[CODE][at:] + UNREACHABLE,
    }
    out = data[:8]
    for kind, body in sections:
        body = changed.get(kind, body)
        out += bytes([kind]) + _leb(len(body)) + body
    target.write_bytes(out)
    return target


def _sections(data: bytes):
    at = 8
    while at < len(data):
        kind = data[at]
        size, at = _number(data, at + 1)
        yield kind, data[at : at + size]
        at += size


def _imported_functions(body: bytes) -> int:
    count, at = _number(body, 0)
    functions = 0
    for _ in range(count):
        for _ in range(2):
            size, at = _number(body, at)
            at += size
        kind, at = body[at], at + 1
        if kind != FUNCTION:
            raise ValueError("the filter imports functions only")
        functions += 1
        _, at = _number(body, at)
    return functions


def _list_of_numbers(body: bytes) -> tuple[list[int], int]:
    count, at = _number(body, 0)
    numbers = []
    for _ in range(count):
        number, at = _number(body, at)
        numbers.append(number)
    return numbers, at


def _with_export(body: bytes, name: str, function: int) -> tuple[bytes, int]:
    """The exports with another function under `name`, and the one that stood there."""
    count, at = _number(body, 0)
    out, old = _leb(count), None
    for _ in range(count):
        size, start = _number(body, at)
        text, kind = body[start : start + size], body[start + size]
        index, end = _number(body, start + size + 1)
        if text == name.encode() and kind == FUNCTION:
            old, index = index, function
        out += _leb(size) + text + bytes([kind]) + _leb(index)
        at = end
    if old is None:
        raise ValueError(f"no export {name}")
    return out, old


def _number(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte, at = data[at], at + 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _leb(number: int) -> bytes:
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)
