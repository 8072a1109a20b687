"""What the sensors share: how they wait, and what they do when it was in vain."""

from __future__ import annotations

from datetime import timedelta
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout, AirflowSkipException

from airflow_ingest._context import IntervalTemplates
from airflow_ingest.triggers import ConditionTrigger

if TYPE_CHECKING:
    from airflow.sdk import BaseSensorOperator, Context

    Sensor = BaseSensorOperator
else:
    Sensor = object  # mixins: see IntervalTemplates

OnTimeout = Literal["fail", "skip", "go_on"]


class Patient(IntervalTemplates, Sensor):
    """A sensor that says what it has waited for in vain, and then fails for good, is skipped, or lets things go on."""

    def __init__(self, *, on_timeout: OnTimeout = "fail", mode: str = "reschedule", **kwargs: Any) -> None:
        super().__init__(mode=mode, **kwargs)
        if on_timeout not in ("fail", "skip", "go_on"):
            raise ValueError(f"{self.task_id}: on_timeout is fail, skip or go_on, not {on_timeout!r}.")
        self.on_timeout = on_timeout

    def missing(self) -> str:
        """What was waited for in vain, and what can be done about it."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Wait; see `on_timeout` for what follows when it was in vain."""
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            return self._in_vain()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral, which may have taken too long."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout:
            return self._in_vain()

    def _in_vain(self) -> None:
        if self.on_timeout == "fail":
            raise AirflowSensorTimeout(self.missing()) from None
        if self.on_timeout == "skip":
            raise AirflowSkipException(self.missing()) from None
        self.log.warning("%s It goes on without (`on_timeout: go_on`).", self.missing())


class Asking(Patient):
    """A sensor that asks a function, here or (`deferrable`) in the triggerer."""

    condition: ClassVar[str]
    """The function, as `ConditionTrigger` takes it."""

    def __init__(self, *, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    def question(self, context: Context) -> dict[str, Any]:
        """The function's arguments."""
        raise NotImplementedError

    def poke(self, context: Context) -> bool:
        """Ask once."""
        return bool(resolve_name(self.condition)(**self.question(context)))

    def execute(self, context: Context) -> Any:
        """Wait, unless it is there at once."""
        if not self.deferrable:
            return super().execute(context)
        if self.poke(context):
            return None
        trigger = ConditionTrigger(self.condition, self.question(context), self.poke_interval)
        return self.defer(trigger=trigger, method_name="resume", timeout=timedelta(seconds=self.timeout))

    def resume(self, context: Context, event: dict[str, Any]) -> None:
        """Go on with what the triggerer found; raises AirflowException if asking failed, which a retry may mend."""
        if error := event.get("error"):
            raise AirflowException(f"{self.task_id} could not look: {error}")
        self.log.info("It is there.")
