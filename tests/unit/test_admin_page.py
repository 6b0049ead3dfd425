"""The page for operators: what it makes of counts, who may see it, and what a browser is told of it."""

from __future__ import annotations

import base64
import socket
from contextlib import closing
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from threading import Event, Thread

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka.clients import KafkaUnavailable
from sluice.log import Record
from sluice.metrics import catalogue
from sluice.model import PartnerId
from sluice.recorded_set import RecordedPartner, RecordedSet
from stream_processors.admin import history
from stream_processors.admin.counts import Counts, Process, count
from stream_processors.admin.guard import Guard, guard
from stream_processors.admin.history import History, Known
from stream_processors.admin.overview import Overview, Rejected, overview
from stream_processors.admin.page import page

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
SHARING, RETURNS = "http://sharing:9464/metrics", "http://returns:9564/metrics"
HOSHI, LISTMART = PartnerId("hoshi-card"), PartnerId("listmart")


def counts(at: float, sharing: dict[str, float], returns: dict[str, float] | None = None) -> Counts:
    """Samples by name, with labels as Prometheus writes them."""
    second = Process(RETURNS, trouble="connection refused") if returns is None else _process(RETURNS, returns)
    return Counts(at, (_process(SHARING, sharing), second))


def _process(url: str, samples: dict[str, float]) -> Process:
    return Process(url, tuple(Sample(*_named(name), value) for name, value in samples.items()))


def _named(text: str) -> tuple[str, dict[str, str]]:
    name, _, labels = text.rstrip("}").partition("{")
    pairs = (label.split("=") for label in labels.split(",") if label)
    return name, {key: value.strip('"') for key, value in pairs}


def recorded(contracts: dict[str, str], *partners: PartnerId) -> RecordedSet:
    known_as = tuple(RecordedPartner(one, "id", "id", 1) for one in partners)
    return RecordedSet(contracts, {}, "", (), {}, known_as, "key")


WELL = {"sluice_partitions": 1.0, 'sluice_lag_records{partition="0"}': 0.0, 'sluice_lag_seconds{partition="0"}': 0.0}


def known(*sets: tuple[int, RecordedSet]) -> Known:
    made = Known()
    for timestamp, one in sets:
        made = made.followed_by(one.digest, timestamp, one)
    return made


def shown(now: dict[str, float], before: dict[str, float] | None = None, sets: Known | None = None) -> Overview:
    """Ten seconds apart."""
    returns = {'sluice_returns_unavailable{needs="broker"}': 0.0}
    later, earlier = counts(20.0, WELL | now, returns), counts(10.0, WELL | (before or now), returns)
    return overview(NOW, later, earlier, sets or Known())


def test_what_flows_is_what_was_counted_since_the_look_before() -> None:
    updates, consents = (
        f'sluice_events_total{{topic="crm.{what}"}}' for what in ("customer-updates", "consent-events")
    )
    given = 'sluice_outcomes_total{partner="hoshi-card",outcome="shared",reason=""}'
    flow = shown({updates: 1_500.0, consents: 20.0, given: 90.0}, {updates: 500.0, consents: 20.0, given: 40.0}).flow
    assert (flow.updates, flow.consents, flow.shared, flow.recalled) == (100.0, 0.0, 5.0, 0.0)


def test_a_process_that_began_anew_counts_from_there_and_never_backwards() -> None:
    updates = 'sluice_events_total{topic="crm.customer-updates"}'
    assert shown({updates: 3.0}, {updates: 5_000.0}).flow.updates == 0.0


def test_when_all_is_well_nothing_is_wrong() -> None:
    assert shown({}).troubles == ()


