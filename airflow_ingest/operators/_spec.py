"""What an operator is told of its table: the model that a pipeline file gives, or a mapping written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from airflow_ingest.config import Gold, Table, parse_gold, parse_table

Model = TypeVar("Model", Table, Gold)


class Spec(Generic[Model]):
    """A table's model. A compact one keeps only its JSON and makes the model when a task asks for it.

    An Airflow that imports a thousand pipelines never runs one of them, and their models are a quarter of its memory.
    """

    __slots__ = ("_json", "_model", "_type")

    def __init__(self, model: Model, *, compact: bool = False) -> None:
        self._type: type[Model] = type(model)
        self._model: Model | None = None if compact else model
        self._json = model.model_dump_json(by_alias=True, exclude_unset=True) if compact else ""

    @property
    def model(self) -> Model:
        """The model."""
        if self._model is None:
            self._model = self._type.model_validate_json(self._json)
        return self._model


def table_spec(spec: Spec[Table] | Table | Mapping[str, Any], name: str) -> Spec[Table]:
    """`spec` with its model. Raises ConfigError with all mistakes of a mapping."""
    return _spec(spec, Table, parse_table, f"tables.{name}")


def gold_spec(spec: Spec[Gold] | Gold | Mapping[str, Any], name: str) -> Spec[Gold]:
    """`spec` with its model. Raises ConfigError with all mistakes of a mapping."""
    return _spec(spec, Gold, parse_gold, f"gold.{name}")


def _spec(
    spec: Spec[Model] | Model | Mapping[str, Any], kind: type[Model], parse: Callable[..., Model], name: str
) -> Spec[Model]:
    if isinstance(spec, Spec):
        return spec
    return Spec(spec if isinstance(spec, kind) else parse(spec, name=name))
