"""Connection files for libraries other than librdkafka, in whose words they are written."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig

_PROTOCOL = "security.protocol"
_MECHANISM = ("sasl.mechanism", "sasl.mechanisms")
_MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_USERNAME, _PASSWORD = "sasl.username", "sasl.password"
_AUTHORITY, _REVOKED = "ssl.ca.location", "ssl.crl.location"
_CERTIFICATE, _KEY, _KEY_PASSWORD = "ssl.certificate.location", "ssl.key.location", "ssl.key.password"
_IDENTITY = "ssl.endpoint.identification.algorithm"
_OF_PASSWORDS = frozenset({*_MECHANISM, _USERNAME, _PASSWORD})
_OF_CERTIFICATES = frozenset({_AUTHORITY, _REVOKED, _CERTIFICATE, _KEY, _KEY_PASSWORD, _IDENTITY})
_WHAT_PROVES = ("sasl.", "ssl.", "enable.ssl.", "enable.sasl.")


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)
    mechanism: str


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is, and what proves who asks: a password, the certificate that `tls` has, or both."""

    servers: tuple[str, ...]
    login: Login | None
    tls: ssl.SSLContext | None
    """None: nothing is encrypted."""

    @property
    def protocol(self) -> str:
        """As Kafka's libraries call it."""
        return f"{'SASL_' if self.login else ''}{'SSL' if self.tls else 'PLAINTEXT'}"


def access(client: ClientConfig, user: str, task: str) -> Access:
    """What the user's connection file says, for the library by which `task` is done.

    Raises SluiceError for what cannot be carried over or used, so that nothing is passed over that somebody relies on.
    """
    for key in client:
        if key.startswith(_WHAT_PROVES) and key not in _OF_PASSWORDS | _OF_CERTIFICATES:
            raise _not_known(f"`{key}`", user, task)
    protocol = client.get(_PROTOCOL, "plaintext").upper()
    return Access(
        servers=tuple(server.strip() for server in client["bootstrap.servers"].split(",")),
        login=_login(client, user, task) if protocol.startswith("SASL_") else None,
        tls=_tls(client, user) if protocol.endswith("SSL") else None,
    )


def _not_known(what: str, user: str, task: str) -> SluiceError:
    return SluiceError(
        f"{task} by another library, which does not know {what} in {user}.properties: name files in PEM, or a user "
        f"with a password by {', '.join(_MECHANISMS)}."
    )


def _login(client: ClientConfig, user: str, task: str) -> Login:
    setting = next((name for name in _MECHANISM if name in client), _MECHANISM[0])
    mechanism = client.get(setting, "GSSAPI").upper()  # librdkafka's own, if nobody says another
    if mechanism not in _MECHANISMS:
        raise _not_known(f"`{setting}={mechanism}`", user, task)
    for needed in (_USERNAME, _PASSWORD):
        if not client.get(needed):
            raise SluiceError(f"{user}.properties names no `{needed}`, and `{_PROTOCOL}` asks for one.")
    return Login(client[_USERNAME], client[_PASSWORD], mechanism)


def _tls(client: ClientConfig, user: str) -> ssl.SSLContext:
    reading = _AUTHORITY
    try:
        context = ssl.create_default_context(cafile=client.get(_AUTHORITY))
        if revoked := client.get(reading := _REVOKED):
            context.load_verify_locations(cafile=revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        if certificate := client.get(reading := _CERTIFICATE):
            # with a password, even an empty one, nobody is asked for it at the terminal
            context.load_cert_chain(certificate, client.get(_KEY), client.get(_KEY_PASSWORD, ""))
    except OSError as error:
        together = f", with `{_KEY}`," if reading == _CERTIFICATE else ""
        raise SluiceError(f"`{reading}` in {user}.properties{together} cannot be used: {error.strerror}.") from None
    context.check_hostname = client.get(_IDENTITY, "https").lower() != "none"
    return context