@pytest.mark.parametrize(
    ("sample", "value", "alert", "said"),
    [
        ('sluice_unavailable{needs="broker"}', 1, "SluiceUnavailable", "Sharing waits for the broker"),
        ('sluice_returns_unavailable{needs="registry"}', 1, "SluiceUnavailable", "Returns waits for the registry"),
        ("sluice_partitions", 4, "SluicePartitionUnserved", "3 partitions"),
        ('sluice_widening_stopped{partition="0",reason="open_transaction"}', 1, "SluiceWideningStopped", "partition 0"),
        (
            'sluice_updates_paused_rejects{partition="0",cause="not_framed"}',
            57,
            "SluiceUpdatesPaused",
            "partition 0 are held: too many cannot be used (not_framed: 57)",
        ),
        ('sluice_lag_seconds{partition="0"}', 301, "SluiceNotProgressing", "301 seconds"),
        ('sluice_recalls{partner="listmart",state="overdue"}', 2, "SluiceRecallOverdue", "listmart"),
        (
            'sluice_partner_stalled_seconds{partner="listmart",topic="control"}',
            3_700,
            "SluicePartnerNotReading",
            "listmart has read nothing of its control for 3,700 seconds",
        ),
    ],
)
def test_what_an_alert_would_fire_for_is_wrong_on_the_page_too(
    sample: str, value: float, alert: str, said: str
) -> None:
    (trouble,) = shown({sample: value}).troubles
    assert trouble.alert == alert
    assert said in trouble.what
    assert f"### {alert}\n" in Path("docs/alerts.md").read_text(encoding="utf-8")
    assert said in page(shown({sample: value}))


@pytest.mark.parametrize("why", ['sluice_updates_paused{partition="0"}', 'sluice_unavailable{needs="broker"}'])
def test_what_another_trouble_explains_is_not_told_beside_it(why: str) -> None:
    """Nearly as the rule has it (sluice/metrics/alerts.py)."""
    behind = {'sluice_lag_seconds{partition="0"}': 301.0, 'sluice_lag_seconds{partition="1"}': 302.0}
    partitions = {"sluice_partitions": 2.0, 'sluice_lag_records{partition="1"}': 0.0}
    told = [one.what for one in shown(behind | partitions | {why: 1.0}).troubles if one.alert == "SluiceNotProgressing"]
    assert told == ([] if why.startswith("sluice_unavailable") else ["Partition 1 is 302 seconds behind"])


def test_what_stood_before_everything_stood_still_is_not_told_as_if_it_stood_now() -> None:
    behind = {'sluice_lag_seconds{partition="0"}': 3.0, 'sluice_lag_records{partition="0"}': 7.0}
    flow = shown(behind).flow
    assert (flow.waiting, flow.behind_seconds) == (7, 3.0)
    found = shown(behind | {'sluice_unavailable{needs="broker"}': 1.0})
    assert (found.flow.updates, found.flow.waiting, found.flow.behind_seconds) == (0.0, None, None)
    assert [(one.said, one.is_well) for one in found.processes] == [
        ("yes, and waits for the broker", False),
        ("yes", True),
    ]


def test_who_is_cut_off_from_the_broker_says_nothing_of_partitions_that_others_may_have() -> None:
    cut_off = _process(
        "a", WELL | {'sluice_unavailable{needs="broker"}': 1.0, 'sluice_lag_records{partition="1"}': 9.0}
    )
    behind = {'sluice_lag_seconds{partition="0"}': 301.0, 'sluice_lag_records{partition="0"}': 4.0}
    serves = _process("b", WELL | behind | {"sluice_partitions": 2.0})
    at = Counts(20.0, (cut_off, serves))
    found = overview(NOW, at, at, Known())
    assert (found.flow.waiting, found.flow.behind_seconds) == (4, 301.0)
    told = [one.alert for one in found.troubles]
    assert told == ["SluiceUnavailable", "SluicePartitionUnserved", "SluiceNotProgressing"]


def test_who_lacks_the_registry_for_some_inputs_still_serves_its_partitions() -> None:
    found = shown({'sluice_unavailable{needs="registry"}': 1.0, 'sluice_lag_records{partition="0"}': 4.0})
    assert found.flow.waiting == 4
    assert [one.what for one in found.troubles] == ["Sharing waits for the registry"]


def test_recalls_are_not_told_as_they_stood_before_returns_lost_the_broker() -> None:
    before = {'sluice_recalls{partner="hoshi-card",state="overdue"}': 0.0}
    for waits, told in ((0.0, 0), (1.0, None)):
        returns = before | {'sluice_returns_unavailable{needs="broker"}': waits}
        at = counts(20.0, WELL, returns)
        found = overview(NOW, at, at, known((0, recorded({}, HOSHI))))
        assert [one.overdue for one in found.partners] == [told]
        assert found.hears_returns == (not waits)


