"""Bodies as `content-encoding` has them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli
import zstandard

CODINGS = ("gzip", "deflate", "br", "zstd")


def coded(coding: str, chunks: Iterable[bytes]) -> list[bytes]:
    """The same chunks in this coding, each flushed so that it can be read when it arrives."""
    return list(coding_of(coding, chunks))


def coding_of(coding: str, chunks: Iterable[bytes], *, flush: bool = True) -> Iterator[bytes]:
    """The same, one after the other; without flushes, packed as well as the coding can."""
    add, ready, end = _packer(coding)
    for chunk in chunks:
        packed = add(chunk) + (ready() if flush else b"")
        if packed:
            yield packed
    yield end()


def _packer(coding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]:
    match coding:
        case "":
            return bytes, bytes, bytes
        case "gzip" | "deflate":
            packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
            return packer.compress, lambda: packer.flush(zlib.Z_SYNC_FLUSH), packer.flush
        case "br":
            compressor = brotli.Compressor(quality=5)
            return compressor.process, compressor.flush, compressor.finish
        case "zstd":
            frames = zstandard.ZstdCompressor(level=9, write_checksum=True).compressobj()
            return frames.compress, lambda: frames.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), frames.flush
    raise ValueError(coding)
