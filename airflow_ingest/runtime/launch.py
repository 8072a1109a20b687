"""The command that starts an embedded server: Java's flags, Spark's static settings, the class path."""

import hashlib
import json
import shlex
from pathlib import Path

from airflow_ingest import __version__
from airflow_ingest.runtime.endpoints import Embedded

SESSION_DEFAULTS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.redaction.string.regex": r'''(?i)key: "(?:password|url|sslpassword)"\s+value: "(?:[^"\\]|\\.)*"''',
}
"""What every session starts with, wherever it runs. The last one hides a reader's password (as it stands in the text of
a plan of Spark Connect) where Spark describes its jobs."""

SMALL_BATCHES = {
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.airflow_ingest.bulk_rows": "100000",
}
"""Where batches are small, compiling and re-planning cost more than they save. A session may set these otherwise; for
loads of so many rows `lakehouse.settings` lets Spark compile."""

_LOOPBACK = {
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.port.maxRetries": "0",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
}

_LOCAL_LAKE = {
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
}
"""How Delta commits to a lake in a folder: the defaults go through Hadoop's FileContext, which starts a `readlink`
process for every path, a dozen times a commit."""

_LOCAL_FILES = "spark.airflow_ingest.shared_files"
"""Tells its clients that a bare path means the same file to them and to Spark (`lakehouse.log` reads it)."""

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

_OPENED = (
    *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util"),
    *("java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs"),
    *("sun.security.action", "sun.util.calendar"),
)
"""Packages of java.base that Spark reaches into (its own launcher opens the same)."""

_JVM = (
    "-Xss4m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # the second compiler keeps a small machine busy for minutes before it pays
    "-XX:-DontCompileHugeMethods",  # a gate of many rules is one method, which Java would only interpret
    "-XX:ReservedCodeCacheSize=256m",  # with one compiler Java reserves 48 MB, and Spark's code keeps evicting itself
    "-XX:+IgnoreUnrecognizedVMOptions",
    "--add-modules=jdk.incubator.vector",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
)


def fingerprint(settings: Embedded, java: Path, jars: tuple[Path, ...]) -> str:
    """A short name for all that a running server cannot change: equal settings share a server."""
    command = arguments(settings, Path("folder"), settings.port, jars)
    parts = [__version__, str(java), command, settings.idle_timeout.total_seconds()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def arguments(settings: Embedded, folder: Path, port: int, jars: tuple[Path, ...]) -> str:
    """The text of Java's argument file for this server. It may hold secrets from `settings.conf`, the token never."""
    conf = {
        "spark.app.name": "airflow-ingest",
        "spark.master": f"local[{settings.cores}]",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        **_DELTA,
        **_LOCAL_LAKE,
        **SESSION_DEFAULTS,
        **SMALL_BATCHES,
        _LOCAL_FILES: "false" if "spark.hadoop.fs.defaultFS" in settings.conf else "true",
        **settings.conf,
        **_LOOPBACK,
        "spark.connect.grpc.binding.port": str(port),
    }
    words = [
        f"-Xmx{settings.memory}",
        *_JVM,
        *shlex.split(conf.pop("spark.driver.extraJavaOptions", "")),
        f"-Dairflow_ingest.log={folder / 'server.log'}",
        f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}",
        *(f"-D{key}={value}" for key, value in conf.items()),
        "-cp",
        ":".join(str(jar) for jar in jars),
        "org.apache.spark.sql.connect.service.SparkConnectServer",
    ]
    return "\n".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
