"""Trains the table of vectors, and writes it as src/search/embedding.rs reads it.

The table has one vector a token. It starts from what the teacher says of each token alone, reduced to its principal
directions, frequent tokens weighing less, and learns two things at once: that the sum of a text's vectors points where the
teacher's vector points (cosine loss), and that a query is nearer to its operation than to the others of its batch (InfoNCE in
both directions, with a quarter of the operation's words left out, so that synonyms have to do).
"""

import argparse
import json
import random
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

import queries
from teacher import Teacher
from tokens import Tokens, words

SEED = 7
VERSION = 1
DIMENSIONS, MOST_TOKENS, BYTES = 160, 28_700, 5_000_000
EPOCHS, BATCH, RATE, WARM_UP = 16, 512, 2.5e-3, 200
CONTRAST, TEMPERATURE, LEFT_OUT, SAME = 0.6, 0.06, 0.25, 0.93
FREQUENT = 1e-3
HELD_OUT = 4_000
# What a tool's text weighs, as src/search/document.rs has it.
NAME, DESCRIPTION_TOKENS, DESCRIPTION = 2.0, 20.0, 300


def texts(corpus):
    """All that is learned from, by kind."""
    chance = random.Random(SEED)
    operations = corpus["operations"]
    chance.shuffle(operations)
    for operation in operations:
        operation["name_in_context"] = f"{operation['name']} {operation['context']}".strip()
    wordnet = corpus["wordnet"]
    for kind in wordnet.values():
        chance.shuffle(kind)
    by_name = [queries.by_name(chance, operation) for operation in operations]
    by_sentence = [queries.by_sentence(chance, operation) for operation in operations]
    return operations, {
        "operations": [
            f"{o['service']} {o['name_in_context']}. {o['description'][:DESCRIPTION]}" for o in operations
        ],
        "by_name": by_name,
        "by_sentence": [sentence or name for sentence, name in zip(by_sentence, by_name)],
        "definitions": wordnet["definitions"][:80_000],
        "examples": wordnet["examples"][:45_000],
        "lemmas": wordnet["lemmas"][:40_000],
    }


def vocabulary(kinds, pieces):
    """The words of the texts, frequent ones first, then what the teacher knows, and the pieces that others are made of."""
    count = Counter(word for texts in kinds.values() for text in texts for word in words(text))
    count = Counter({word: number for word, number in count.items() if word.isascii() and len(word) <= 24})
    whole = [piece for piece in pieces if piece.isascii() and piece.isalnum() and not piece.isdigit()]
    parts = [piece for piece in pieces if piece.startswith("##") and piece[2:].isascii() and piece[2:].isalnum()]
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789") + [str(number) for number in range(10, 100)]
    frequent = [word for word, number in count.most_common() if number >= 6 and len(word) > 1 and not word.isdigit()]
    known = [word for word in whole if len(word) > 1 and count[word] >= 2]
    tokens = list(dict.fromkeys(letters + frequent[:17_500] + known))
    split, used = Tokens(tokens + parts), Counter()
    for word, number in count.items():
        if word not in split.numbers:
            used.update({token: number for token in split.word(word)})
    wanted = [part for place, part in enumerate(parts, len(tokens)) if used[place] >= 4 or len(part) == 3]
    room = MOST_TOKENS - len(wanted)
    return tokens[:room] + wanted


def matrix(bags, width):
    """Bags of tokens as the rows of a sparse matrix."""
    starts = np.cumsum([0] + [len(bag) for bag in bags])
    columns = np.fromiter((token for bag in bags for token in bag), np.int32)
    weights = np.fromiter((weight for bag in bags for weight in bag.values()), np.float32)
    return sparse.csr_matrix((weights, columns, starts), shape=(len(bags), width))


def bag(tokens, text, weight=1.0, into=None):
    found = {} if into is None else into
    for token in tokens(text):
        found[token] = found.get(token, 0.0) + weight
    return found


def tool(tokens, operation):
    """An operation as a tool's text is weighed."""
    found = bag(tokens, operation["service"])
    bag(tokens, operation["name_in_context"], NAME, found)
    description = operation["description"][:DESCRIPTION]
    return bag(tokens, description, min(1.0, DESCRIPTION_TOKENS / max(1, len(tokens(description)))), found)


def unit(rows):
    length = np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    return rows / length, length


def through(gradient, units, lengths):
    """The gradient before rows were brought to unit length."""
    return (gradient - (gradient * units).sum(1, keepdims=True) * units) / lengths


def contrast(table, asked, meant, alike):
    """InfoNCE between queries and operations, in both directions: the loss and the gradient of the table."""
    asked_units, asked_lengths = unit(asked @ table)
    meant_units, meant_lengths = unit(meant @ table)
    scores = asked_units @ meant_units.T / TEMPERATURE
    scores[alike] = -1e9
    count = len(scores)
    loss, gradient = 0.0, 0.0
    for axis in (1, 0):
        chances = np.exp(scores - scores.max(axis, keepdims=True))
        chances /= chances.sum(axis, keepdims=True)
        loss -= np.log(np.diag(chances) + 1e-9).mean() / 2
        slope = (chances - np.eye(count, dtype=np.float32)) * CONTRAST / (2 * count * TEMPERATURE)
        gradient = gradient + asked.T @ through(slope @ meant_units, asked_units, asked_lengths)
        gradient = gradient + meant.T @ through(slope.T @ asked_units, meant_units, meant_lengths)
    return loss, gradient


