"""Rows of a change log that hold the row before and after the change, as Debezium sends them
(https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-change-events-value).

Silver then reads the fields of the row after the change, and of a deletion those of the row before it, as if they were
columns of the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructField, StructType

from airflow_ingest.config.table import Images
from airflow_ingest.lakehouse.bronze import AUDIT_COLUMNS
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.fitting import NESTED
from airflow_ingest.lakehouse.schemas import ddl
from airflow_ingest.lakehouse.silver.projection import Check
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD
from airflow_ingest.lakehouse.sql import literal, quote

_BROKEN = "__broken_image_"


def with_images(
    rows: DataFrame, images: Images, source: Sequence[str], wanted: Iterable[str]
) -> tuple[DataFrame, list[str], list[Check]]:
    """`rows` with the images' fields in the place of the images, the columns that are then the source's, and the checks
    that an image which is text is a JSON object, or `null`.

    `source` are the source's columns. An image is a struct, or JSON text, of which the columns `wanted` are taken that
    the source has not. A field stands before a column of the same name. Raises SchemaMismatch if an image is missing or
    of another type.
    """
    schema = {field.name.lower(): field.dataType for field in rows.schema.fields}
    kinds = [_kind(schema, name, source) for name in (images.before, images.after)]
    own = {images.before.lower(), images.after.lower()}
    others = [name for name in source if name.lower() not in own]
    known = {name.lower() for name in others}
    fields = list(dict.fromkeys(field.name for kind in kinds if isinstance(kind, StructType) for field in kind.fields))
    if any(isinstance(kind, StringType) for kind in kinds):
        listed = {name.lower() for name in fields}
        fields += [name for name in dict.fromkeys(wanted) if name.lower() not in known | listed]
    if clash := [name for name in fields if name.lower() in (*AUDIT_COLUMNS, CORRUPT_RECORD)]:
        raise SchemaMismatch(
            f"silver.images: the images have fields that bronze keeps for itself: {', '.join(clash)}. Rename them in "
            "the source. Its rows stay in bronze; silver is unchanged."
        )
    image = f"CASE WHEN {_value(images.after, kinds[1])} IS NOT NULL THEN {{after}} ELSE {{before}} END"
    values = {
        field: F.expr(
            image.format(
                after=_field(images.after, kinds[1], field, kinds[0]),
                before=_field(images.before, kinds[0], field, kinds[1]),
            )
        )
        for field in fields
    }
    texts = [
        name for name, kind in zip((images.before, images.after), kinds, strict=True) if isinstance(kind, StringType)
    ]
    broken = {f"{_BROKEN}{number}": F.expr(_is_broken(name)) for number, name in enumerate(texts)}
    checks = [
        Check("image", name, flag, literal(f"{name} is no JSON object"))
        for flag, name in zip(broken, texts, strict=True)
    ]
    lifted = {name.lower() for name in fields}
    made = rows.withColumns({**values, **broken})
    return made, [*(name for name in others if name.lower() not in lifted), *fields], checks


def _kind(schema: dict[str, DataType], name: str, source: Sequence[str]) -> DataType:
    kind = schema.get(name.lower())
    if isinstance(kind, StructType | StringType):
        return kind
    told = "there is no such column" if kind is None else f"it is a {kind.simpleString()}"
    raise SchemaMismatch(
        f"silver.images: {name!r} has to be a struct or JSON text, and {told}. The source has: {', '.join(source)}. "
        "Its rows stay in bronze; silver is unchanged."
    )


def _field(image: str, kind: DataType, field: str, other: DataType) -> str:
    """The field of an image whose type is `kind`; of a text, in the type that the `other` image has for it.

    An image that was NULL in all rows of the first batch is text from then on, though the other is a struct.
    """
    if found := _of(kind, field):
        return f"{quote(image)}.{quote(found.name)}"
    if isinstance(kind, StructType):
        return "NULL"
    text, like = f"{_value(image, kind)}[{literal(field)}]", _of(other, field)
    return f"from_json({text}, {literal(ddl(like.dataType))})" if like and isinstance(like.dataType, NESTED) else text


def _of(kind: DataType, field: str) -> StructField | None:
    fields = kind.fields if isinstance(kind, StructType) else []
    return next((known for known in fields if known.name.lower() == field.lower()), None)


def _is_broken(text: str) -> str:
    """Whether an image is cut off or not JSON: what it says would pass for NULL."""
    return f"coalesce(lower(trim({quote(text)})) NOT IN ('', 'null') AND {_value(text, StringType())} IS NULL, false)"


def _value(image: str, kind: DataType) -> str:
    """The image itself; of a text, which may be `null`, what it says."""
    return quote(image) if isinstance(kind, StructType) else f"from_json({quote(image)}, 'map<string, string>')"
