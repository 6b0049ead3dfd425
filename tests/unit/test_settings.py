"""Settings: resolved once, relative to their file, refused in sentences."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sluice.document import DocumentError
from sluice.errors import SluiceError
from sluice.key_sources import KeyCommand, KeyFile, KeyVariable
from sluice.keys import KeySource
from sluice.settings import ENVIRONMENT, Settings, load_settings
from stream_processors import watchdog
from stream_processors.workers import MOST_WORKERS

DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "sluice.yaml"
LEAST = "clients: clients\ncontracts: contracts\nmaster_key: master.key\nsharing: {state: state}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(folder: Path, text: str = LEAST) -> Settings:
    path = folder / "conf" / "my.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(DocumentError) as raised:
        settings(folder, text)
    return str(raised.value)


def test_workers_take_nobody_s_port(folder: Path) -> None:
    """Each listens on the next one (`sluice run sharing --workers`)."""
    given = settings(folder)
    workers = range(given.sharing.metrics.port, given.sharing.metrics.port + MOST_WORKERS)
    assert given.returns.metrics.port not in workers
    assert given.providers.metrics.port not in workers


def test_the_demos_settings_are_an_example_that_loads() -> None:
    demo = load_settings(DEMO)
    assert demo.contracts == DEMO.parent / "contracts"
    assert demo.contracts.is_dir()
    assert demo.sharing.instance == "0"


def test_defaults_are_careful(folder: Path) -> None:
    found = settings(folder)
    assert found.partitions == 4
    assert found.sharing.metrics.host == "127.0.0.1"
    assert found.sharing.acknowledged == []
    assert (found.sharing.group, found.sharing.instance) == ("sluice.sharing", "0")


def test_paths_are_relative_to_the_file_and_absolute_ones_stay(folder: Path) -> None:
    found = settings(folder, LEAST.replace("master.key", "/etc/sluice/master.key"))
    assert found.clients == folder / "conf" / "clients"
    assert found.contracts == folder / "conf" / "contracts"
    assert found.sharing.state == folder / "conf" / "state"
    assert found.master_key == KeyFile(Path("/etc/sluice/master.key"))


def test_the_file_is_the_one_named_else_the_environments_else_the_folders(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, partitions in (("sluice.yaml", 1), ("environment.yaml", 2), ("named.yaml", 3)):
        (folder / name).write_text(LEAST + f"partitions: {partitions}\n")
    assert load_settings(None).partitions == 1
    monkeypatch.setenv(ENVIRONMENT, str(folder / "environment.yaml"))
    assert load_settings(None).partitions == 2
    assert load_settings(folder / "named.yaml").partitions == 3


def test_settings_that_are_not_there_are_named(folder: Path) -> None:
    with pytest.raises(SluiceError, match=r"There are no settings at sluice\.yaml: name the file with --settings or"):
        load_settings(None)
    with pytest.raises(SluiceError, match=r"There are no settings at .*other\.yaml"):
        load_settings(folder / "other.yaml")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("state: state", "state: state, instnce: a", "4:25: there is no key `instnce` here; did you mean `instance`?"),
        ("sharing: ", "sharin: ", "1:1: the key `sharing` is missing"),
        ("state: state", "state: state, instance: 0", "`instance`: input should be a valid string, not 0"),
        ("state: state", "state: state, instance: a.b", "`instance`: string should match pattern"),
        ("state: state", "state: state, group: a b", "`group`: string should match pattern"),
        ("state: state", "state: state, batch: 0", "`batch`: input should be greater than or equal to 1, not 0"),
        ("state: state", "state: state, metrics: {port: 65536}", "`port`: input should be less than or equal to"),
        ("sharing:", "partitions: 0\nsharing:", "`partitions`: input should be greater than or equal to 1, not 0"),
        ("sharing:", 'partitions: "4"\nsharing:', "`partitions`: input should be a valid integer, not '4'"),
        ("state: state", "state: state, metrics: {prot: 1}", "there is no key `prot` here; did you mean `port`?"),
    ],
)
def test_a_wrong_setting_is_told_where_it_stands(folder: Path, old: str, new: str, problem: str) -> None:
    assert problem in refusal(folder, LEAST.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("state: state", "state: ", id="nothing: not a folder called None"),
        pytest.param("clients: clients", "clients: [a, b]", id="a list"),
        pytest.param("contracts: contracts", "contracts: {a: b}", id="a mapping"),
        pytest.param("master_key: master.key", "master_key: 5", id="a number"),
        pytest.param("master_key: master.key", "master_key: yes", id="a yes"),
    ],
)
def test_a_path_is_text(folder: Path, old: str, new: str) -> None:
    refusal(folder, LEAST.replace(old, new))


@pytest.mark.parametrize(
    "place", ["hello", "crm.consent-events/0", "crm.consent-events@5", "/0@5", "t/a@5", "t/0@b", ""]
)
def test_an_acknowledgement_that_names_no_record_is_refused(folder: Path, place: str) -> None:
    """It would acknowledge nothing, and widening would stay stopped without a word."""
    refusal(folder, LEAST.replace("state: state", f"state: state, acknowledged: ['{place}']"))


def test_an_acknowledgement_names_a_record(folder: Path) -> None:
    found = settings(folder, LEAST.replace("state: state", "state: state, acknowledged: [crm.consent-events/0@12]"))
    assert found.sharing.acknowledged == ["crm.consent-events/0@12"]


def test_connection_files_stand_in_the_folder_of_clients(folder: Path) -> None:
    found = settings(folder)
    found.clients.mkdir()
    crm = found.clients / "crm.properties"
    crm.touch(0o600)
    crm.write_text("# note\n\nbootstrap.servers = a:1\nsasl.password=a=b\n")
    (found.clients / "registry.properties").write_text("url=http://registry\n")
    assert found.client("crm") == {"bootstrap.servers": "a:1", "sasl.password": "a=b"}
    assert found.registry() == {"url": "http://registry"}


def test_connection_files_that_are_missing_or_wrong_are_named(folder: Path) -> None:
    found = settings(folder)
    found.clients.mkdir()
    with pytest.raises(SluiceError, match=r"There is no .*crm\.properties"):
        found.client("crm")
    (found.clients / "registry.properties").write_text("uri=http://registry\n")
    with pytest.raises(SluiceError, match=r"registry\.properties names no registry"):
        found.registry()
    (found.clients / "crm.properties").write_text("bootstrap.servers\n")
    with pytest.raises(SluiceError, match=r"crm\.properties"):
        found.client("crm")


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("conf.key", KeyFile(Path("conf/conf.key"))),
        ("{file: conf.key}", KeyFile(Path("conf/conf.key"))),
        ("{file: /run/secrets/key}", KeyFile(Path("/run/secrets/key"))),
        ("{env: SLUICE_KEY}", KeyVariable("SLUICE_KEY")),
        ("{command: [vault, kv, get, -field=key, secret/sluice]}",
         KeyCommand(("vault", "kv", "get", "-field=key", "secret/sluice"), Path("conf"))),
    ],
)  # fmt: skip
def test_the_master_key_is_kept_in_a_file_in_the_environment_or_by_a_program(
    folder: Path, written: str, source: KeySource
) -> None:
    settings(folder)
    (folder / "conf" / "my.yaml").write_text(LEAST.replace("master.key", written))
    assert load_settings(Path("conf/my.yaml")).master_key == source


@pytest.mark.parametrize(
    "written",
    ["''", "7", "{fil: a}", "{file: a, env: B}", "{file: ''}", "{env: 7}", "{command: []}", "{command: ls}", "{}",
     "[a]", "{command: [ls, 7]}", "{env: ''}"],
)  # fmt: skip
def test_a_master_key_that_is_kept_nowhere_is_refused(folder: Path, written: str) -> None:
    assert refusal(folder, LEAST.replace("master.key", written)).split("my.yaml:")[1].startswith(
        "3:1: this has to be a path, `{file: PATH}`, `{env: NAME}` or `{command: [PROGRAM, ARGUMENT]}`"
    )  # fmt: skip


@pytest.mark.parametrize("written", ["{}", "{{env: {}}}", "{{command: [echo, {}]}}", "'{} '"])
def test_a_key_that_stands_in_the_settings_themselves_is_refused_and_not_shown(folder: Path, written: str) -> None:
    """Whoever may read settings, or sees the refusal, would have it."""
    for key in ("0123456789abcdef" * 4, "ABCDEF0123456789" * 4, "1" * 64):
        said = refusal(folder, LEAST.replace("master.key", written.format(key)))
        assert "3:1: " in said
        assert key not in said
    hashed = f"/store/{'a1' * 32}/master.key"
    assert settings(folder, LEAST.replace("master.key", hashed)).master_key == KeyFile(Path(hashed))


def test_the_registry_is_reached_with_what_its_file_says(folder: Path) -> None:
    found = settings(folder)
    found.clients.mkdir()
    file = found.clients / "registry.properties"
    file.write_text("url=https://r\nbasic.auth.user.info=sluice:${file:registry.secrets:password}\n")
    secrets = found.clients / "registry.secrets"
    secrets.write_text("password=hidden\n")
    secrets.chmod(0o600)
    assert found.registry() == {"url": "https://r", "basic.auth.user.info": "sluice:hidden"}
    file.write_text("url=https://sluice:hidden@r\n")
    with pytest.raises(SluiceError, match="`url` is shown, so no credentials belong there") as raised:
        found.registry()
    assert "hidden" not in str(raised.value)


def test_every_example_of_a_master_key_in_the_documentation_loads(folder: Path) -> None:
    text = (DEMO.parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    examples = [line for line in text.splitlines() if line.startswith("master_key: ")]
    assert len(examples) >= 5
    for example in examples:
        assert isinstance(settings(folder, LEAST.replace("master_key: master.key", example)).master_key, KeyCommand)


def test_nothing_is_traced_unless_a_collector_is_named(folder: Path) -> None:
    assert settings(folder).traces("sharing") is None
    traced = settings(folder, f"{LEAST}tracing: {{endpoint: 'http://127.0.0.1:4318'}}").traces("sharing")
    assert traced is not None
    traced.close()


def test_tracing_without_opentelemetry_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = settings(folder, f"{LEAST}tracing: {{endpoint: 'http://127.0.0.1:4318'}}")
    monkeypatch.delitem(sys.modules, "sluice.kafka.traces", raising=False)
    monkeypatch.delattr("sluice.kafka.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(SluiceError, match=r"pip install 'sluice\[tracing\]'"):
        asked.traces("sharing")


@pytest.mark.parametrize("wrong", ["endpoint: collector", "share: 0", "share: 1.5"])
def test_a_collector_is_an_address_and_a_share_is_one(folder: Path, wrong: str) -> None:
    assert f"`{wrong.split(':', maxsplit=1)[0]}`" in refusal(folder, f"{LEAST}tracing: {{{wrong}}}")


def test_deadlines_are_looked_at_before_the_watchdog_takes_returns_for_stuck(folder: Path) -> None:
    """It ends a process whose turns do not grow, and where nothing is returned a look is the only turn."""
    assert "`look_every_s`: input should be less than or equal to 60" in refusal(
        folder, f"{LEAST}returns: {{look_every_s: 61}}"
    )
    assert watchdog._MOST_LOOKS * watchdog._LOOK_SECONDS > 2 * 60
