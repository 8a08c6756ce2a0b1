"""The negatives that CRD draws, from the description of the draw alone.

A shuffle of the training set is a function of seed and step: Fisher and Yates' from the front, with
the high 64 bits of (a draw x the samples that are left). The draws are those of ChaCha with 8
rounds (D. J. Bernstein's layout, stream 0): the key is seed, step, 0x63726400 and 0 as 64-bit
numbers in little endian, and a draw is two words, the low one first. The negatives of an image are
the first samples of the shuffle that are of another class.
"""

import struct

WORD = 0xFFFFFFFF
DOUBLE_ROUND = [(i, 4 + i, 8 + i, 12 + i) for i in range(4)] + [
    (i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)
]


def quarter(x, a, b, c, d):
    for to, source, other, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[to] = (x[to] + x[source]) & WORD
        mixed = x[other] ^ x[to]
        x[other] = (mixed << by | mixed >> (32 - by)) & WORD


def block(key, counter):
    start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<QQ", counter, 0))
    x = list(start)
    for places in DOUBLE_ROUND * 4:
        quarter(x, *places)
    return [(word + first) & WORD for word, first in zip(x, start)]


def draws(seed, step):
    key, counter = struct.pack("<4Q", seed, step, 0x63726400, 0), 0
    while True:
        words = block(key, counter)
        for low, high in zip(words[::2], words[1::2]):
            yield low | high << 32
        counter += 1


def shuffle(samples, seed, step):
    order, stream = list(range(samples)), draws(seed, step)
    for place in range(samples):
        chosen = place + (next(stream) * (samples - place) >> 64)
        order[place], order[chosen] = order[chosen], order[place]
    return order


def negatives(classes, ids, count, seed, step):
    """For each image of `ids` the numbers of `count` samples of other classes."""
    order = shuffle(len(classes), seed, step)
    rows = [[n for n in order if classes[n] != classes[i]][:count] for i in ids]
    if any(len(row) < count for row in rows):
        raise ValueError("fewer negatives than samples of other classes")
    return rows
