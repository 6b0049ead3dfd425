"""The files in ``clients/``: what somebody needs to connect, as librdkafka's tools read it (``kcat -F``)."""

from sluice.local import properties
from sluice.local.state import ADMIN_USER, Copy

_BOOTSTRAP = "bootstrap.servers"


def admin(copy: Copy) -> dict[str, str]:
    """How the super user connects."""
    return credentials(copy, ADMIN_USER, copy.identity.admin_password)


def credentials(copy: Copy, user: str, password: str) -> dict[str, str]:
    """How a user of the broker connects to this copy."""
    return {
        _BOOTSTRAP: copy.bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
    }


def refresh(copy: Copy) -> None:
    """Write the admin's and the registry's file, and carry the broker's address into everybody else's."""
    copy.clients.chmod(0o700)
    properties.write_private(copy.clients / "admin.properties", properties.render(admin(copy)))
    properties.write_private(copy.clients / "registry.properties", properties.render({"url": copy.registry_url}))
    for path in copy.clients.glob("[!.]*.properties"):
        text = path.read_text(encoding="utf-8")
        moved = properties.with_value(text, _BOOTSTRAP, copy.bootstrap)
        if moved != text:
            properties.write_private(path, moved)
