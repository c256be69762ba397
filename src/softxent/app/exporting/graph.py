"""Builds an ONNX graph, a node at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, ML_OPSET, IR_VERSION = 20, 4, 9  # StringConcat is of 20
MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators
ROWS = "rows"
TYPES = {
    "double": TensorProto.DOUBLE,
    "float": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "string": TensorProto.STRING,
}


class Graph:
    """Nodes, constants, inputs and outputs; a method that adds a node returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.domains = {"": OPSET}

    def input(self, name: str, kind: str, *shape: Any) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[kind], [ROWS, *shape]))
        return name

    def output(self, value: str, name: str, kind: str, *shape: Any) -> None:
        while name in {each.name for each in self.inputs}:  # a column of that name
            name += "_"
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TYPES[kind], [ROWS, *shape]))

    def constant(self, value: Any, kind: Any = None) -> str:
        array = np.asarray(value, kind)
        name = f"softxent/constant/{len(self.constants)}"
        if array.dtype.kind in "UO":
            strings = [text.encode() for text in array.ravel().tolist()]
            tensor = helper.make_tensor(name, TensorProto.STRING, array.shape, strings)
        else:
            tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        self.constants.append(tensor)
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"softxent/{operator}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], domain=domain, **attributes))
        if domain:
            self.domains[domain] = ML_OPSET if domain == "ai.onnx.ml" else 1
        return name

    def cast(self, value: str, kind: str) -> str:
        return self.add("Cast", value, to=TYPES[kind])

    def rounded(self, value: str) -> str:
        """Rounds to float32 as the pipeline does, and goes on in float64."""
        return self.cast(self.cast(value, "float"), "double")

    def column(self, value: str) -> str:
        """Returns rows × 1."""
        return self.add("Unsqueeze", value, self.constant([1], np.int64))

    def model(self, name: str, metadata: dict[str, str], version: str) -> Any:
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid(domain, number) for domain, number in self.domains.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="softxent")
        model.producer_version = version
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model