def test_a_process_of_the_version_before_is_shown_all_the_same() -> None:
    """While processes are replaced one by one; it did not say what it needs."""
    at = counts(20.0, WELL | {"sluice_unavailable": 0.0}, {"sluice_returns_unavailable": 1.0})
    found = overview(NOW, at, at, Known())
    assert [one.what for one in found.troubles] == ["Returns waits for the broker or registry"]
    assert [one.is_well for one in found.processes] == [True, False]


def test_a_process_that_has_no_partition_yet_does_not_say_that_everybody_is_reconciled() -> None:
    at = Counts(20.0, (_process(SHARING, {"sluice_partitions": 0.0}),))
    assert "is reconciled" not in page(overview(NOW, at, at, Known()))


def test_nothing_flows_is_not_said_where_no_sharing_processor_answers() -> None:
    at = Counts(20.0, (Process(SHARING, trouble="refused"), _process(RETURNS, {})))
    found = overview(NOW, at, at, known((0, recorded({}, HOSHI))))
    assert (found.flow.updates, found.flow.shared, found.flow.waiting) == (None, None, None)
    assert [(one.shared, one.recalled) for one in found.partners] == [(None, None)]
    html = page(found)
    assert html.count("Not known: no sharing processor tells.") == 2


def test_that_all_is_well_is_not_said_while_contract_sets_are_not_known() -> None:
    at = counts(20.0, WELL, {})
    assert '<p class="good">Nothing is wrong' in page(overview(NOW, at, at, Known()))
    html = page(overview(NOW, at, at, Known(), "Cannot read it: the broker is away."))
    assert '<p class="good">Nothing is wrong' not in html
    assert "No contract is in force" not in html
    assert "Cannot read it" in html


class _Tail:
    """Gives one contract set when it may, or fails."""

    def __init__(self, may: Event, one: RecordedSet, trouble: str) -> None:
        assert may.wait(10)
        if trouble:
            raise KafkaUnavailable(trouble)
        self._records = [Record(topics.CONTRACT_SETS, 0, 0, one.digest.encode(), one.encode(), 0)]

    @property
    def is_at_the_end(self) -> bool:
        return not self._records

    def poll(self, _wait_seconds: float) -> list[Record]:
        return [self._records.pop()]


@pytest.mark.parametrize("trouble", ["", "Cannot reach the broker"])
def test_who_looks_does_not_wait_for_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    may, one = Event(), recorded({"hoshi-card.yaml": "a"}, HOSHI)
    monkeypatch.setattr(history, "_SOON_SECONDS", 0.0)
    monkeypatch.setattr(history, "Tail", lambda *_, **__: _Tail(may, one, trouble))
    sets = History({}, "sharing")
    for _ in range(3):
        sets.look()
        assert (sets.known.changes, sets.unknown) == ((), "Contract sets are still being read.")
    may.set()
    sets._reading.join()
    assert sets.unknown == trouble
    assert [change.digest for change in sets.known.changes] == ([] if trouble else [one.digest])


def test_how_recalls_stand_is_not_known_where_nobody_tells() -> None:
    at = Counts(20.0, (_process(SHARING, WELL), Process(RETURNS, trouble="refused")), is_everybody=False)
    found = overview(NOW, at, at, known((0, recorded({}, HOSHI))))
    assert [(one.open, one.due_soon, one.overdue) for one in found.partners] == [(None, None, None)]
    assert "returns does not tell" in page(found)


def test_where_no_contract_set_could_be_read_nobody_is_said_to_be_out_of_it() -> None:
    given = 'sluice_outcomes_total{partner="hoshi-card",outcome="shared",reason=""}'
    (partner,) = shown({given: 7.0}).partners
    assert partner.state == "not known"


def test_a_process_that_does_not_answer_is_wrong_and_the_others_are_shown() -> None:
    at = counts(20.0, WELL)
    found = overview(NOW, at, at, Known())
    assert [trouble.alert for trouble in found.troubles] == ["SluiceDown"]
    assert "connection refused" in page(found)


