"""The options of Spark's file readers: Spark itself ignores one that it does not know."""

from __future__ import annotations

from typing import Any

from airflow_ingest.config.report import Report
from airflow_ingest.config.values import KeyPath, nearest, quote, words

_ANY = words("ignoreCorruptFiles ignoreMissingFiles pathGlobFilter recursiveFileLookup modifiedBefore modifiedAfter")
_TEXT = words(
    "encoding charset locale timeZone dateFormat timestampFormat timestampNTZFormat enableDateTimeParsingFallback "
    "multiLine lineSep compression"
)
_OPTIONS = {
    "csv": _ANY
    | _TEXT
    | words(
        "sep delimiter quote escape charToEscapeQuoteEscaping comment header ignoreLeadingWhiteSpace "
        "ignoreTrailingWhiteSpace nullValue emptyValue nanValue positiveInf negativeInf preferDate maxColumns "
        "maxCharsPerColumn unescapedQuoteHandling extension"
    ),
    "json": _ANY
    | _TEXT
    | words(
        "prefersDecimal allowComments allowUnquotedFieldNames allowSingleQuotes allowNumericLeadingZeros "
        "allowBackslashEscapingAnyCharacter allowUnquotedControlChars allowNonNumericNumbers dropFieldIfAllNull"
    ),
    "parquet": _ANY | words("mergeSchema datetimeRebaseMode int96RebaseMode"),
}
_DECIDED = {
    option.lower(): option
    for option in words(
        "mode columnNameOfCorruptRecord enforceSchema inferSchema primitivesAsString samplingRatio "
        "singleVariantColumn badRecordsPath path schema"
    )
}


def check_options(source: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Check that the reader of the source's format has each option, and that the bronze layer leaves it open."""
    options, known = source.get("options"), _OPTIONS.get(str(source.get("format")))
    if not isinstance(options, dict) or known is None:
        return
    folded = {option.lower() for option in known}
    for option, value in options.items():
        path = (*at, "options", option)
        if option.lower() in _DECIDED:
            problem = f"the option {quote(option)} is not free: bronze keeps every line as it came"
            report.add(path, problem, "Remove it; types belong to silver.columns.", at_key=True)
        elif option.lower() not in folded:
            if report.is_inherited(path) and any(option in other for other in _OPTIONS.values()):
                continue
            hint = (
                nearest(option, known) or f"Spark's documentation lists the options of its {source['format']} reader."
            )
            report.add(path, f"Spark's {source['format']} reader has no option {quote(option)}", hint, at_key=True)
        elif isinstance(value, str) and "{{" in value:
            report.add(path, "Jinja is rendered in source.files only")