def train(table, bags, targets, count):
    """Adam over batches of each kind in turn."""
    chance = np.random.default_rng(SEED)
    first, second = np.zeros_like(table), np.zeros_like(table)
    learned = np.arange(count - HELD_OUT)
    rows = {kind: learned if kind in OF_OPERATIONS else np.arange(bags[kind].shape[0]) for kind in bags}
    steps, step = count // BATCH, 0
    for epoch in range(EPOCHS):
        order = {kind: chance.permutation(numbers) for kind, numbers in rows.items()}
        losses = np.zeros(2)
        for number in range(steps):
            step += 1
            gradient = 0.0
            for kind in (OF_OPERATIONS[number % 4], OF_ENGLISH[number % 3]):
                start = number * BATCH // 2 % len(order[kind])
                batch = order[kind][start:start + BATCH]
                bag_rows, target = bags[kind][batch], targets[kind][batch]
                units, lengths = unit(bag_rows @ table)
                losses[0] += (1 - (units * target).sum(1)).mean() / 2
                gradient = gradient + bag_rows.T @ through(-target / len(batch), units, lengths)
            start = number * BATCH % len(learned)
            batch = order["tools"][start:start + BATCH]
            meant = bags["tools"][batch]
            meant.data *= chance.random(len(meant.data)) > LEFT_OUT
            alike = targets["operations"][batch] @ targets["operations"][batch].T > SAME
            np.fill_diagonal(alike, False)
            loss, slope = contrast(table, bags["by_name" if number % 2 else "by_sentence"][batch], meant, alike)
            losses[1] += loss
            gradient = gradient + slope
            rate = RATE * min(1.0, step / WARM_UP) * (0.5 * (1 + np.cos(np.pi * step / (EPOCHS * steps))) + 0.02)
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            table -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        held = np.arange(count - HELD_OUT, count)
        units = {kind: unit(bags[kind][held] @ table)[0] for kind in ("operations", "by_name", "tools")}
        cosine = (units["operations"] * targets["operations"][held]).sum(1).mean()
        hits = (units["by_name"] @ units["tools"].T).argmax(1) == np.arange(HELD_OUT)
        print(f"epoch {epoch + 1}: loss {losses / steps}, held out: cosine {cosine:.4f}, recall@1 {hits.mean():.4f}", flush=True)
    return table


OF_OPERATIONS = ("operations", "by_name", "by_sentence", "tools")
OF_ENGLISH = ("definitions", "examples", "lemmas")


def file(table, tokens, frequencies):
    """The table as one file: see src/search/embedding.rs."""
    order = np.argsort(-frequencies, kind="stable")
    row = np.empty(len(order), np.int64)
    row[order] = np.arange(len(order))
    scales = np.abs(table).max(1) / 127
    components = np.clip(np.round(table / scales[:, None]), -127, 127).astype(np.int8)
    alphabetic = sorted(range(len(tokens)), key=lambda place: tokens[place].encode())
    names = [tokens[place].encode() for place in alphabetic]
    return b"".join([
        b"PEMB", struct.pack("<III", VERSION, table.shape[1], len(tokens)), bytes(map(len, names)), *names,
        row[alphabetic].astype("<u2").tobytes(), scales[order].astype("<f4").tobytes(), components[order].tobytes(),
    ])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "teacher", "work", "output"):
        arguments.add_argument(name, type=Path)
    given = arguments.parse_args()
    operations, kinds = texts(json.loads(given.corpus.read_text()))
    pieces = json.loads((given.teacher / "tokenizer.json").read_text())["model"]["vocab"]
    names = vocabulary(kinds, pieces)
    kinds["lemmas"] = sorted(set(kinds["lemmas"]) | {name for name in names if not name.startswith("##")})
    print(f"{len(operations)} operations, {len(names)} tokens", flush=True)
    teacher, vectors = Teacher(given.teacher), {}
    for kind, own in {**kinds, "tokens": [name.replace("##", "") for name in names]}.items():
        kept = given.work / f"{kind}-{len(own)}.npy"
        if not kept.exists():
            np.save(kept, teacher.encode(own))
        vectors[kind] = np.load(kept).astype(np.float32)
        print(f"{kind}: {len(own)} texts", flush=True)
    sample = np.concatenate([own[:40_000] for own in vectors.values()])
    _, directions = np.linalg.eigh(sample.T @ sample)
    directions = directions[:, ::-1][:, :DIMENSIONS]
    targets = {kind: unit(own @ directions)[0] for kind, own in vectors.items()}
    tokens = Tokens(names)
    bags = {kind: matrix([bag(tokens, text) for text in own], len(names)) for kind, own in kinds.items()}
    bags["tools"] = matrix([tool(tokens, operation) for operation in operations], len(names))
    targets["tools"] = targets["operations"]
    counts = sum(bags[kind].sum(0) for kind in ("operations", "by_name", "definitions", "examples"))
    frequencies = np.asarray(counts).ravel()
    share = frequencies / frequencies.sum()
    table = (targets.pop("tokens") * (FREQUENT / (FREQUENT + share))[:, None]).astype(np.float32)
    table = train(table, bags, targets, len(operations))
    np.save(given.work / "table.npy", table)
    written = file(table, names, frequencies)
    assert len(written) <= BYTES, f"{len(written)} bytes are more than {BYTES}"
    given.output.write_bytes(written)
    print(f"{given.output}: {len(written)} bytes")


if __name__ == "__main__":
    main()