def test_partners_are_those_of_the_set_in_force_and_whoever_was_counted() -> None:
    given = 'sluice_outcomes_total{partner="gone",outcome="recalled",reason="withdrawn"}'
    state = 'sluice_recalls{{partner="hoshi-card",state="{}"}}'
    samples = {given: 7.0, state.format("open"): 5.0, state.format("overdue"): 2.0}
    samples['sluice_partner_paused{partner="hoshi-card"}'] = 1.0
    samples['sluice_partner_lag_records{partner="listmart"}'] = 12.0
    found = shown(samples, sets=known((0, recorded({}, HOSHI, LISTMART)))).partners
    assert [(one.partner, one.state, one.open, one.overdue, one.unread) for one in found] == [
        ("gone", "not in the set in force", None, None, None),
        ("hoshi-card", "paused: recalls are overdue", 5, 2, None),
        ("listmart", "shared with", None, None, 12),
    ]


def test_what_was_rejected_comes_with_the_command_that_decides_it_again() -> None:
    rejected = 'sluice_rejected_total{topic="crm.customer-updates",cause="unreadable"}'
    never = 'sluice_rejected_total{topic="crm.customer-updates",cause="schema_unknown"}'
    (one,) = shown({rejected: 3.0, never: 0.0}).rejected
    assert one == Rejected("crm.customer-updates", "unreadable", 3)
    assert one.command == "sluice redrive --topic crm.customer-updates --cause unreadable --dry-run"


def test_the_history_says_what_changed_from_set_to_set_the_newest_first() -> None:
    first = recorded({"hoshi-card.yaml": "a", "listmart.yaml": "a"}, HOSHI)
    second = recorded({"hoshi-card.yaml": "b", "adresso.yaml": "a"}, HOSHI)
    in_force = {f'sluice_contract_set_info{{contract_set="{second.digest}"}}': 1.0}
    found = shown(in_force, sets=known((0, first), (86_400_000, second)))
    assert found.in_force == (second.digest,)
    newest, oldest = found.changes
    assert newest.changes == ("adresso is new", "hoshi-card is another", "listmart has gone")
    assert newest.at == datetime(1970, 1, 2, tzinfo=UTC)
    assert oldest.changes == ("the first set",)
    assert page(found).count("decides now") == 1


def test_whatever_a_label_holds_is_text_and_no_markup() -> None:
    tag = "<script>alert(1)</script>"
    sample = Sample("sluice_recalls", {"partner": tag, "state": "open"}, 1.0)
    at = Counts(20.0, (Process(SHARING, (sample,)), Process("x", trouble=tag)))
    html = page(overview(NOW, at, at, Known(), tag))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4


