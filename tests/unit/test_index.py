from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote

from hypothesis import given, strategies as st

from wheelhouse.store.index import Link, project_page, root_page


class Anchors(HTMLParser):
    """Collects what a client reads from a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if self.found and "text" not in self.found[-1]:
            self.found[-1]["text"] = data


_NAMES = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda text: bool(text.strip())
)


@given(st.lists(st.tuples(_NAMES, st.none() | _NAMES), unique_by=lambda pair: pair[0]))
def test_what_goes_into_a_page_comes_out_for_its_reader(
    files: list[tuple[str, str | None]],
) -> None:
    links = [
        Link(filename=name, path=f"../{name}", sha256="0" * 64, requires_python=python)
        for name, python in files
    ]
    anchors = Anchors(project_page("x", links)).found
    assert [anchor["text"] for anchor in anchors] == sorted(name for name, _ in files)
    for anchor, (name, python) in zip(anchors, sorted(files), strict=True):
        path, _, fragment = str(anchor["href"]).partition("#")
        assert (unquote(path), fragment) == (f"../{name}", f"sha256={'0' * 64}")
        assert anchor.get("data-requires-python") == python


def test_metadata_is_announced_under_its_new_and_its_old_name() -> None:
    (anchor,) = Anchors(
        project_page("x", [Link(filename="x", path="x", sha256="0" * 64, metadata_sha256="1" * 64)])
    ).found
    assert anchor["data-core-metadata"] == anchor["data-dist-info-metadata"] == f"sha256={'1' * 64}"


def test_pages_do_not_depend_on_the_order_of_what_they_list() -> None:
    links = [Link(filename=name, path=name, sha256="0" * 64) for name in ("b", "a", "c")]
    assert project_page("x", links) == project_page("x", reversed(links))
    assert root_page(["b", "a"]) == root_page(["a", "b"])
    assert [anchor["href"] for anchor in Anchors(root_page(["b", "a"])).found] == ["a/", "b/"]
