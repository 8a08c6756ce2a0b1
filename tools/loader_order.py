"""Writes order.json: the orders that a loader must give, from an implementation that shares nothing with the crate.

ChaCha with 8 rounds, a 64-bit block counter and a 64-bit stream number (D. J. Bernstein's layout); key = purpose, seed and 0 in little
endian, stream = epoch; 64-bit draws, the low word first; values from the largest multiple of the bound on are drawn again; Fisher and Yates'
shuffle from the back.

    python3 tools/loader_order.py
"""

import json
import pathlib
import struct

MASK = 0xFFFFFFFF


def quarter(x, a, b, c, d):
    for first, second, rotated, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[first] = (x[first] + x[second]) & MASK
        mixed = x[rotated] ^ x[first]
        x[rotated] = ((mixed << by) | (mixed >> (32 - by))) & MASK


def block(key, counter, stream):
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<QQ", counter, stream)))
    x = state[:]
    for _ in range(4):
        for column in range(4):
            quarter(x, column, column + 4, column + 8, column + 12)
        for diagonal in range(4):
            quarter(x, diagonal, (diagonal + 1) % 4 + 4, (diagonal + 2) % 4 + 8, (diagonal + 3) % 4 + 12)
    return [(a + b) & MASK for a, b in zip(x, state)]


def draws(key, stream):
    counter = 0
    while True:
        words = block(key, counter, stream)
        for low, high in zip(words[::2], words[1::2]):
            yield low | high << 32
        counter += 1


def order(length, seed, epoch):
    values = draws(b"kd-data order  1" + struct.pack("<QQ", seed, 0), epoch)
    result = list(range(length))
    for last in range(length - 1, 0, -1):
        bound = last + 1
        top = 2**64 - 1
        accepted = top - top % bound
        value = next(value for value in values if value < accepted)
        chosen = value % bound
        result[last], result[chosen] = result[chosen], result[last]
    return result


CASES = [(10, 0, 0), (10, 0, 1), (10, 1, 0), (97, 2**64 - 1, 3), (200, 42, 2**40)]
rows = [{"length": n, "seed": s, "epoch": e, "order": order(n, s, e)} for n, s, e in CASES]
text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
OUT = pathlib.Path(__file__).parents[1] / "crates/kd-data/tests/fixtures/order.json"
OUT.write_text(text)
