from __future__ import annotations

from typing import Any

import pytest

from bundler.hps.errors import HpsError
from bundler.hps.lists import read_all


class Server:
    """Lists numbers, `longest` at a time."""

    def __init__(self, number: int, longest: int, *, knows_pages: bool = True) -> None:
        self.numbers = list(range(number))
        self.longest = longest
        self.knows_pages = knows_pages
        self.requests: list[dict[str, Any]] = []

    def read(self, **query: Any) -> Any:
        """Answer like a method of the client."""
        self.requests.append(query)
        if query.get("count"):
            return len(self.numbers)
        start = query.get("offset", 0) if self.knows_pages else 0
        return [{"id": f"{number:04}"} for number in self.numbers[start:][: self.longest]]


@pytest.mark.parametrize("number", [0, 1, 9, 10, 25, 100, 101])
def test_a_list_that_the_server_cuts_off_is_read_in_pages(number: int) -> None:
    server = Server(number, 25)
    records = read_all(server.read, fields=["id"], job_id=["x"])
    assert [int(record["id"]) for record in records] == list(range(number))
    assert all(query["job_id"] == ["x"] for query in server.requests)


def test_a_short_list_takes_one_request() -> None:
    server = Server(9, 1000)
    read_all(server.read, fields=["id"])
    assert server.requests == [{"as_objects": False, "fields": ["id"]}]


def test_a_server_without_pages_is_an_error_with_both_numbers() -> None:
    server = Server(30, 20, knows_pages=False)
    with pytest.raises(HpsError, match="lists only 20 of 30 records"):
        read_all(server.read, fields=["id"])


def test_records_that_are_deleted_meanwhile_are_no_error() -> None:
    server = Server(30, 20)

    def read(**query: Any) -> Any:
        answer = server.read(**query)
        if query.get("count"):
            del server.numbers[25:]
        return answer

    assert len(read_all(read, fields=["id"])) == 25
