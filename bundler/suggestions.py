"""Suggestions for misspelled names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from importlib.resources import files

from packaging.utils import canonicalize_name

_NOT_FOUND = re.compile(
    r"\b([A-Za-z0-9][\w.-]*) was not found in the (?:package registry|provided package locations)"
)
# uv's words for servers that cannot be reached.
_NO_CONNECTION = re.compile(r"client error \(Connect\)|dns error|operation timed out")
_CHECK_NETWORK = "check the network, the proxy (HTTPS_PROXY) and the URL of the index; bundle on a connected machine"
# Import names that differ from the name of the project.
_MODULES = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "crypto": "pycryptodome",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "mpl-toolkits": "matplotlib",
    "netcdf": "netcdf4",
    "opencv": "opencv-python",
    "osgeo": "gdal",
    "pil": "pillow",
    "pptx": "python-pptx",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "skopt": "scikit-optimize",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "usb": "pyusb",
    "win32api": "pywin32",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
# The packages that engineering scripts use most, one per line.
_KNOWN = "known_packages.txt"


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return a hint for `name`, which is not one of `choices`; "" if none of them is similar."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def meant(words: str) -> str:
    """Return a hint for packages that uv did not find, or could not ask for, according to its message `words`.

    It is "" without a suggestion.
    """
    projects = files("bundler").joinpath(_KNOWN).read_text(encoding="utf-8").split()
    if _NO_CONNECTION.search(words):
        return _CHECK_NETWORK
    hints = []
    for name in dict.fromkeys(map(canonicalize_name, _NOT_FOUND.findall(words))):
        near = (
            [_MODULES[name]]
            if name in _MODULES
            else difflib.get_close_matches(name, projects, n=1, cutoff=0.75)
        )
        if near and near[0] != name:
            hints.append(f"did you mean {near[0]} instead of {name}?")
    return " ".join(hints)
