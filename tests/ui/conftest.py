"""The pages, asked for by users of Airflow's simple auth manager, over a database with rows of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastapi.testclient import TestClient
    from sqlalchemy.orm import Session

Login = Callable[[str | None], "TestClient"]


@pytest.fixture
def session(airflow_db: None) -> Iterator[Session]:
    """Airflow's database, in which the DAGs of other tests seem stale.

    The DAGs that a test puts there, and all that hangs on them, are gone after it.
    """
    from airflow.models.asset import AssetModel
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select, update

    models: tuple[Any, ...] = (DagRun, SerializedDagModel, DagModel, AssetModel)
    with create_session(scoped=False) as session:
        keys = {model: next(iter(model.__table__.primary_key)) for model in models}
        before = {model: set(session.scalars(select(key))) for model, key in keys.items()}
        alive = set(session.scalars(select(DagModel.dag_id).where(DagModel.is_stale.is_(False))))
        session.execute(update(DagModel.__table__).values(is_stale=True))
        session.commit()
        yield session
        session.rollback()
        for model, key in keys.items():
            session.execute(delete(model.__table__).where(key.not_in(before[model])))
        session.execute(update(DagModel.__table__).where(DagModel.dag_id.in_(alive)).values(is_stale=False))


@pytest.fixture(scope="session")
def login(airflow_db: None) -> Login:
    """A client of the pages with the rights of a role; None is nobody."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    manager = create_auth_manager()
    from airflow_ingest.ui.pages import pages

    app = pages()

    def client(role: str | None) -> TestClient:
        if role is None:
            return TestClient(app)
        token = manager.generate_jwt(SimpleAuthManagerUser(username=role, role=role))
        return TestClient(app, headers={"Authorization": f"Bearer {token}"})

    return client
