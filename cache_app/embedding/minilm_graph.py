"""Builds `minilm.onnx`, the local embedder's computation: `python -m cache_app.embedding.minilm_graph`.

The packaged model stores its weights in 8 bits, but multiplies in 32: it unpacks 90 MB in each process and reads them
for each text. This graph multiplies in 8 bits and contains no weights: it refers to those in the packaged file, which
all processes share.

Inputs rounded to 8 bits are too coarse: vectors have a cosine of 0.995 with the packaged model's, some only 0.988.
Therefore, an input becomes two matrices: its rounded values, and the remainders in finer steps. One product multiplies
both, and the cosine is above 0.9999.

Only this script needs the `onnx` package. Nothing imports it at run time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, load_from_string, numpy_helper

from cache_app.embedding.minilm import GRAPH, packaged_model

HEADS, LAYERS, DIMENSIONS = 12, 6, 384
EPSILON = 1e-12
"""Of BERT's layer norms."""
LEVELS, ZERO = 63, 64
"""Steps on each side of an input's zero. More could overflow: processors without VNNI (8-bit dot products) add two
products in 16 bits, where 2 x 127 x 127 just fits.
"""
FINER = 2.0 * LEVELS
"""A remainder is at most half a step, so this multiple of it fits on the same steps."""
OURS = "com.microsoft"
"""Domain of ONNX Runtime's own operators: <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>."""
ONNX_VERSION, OURS_VERSION, IR_VERSION = 18, 1, 8


def build(packaged: Path) -> ModelProto:
    """The graph for this model file: word pieces of the shape (1, tokens) to `rows` of the shape (1, tokens, 384)."""
    return _Builder(packaged).model()


class _Builder:
    """Adds nodes one by one. Every method that adds some returns the name of their output."""

    def __init__(self, packaged: Path) -> None:
        self._file = packaged
        self._bytes = packaged.read_bytes()
        self._packaged = load_from_string(self._bytes).graph
        self._there = {tensor.name: tensor for tensor in self._packaged.initializer}
        self._matrices = dict(self._named_matrices())
        self._nodes: list[NodeProto] = []
        self._tensors: dict[str, TensorProto] = {}

    def model(self) -> ModelProto:
        """The whole graph."""
        rows = self._embedded()
        for number in range(LAYERS):
            rows = self._layer(rows, f"inner.encoder.layer.{number}.")
        self._nodes[-1].output[0] = "rows"
        words = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])
        out = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, "tokens", DIMENSIONS])
        graph = helper.make_graph(self._nodes, "minilm", [words], [out], list(self._tensors.values()))
        versions = [helper.make_opsetid("", ONNX_VERSION), helper.make_opsetid(OURS, OURS_VERSION)]
        return helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)

    def _embedded(self) -> str:
        """The sum of the word's row, the position's, and that of the first kind of sentence, normalized."""
        words = self._add("Squeeze", ["input_ids", self._constant("first axis", np.array([0]))])
        count = self._add("Squeeze", [self._add("Shape", [words])])
        zero, one = self._constant("zero", np.array(0)), self._constant("one", np.array(1))
        positions = self._add("Range", [zero, count, one])
        kind = self._add("Gather", [self._weight("inner.embeddings.token_type_embeddings.weight"), zero])
        rows = self._add("Add", [self._looked_up("word_embeddings", words), kind])
        both = [rows, self._looked_up("position_embeddings", positions)]
        return self._normalized([self._add("Unsqueeze", [each, "first axis"]) for each in both], "inner.embeddings.")

    def _looked_up(self, table: str, places: str) -> str:
        name = f"inner.embeddings.{table}.weight"
        row, scale = (self._add("Gather", [self._weight(name + part), places]) for part in ("_q", "_scale"))
        return self._add("Mul", [self._add("Cast", [row], to=TensorProto.FLOAT), scale])

    def _layer(self, rows: str, name: str) -> str:
        halves = self._halves(rows)
        parts = [self._biased(halves, f"{name}attention.self.{part}") for part in ("query", "key", "value")]
        attended = self._add("MultiHeadAttention", parts, domain=OURS, num_heads=HEADS)
        dense = self._biased(self._halves(attended), name + "attention.output.dense")
        rows = self._normalized([dense, rows], name + "attention.output.")
        middle = self._add("Gelu", [self._biased(self._halves(rows), name + "intermediate.dense")], domain=OURS)
        return self._normalized([self._biased(self._halves(middle), name + "output.dense"), rows], name + "output.")

    def _normalized(self, terms: Sequence[str], name: str) -> str:
        norm = [self._weight(f"{name}LayerNorm.{part}") for part in ("weight", "bias")]
        return self._add("SkipLayerNormalization", [*terms, *norm], domain=OURS, epsilon=EPSILON)

    def _halves(self, rows: str) -> tuple[str, str]:
        """The rounded rows, followed by the remainders in finer steps; and the size of a step."""
        largest = self._add("ReduceMax", [self._add("Abs", [rows])], keepdims=0)
        step = self._add("Mul", [largest, self._constant("levels", np.float32(1 / LEVELS))])
        zero = self._constant("zero point", np.uint8(ZERO))
        rounded = self._add("QuantizeLinear", [rows, step, zero])
        remainder = self._add("Sub", [rows, self._add("DequantizeLinear", [rounded, step, zero])])
        finer = self._add("Mul", [remainder, self._constant("finer", np.float32(FINER))])
        return self._add("Concat", [rounded, self._add("QuantizeLinear", [finer, step, zero])], axis=1), step

    def _biased(self, halves: tuple[str, str], name: str) -> str:
        """The product of both halves with a matrix, their sum, and the bias."""
        rows, step = halves
        matrix = self._matrices[name + ".bias"]
        scales = self._weight(matrix + "_scale", flat=True)
        inputs = [rows, self._weight(matrix + "_q"), step, scales, "zero point"]
        product = self._add("MatMulIntegerToFloat", inputs, domain=OURS)
        rounded, finer = self._split(product)
        remainder = self._add("Mul", [finer, self._constant("coarser", np.float32(1 / FINER))])
        return self._add("Add", [self._add("Add", [rounded, remainder]), self._weight(name + ".bias")])

    def _split(self, rows: str) -> tuple[str, str]:
        name = self._add("Split", [rows], axis=1, num_outputs=2)
        self._nodes[-1].output.append(name + " remainder")
        return name, name + " remainder"

    def _add(self, kind: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        name = f"{kind} {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self._tensors[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def _weight(self, name: str, *, flat: bool = False) -> str:
        """A tensor of the packaged file, by its place there. `flat` makes one row a vector."""
        there = self._there[name]
        shape = [max(there.dims)] if flat else there.dims
        tensor = TensorProto(name=name, data_type=there.data_type, dims=shape, data_location=TensorProto.EXTERNAL)
        place = {
            "location": self._file.name,
            "offset": self._bytes.index(there.raw_data),
            "length": len(there.raw_data),
        }
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._tensors[name] = tensor
        return name

    def _named_matrices(self) -> Iterator[tuple[str, str]]:
        """The name of each bias with that of its matrix, which the file only numbers."""
        made_by = {output: node for node in self._packaged.node for output in node.output}
        for node in self._packaged.node:
            product = next((made_by[each] for each in node.input if each in made_by), None)
            bias = next((each for each in node.input if each.endswith(".bias")), None)
            if node.op_type == "Add" and bias and product is not None and product.op_type == "MatMul":
                yield bias, product.input[1]


if __name__ == "__main__":
    GRAPH.write_bytes(build(packaged_model()).SerializeToString(deterministic=True))
