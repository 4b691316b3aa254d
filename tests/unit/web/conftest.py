from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from sentinel.web.app import create_app
from tests.unit.web.fakes import TOKEN, Rooms


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def app(rooms: Rooms) -> FastAPI:
    return create_app(rooms.faces(), CollectorRegistry())


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9788") as client:
        yield client


@pytest.fixture
def operator() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}
