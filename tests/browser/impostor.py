"""A ledger made up by whoever holds a ledger's key: it answers a page in the cell's place."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page, Route

from lightwell.wire import base64_strict, merkle, tiles
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.keys import SigningKey
from lightwell.wire.note import join_note, split_note
from lightwell.wire.promise import make_promise


def true_leaves(url: str) -> list[bytes]:
    """The leaf hashes of a cell's ledger, under its newest checkpoint."""
    with httpx.Client(base_url=f"{url}/ledger/") as http:
        size = int(http.get("checkpoint").text.split("\n")[1])
        leaves = []
        for index in range(-(-size // tiles.WIDTH)):
            width = tiles.width_at(0, index, size)
            data = http.get(tiles.bundle_path(index, width)).raise_for_status().content
            leaves += [merkle.leaf_hash(entry) for entry in tiles.decode_bundle(data, width)]
    return leaves


class Impostor:
    """Serves a tree over any leaf hashes, signed and cosigned by any keys, to one page."""

    def __init__(self, leaves: Sequence[bytes], key: SigningKey, *witnesses: SigningKey) -> None:
        self.leaves = list(leaves)
        self._node = merkle.in_memory(self.leaves)
        text = Checkpoint(key.name, len(self.leaves), merkle.root(self.leaves)).text()
        cosignatures = [witness.cosign(text, int(time.time())) for witness in witnesses]
        self.checkpoint = join_note(text, [key.sign_text(text), *cosignatures])
        assert split_note(self.checkpoint)[0] == text

    def serve(self, page: Page, *paths: str) -> None:
        """Answer the page's requests for `paths` below /ledger/; all of them if none is named."""
        for path in paths or ("checkpoint", "tile/**", "proof?*"):
            page.route(f"**/ledger/{path}", self.answer)

    def answer(self, route: Route) -> None:
        """Answer one request of the page."""
        address = urlsplit(route.request.url)
        path = address.path.removeprefix("/ledger/")
        if path == "checkpoint":
            route.fulfill(body=self.checkpoint, content_type="text/plain")
        elif path == "proof":
            self._answer_proof(route, bytes.fromhex(address.query.removeprefix("leaf=")))
        else:
            level, index, width = tiles.parse_path(path)
            if level is None:
                route.continue_()
                return
            first = index * tiles.WIDTH
            hashes = [self._node(8 * level, at) for at in range(first, first + width)]
            route.fulfill(body=b"".join(hashes), content_type="application/octet-stream")

    def _answer_proof(self, route: Route, leaf: bytes) -> None:
        if leaf not in self.leaves:
            route.fulfill(status=404, content_type="application/problem+json", body="{}")
            return
        index, size = self.leaves.index(leaf), len(self.leaves)
        steps = merkle.inclusion_proof(self._node, index, size)
        proof = [base64_strict.encode(step) for step in steps]
        answer = {"index": index, "size": size, "proof": proof, "checkpoint": self.checkpoint}
        route.fulfill(body=json.dumps(answer), content_type="application/json")


def altered_roster(change: Callable[[str], str]) -> Callable[[Route], None]:
    """Answers the agreement with a roster that `change` made of the true one."""

    def answer(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        body["roster"] = change(body["roster"])
        route.fulfill(response=response, json=body)

    return answer


def due_soon(key: SigningKey) -> Callable[[Route], None]:
    """Answers the feed with a promise that `key` signed for a second from now."""

    def answer(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        proof = body["proof"]
        leaf = bytes.fromhex(proof["leaf"])
        proof["promise"] = make_promise(key, proof["origin"], leaf, int(time.time()) + 1)
        route.fulfill(response=response, json=body)

    return answer
