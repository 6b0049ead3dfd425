"""Another password for a user, without a moment in which none lets in.

Kafka keeps one password for each of two mechanisms, SCRAM-SHA-512 and SCRAM-SHA-256: they are the two slots. Who is
connected stays connected; who has the former file goes on logging in with it until its password is removed.
"""

from __future__ import annotations

from sluice.errors import SluiceError
from sluice.installation import place_of
from sluice.kafka import inventory
from sluice.kafka import provisioning as broker_side
from sluice.kafka.admin import answers
from sluice.kafka.clients import Broker, admin_client
from sluice.settings import Settings
from sluice.user_files import ConnectionFiles, mechanism

_OTHER = {"SCRAM-SHA-512": "SCRAM-SHA-256", "SCRAM-SHA-256": "SCRAM-SHA-512"}
_LOGIN_SECONDS = 5.0


def rotate(settings: Settings, user: str) -> str:
    """What was done and what remains to do. May be repeated after it was interrupted.

    1. A file with another password, for the other mechanism, is prepared beside the user's.
    2. The broker is told of the password.
    3. Somebody logs in with it: a listener may not take the other mechanism.
    4. Only then does the file take the place of the user's. Raises SluiceError; then the former file is good as ever.
    """
    files = ConnectionFiles(settings.clients)
    with place_of(settings) as place:
        if user == place.administrator.get("sasl.username"):
            raise SluiceError(f"{user} is who gives passwords: change its own with the broker's tools.")
        known = inventory.users(place.broker).get(user, frozenset())
        if not known:
            raise SluiceError(f"The broker knows no user {user}: `sluice apply` makes those that contracts ask for.")
        former = mechanism(files.read(user)) if files.path(user).exists() else min(known)
        other = _OTHER.get(former)
        if other is None:
            raise SluiceError(
                f"The file of {user} names {former}, and passwords are rotated between SCRAM's two alone."
            )
        if other in known and not files.next_path(user).exists():
            raise SluiceError(
                f"{user} still has its former password: when nobody uses it any more, "
                f"`sluice apply --destroy password/{user}/{other}`, then rotate."
            )
        connection = files.prepare(user, place.administrator, other)  # 1
        broker_side.set_passwords(place.broker, {user: (other, connection["sasl.password"])})  # 2
        if not answers(admin_client(connection), _LOGIN_SECONDS):  # 3
            _take_back(place.broker, files, user, other)
            raise SluiceError(f"The broker does not let {user} in by {other}: allow it on the listener, then rotate.")
        files.next_path(user).replace(files.path(user))  # 4
    return (
        f"{files.path(user)} has another password. Hand it over; the former one lets in until "
        f"`sluice apply --destroy password/{user}/{former}`."
    )


def _take_back(broker: Broker, files: ConnectionFiles, user: str, other: str) -> None:
    broker_side.remove_passwords(broker, [(user, other)])
    files.next_path(user).unlink()