class _Tags(HTMLParser):
    _EMPTY = frozenset({"meta", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - as it is called
        if tag not in self._EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_tag_that_is_opened_is_closed() -> None:
    tags = _Tags()
    at = counts(20.0, {'sluice_updates_paused{partition="0"}': 1.0})
    tags.feed(page(overview(NOW, at, at, Known(), "no broker")))
    assert tags.open == []


def test_a_process_that_was_away_or_began_anew_moves_no_rate_of_the_others() -> None:
    updates = 'sluice_events_total{topic="crm.customer-updates"}'
    one, other = "http://sharing-0:9464/metrics", "http://sharing-1:9464/metrics"

    def look(at: float, first: float, second: float | None) -> Counts:
        there = Process(other, trouble="away") if second is None else _process(other, {updates: second})
        return Counts(at, (_process(one, {updates: first}), there))

    def rate(before: Counts, now: Counts) -> float:
        return sum(now.per_second(before, catalogue.EVENTS).values())

    assert rate(look(0, 100, 1e7), look(10, 200, 1e7 + 50)) == 15
    assert rate(look(0, 100, None), look(10, 200, 1e7)) == 10
    assert rate(look(0, 100, 1e7), look(10, 200, None)) == 10
    assert rate(look(0, 100, 1e7), look(10, 200, 3)) == 10


def test_who_may_be_elsewhere_is_not_missed() -> None:
    """Without `page.processes` nobody has said that returns and providers are on this machine."""
    refused = Process(RETURNS, trouble="connection refused")
    own = _process(SHARING, WELL | {"sluice_partitions": 4.0})
    at = Counts(20.0, (own, refused), is_everybody=False)
    assert overview(NOW, at, at, Known()).troubles == ()
    assert "not here: connection refused" in page(overview(NOW, at, at, Known()))


def test_a_port_on_which_somebody_speaks_otherwise_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"

        def answer() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(1_000)
                connection.sendall(b"220 mail.example ready\r\n")

        Thread(target=answer, daemon=True).start()
        (found,) = count([url], None).processes
    assert found.trouble
    assert found.samples == ()


def test_of_many_sets_the_last_are_shown_and_no_texts_are_kept() -> None:
    sets = known(*((number, recorded({"hoshi-card.yaml": f"{number}"}, HOSHI)) for number in range(100)))
    assert len(sets.changes) == 20
    assert sets.changes[0].changes == ("hoshi-card is another",)


def test_counts_are_read_from_this_process_and_from_others() -> None:
    registry = CollectorRegistry()
    catalogue.REJECTED.counter(registry).labels("t", "c").inc(2)
    found = count(["http://127.0.0.1:1/metrics"], registry)
    mine, other = found.processes
    assert found.sums(catalogue.REJECTED, "topic") == {("t",): 2.0}
    assert (mine.trouble, other.url) == ("", "http://127.0.0.1:1/metrics")
    assert "refused" in other.trouble.lower()


def client(guarded: Guard, host: str) -> TestClient:
    def answer(_request: Request) -> Response:
        return PlainTextResponse("the page")

    routes = [Route("/", guarded.page(answer)), Route("/metrics", guarded.metrics(answer))]
    return TestClient(Starlette(routes=routes), base_url=f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1:9464", "localhost:9464", "[::1]:9464"])
def test_on_loopback_it_is_open_to_who_is_on_this_machine(host: str) -> None:
    assert client(Guard("127.0.0.1", None), host).get("/").text == "the page"


def test_on_loopback_a_website_cannot_have_a_browser_fetch_it_under_a_name_of_its_own() -> None:
    for path in ("/", "/metrics"):
        answer = client(Guard("127.0.0.1", None), "rebound.example:9464").get(path)
        assert (answer.status_code, "http://127.0.0.1" in answer.text) == (403, True)


def test_elsewhere_it_is_not_served_without_a_token() -> None:
    answer = client(Guard("0.0.0.0", None), "127.0.0.1:9464").get("/")  # noqa: S104 - asked about, not bound
    assert (answer.status_code, "page.token" in answer.text) == (403, True)
    assert client(Guard("0.0.0.0", None), "sharing:9464").get("/metrics").status_code == 200  # noqa: S104 - the same


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        ("Bearer right", 200),
        ("bearer right", 200),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        ("Bearer r\u00efght", 401),
        ("right", 401),
        ("Basic " + base64.b64encode(b"anybody:right").decode(), 200),
        ("Basic " + base64.b64encode(b":wrong").decode(), 401),
        ("Basic " + base64.b64encode(b"right").decode(), 401),
        ("Basic \u00ff", 401),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), 401),
    ],
)
def test_a_token_is_asked_for_and_has_to_be_right(given: str | None, status: int) -> None:
    headers = {} if given is None else {"authorization": given}
    asked = client(Guard("0.0.0.0", "right"), "sluice.example")  # noqa: S104 - asked about, not bound
    answer = asked.get("/", headers=[(k.encode(), v.encode("latin-1")) for k, v in headers.items()])
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_token_s_file_that_is_of_no_use_is_told(tmp_path: Path) -> None:
    with pytest.raises(SluiceError, match="Cannot read the page's token"):
        guard("0.0.0.0", tmp_path / "none")  # noqa: S104 - asked about, not bound
    empty = tmp_path / "token"
    empty.write_text("\n", encoding="utf-8")
    empty.chmod(0o604)
    with pytest.raises(SluiceError, match="others on this machine may read"):
        guard("0.0.0.0", empty)  # noqa: S104 - asked about, not bound
    empty.chmod(0o600)
    with pytest.raises(SluiceError, match=r"is empty: `\(umask 077; openssl rand"):
        guard("0.0.0.0", empty)  # noqa: S104 - asked about, not bound
