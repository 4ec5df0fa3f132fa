"""Runs the test vectors that the Rust, Python and TypeScript clients share (tests/vectors of the repository).

PYTHONPATH=src python tests/test_vectors.py
"""

from __future__ import annotations

import json
import unittest
from pathlib import Path
from typing import Any

import httpx

from paulina import ApiError, LeaseReplaced, NotARegistry, NotRegistered, PaulinaError, Unreachable
from paulina import _failover as failover
from paulina import _heartbeat_loop as heartbeat
from paulina._address import Address
from paulina._events import Events
from paulina._registration import ttl_of
from paulina._transport import Failure, Reply, Request, is_event_stream
from paulina._watch import reconnect_wait

FOLDER = Path(__file__).resolve().parents[3] / "tests" / "vectors"


def vectors(name: str) -> dict[str, Any]:
    """Returns the vectors in a file."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


def outcome(vector: dict[str, Any]) -> failover.Outcome:
    """Returns the outcome that a vector describes."""
    return failover.Outcome(vector["outcome"], vector.get("status", 0), vector.get("from_standby", False))


class Failover(unittest.TestCase):
    """tests/vectors/failover.json."""

    vectors = vectors("failover")

    def test_decide(self) -> None:
        """What follows an attempt."""
        for it in self.vectors["decide"]:
            found = failover.decide(outcome(it), is_retry=it["is_retry"], not_idempotent=it["not_idempotent"])
            self.assertEqual(found, it["decision"], it)

    def test_may_have_been_processed(self) -> None:
        """Whether a later response may be that of a repeated request."""
        for it in self.vectors["may_have_been_processed"]:
            self.assertEqual(outcome(it).may_have_been_processed, it["expected"], it)

    def test_address_order(self) -> None:
        """Which address is tried first."""
        for it in self.vectors["address_order"]:
            order = failover.AddressOrder()
            for step in it["steps"]:
                now = step["at"] / 1000
                if "order" in step:
                    self.assertEqual(order.ordered(it["addresses"], now), step["order"], (it["name"], step))
                else:
                    flags = {"from_standby": step["from_standby"], "was_first": step["was_first"]}
                    order.record_response(step["response_from"], now, **flags)

    def test_errors(self) -> None:
        """What a response that is not a success becomes."""
        kinds = {
            "not_registered": NotRegistered,
            "lease_replaced": LeaseReplaced,
            "api_error": ApiError,
            "not_a_registry": NotARegistry,
        }
        for it in self.vectors["errors"]:
            reply = Reply(it["status"], httpx.Headers(), it["body"].encode())
            error = failover.Answer(reply, "http://127.0.0.1", False).error("x")
            self.assertIs(type(error), kinds[it["error"]], it)
            self.assertEqual(error.temporary, it["temporary"], it)
            self.assertEqual(len(getattr(error, "errors", ())), it.get("violations", 0), it)

    def test_plan(self) -> None:
        """The loop carries out what is decided."""
        lost, unknown = Failure("connection_lost", "lost"), Failure("unknown", "late")
        ok = Reply(200, httpx.Headers(), b"")
        standby = Reply(503, httpx.Headers({"paulina-role": "standby"}), b"")
        addresses = Address("a", "a"), Address("b", "b")
        for results, new_only, sent, expected in (
            ([ok], False, [0], ("a", False)),
            ([lost, ok], False, [0, 0], ("a", True)),
            ([lost, lost, ok], False, [0, 0, 1], ("b", True)),
            ([unknown, ok], False, [0, 1], ("b", True)),
            ([standby, ok], True, [0, 1], ("b", False)),
            ([standby, lost], True, [0, 1], ("a", False)),
            ([lost], True, [0], None),
            ([unknown, unknown], False, [0, 1], None),
        ):
            request = Request("POST", ("v1", "servers"), new_only=new_only)
            plan = failover.Failover(addresses).send(request, 1.0)
            indexes, found = [], None
            try:
                step = next(plan)
                for result in results:
                    assert isinstance(step, failover.Send)
                    indexes.append(step.index)
                    step = plan.send(result)
            except StopIteration as done:
                found = done.value.address, done.value.repeated
            except Unreachable:
                pass
            self.assertEqual((indexes, found), (sent, expected), results)


class Heartbeat(unittest.TestCase):
    """tests/vectors/heartbeat.json."""

    vectors = vectors("heartbeat")

    def test_outcomes(self) -> None:
        """What the error of a request means."""
        errors: dict[str, PaulinaError] = {
            "not_registered": NotRegistered("x"),
            "lease_replaced": LeaseReplaced("x"),
            "unreachable": Unreachable("x", "y"),
            "not_a_registry": NotARegistry("x", "y"),
        }
        for it in self.vectors["outcomes"]:
            error = ApiError("code", it["status"], "detail") if "status" in it else errors.get(it["error"])
            self.assertEqual(heartbeat.outcome_of(error), it["outcome"], it)

    def test_decide(self) -> None:
        """What follows the outcome of a step."""
        for it in self.vectors["decide"]:
            self.assertEqual(heartbeat.decide(it["step"], it["outcome"]), it["action"], it)

    def test_failed_replacement(self) -> None:
        """The outcome of a registration that failed."""
        for it in self.vectors["failed_replacement"]:
            found = heartbeat.failed_replacement(it["registration"], it["current"])
            self.assertEqual(found, it["outcome"], it)

    def test_wait(self) -> None:
        """How long until the next step."""
        for it in self.vectors["wait"]:
            refresh_after = None if it["refresh_after"] is None else it["refresh_after"] / 1000
            seconds, percent = heartbeat.wait(it["action"], it["ttl"] / 1000, refresh_after, it["failures"])
            self.assertAlmostEqual(seconds * 1000, it["wait"], 6, str(it))
            self.assertEqual(percent, it["shortened_by"], it)

    def test_ttl(self) -> None:
        """The ttl of an invalid registration."""
        for it in self.vectors["ttl"]:
            self.assertEqual(ttl_of({"ttl": it["given"]}), it["ttl"], it)

    def test_request_timeout(self) -> None:
        """How long one response may take."""
        for it in self.vectors["request_timeout"]:
            self.assertAlmostEqual(heartbeat.request_timeout(it["ttl"] / 1000) * 1000, it["timeout"], 6, str(it))

    def test_shortened(self) -> None:
        """A wait is shortened by at most so many percent."""
        for percent in (0, 10, 50):
            waits = [heartbeat.shortened(1.0, percent) for _ in range(1000)]
            self.assertTrue(1 - percent / 100 <= min(waits) <= max(waits) <= 1, percent)


class ServerSentEvents(unittest.TestCase):
    """tests/vectors/sse.json."""

    vectors = vectors("sse")

    def test_events(self) -> None:
        """The events in a stream, also with its bytes in chunks of every size."""
        for it in self.vectors["events"]:
            chunks = [
                chunk.encode() if isinstance(chunk, str) else bytes.fromhex(chunk["hex"]) for chunk in it["chunks"]
            ]
            self.assertEqual(parsed(chunks), it["events"], it["name"])
            stream = b"".join(chunks)
            for size in range(1, len(stream) + 1):
                pieces = [stream[begin : begin + size] for begin in range(0, len(stream), size)]
                self.assertEqual(parsed(pieces), it["events"], f"{it['name']}, in chunks of {size}")

    def test_content_types(self) -> None:
        """Whether a response is an event stream."""
        for it in self.vectors["content_types"]:
            self.assertEqual(is_event_stream(it["content_type"]), it["is_event_stream"], it)

    def test_reconnect_wait(self) -> None:
        """How long a watch waits before it reconnects."""
        for it in self.vectors["reconnect_wait"]:
            self.assertAlmostEqual(reconnect_wait(it["failures"]) * 1000, it["wait"], 6, str(it))


def parsed(chunks: list[bytes]) -> list[dict[str, str]]:
    """Returns the events in the chunks of a stream."""
    events = Events()
    for chunk in chunks:
        events.feed(chunk)
    return [event._asdict() for event in iter(events.next, None)]


if __name__ == "__main__":
    unittest.main()
