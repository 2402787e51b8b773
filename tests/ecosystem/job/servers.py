"""The servers that the programs talk to: Debian's own, each in the job's temporary directory, on loopback, with a port of its own.

A server that is not installed is no failure: its name comes with the command that installs it, and the checks that need it are left out.
They are children of the job and ended by their process object; a server that outlives its signal is killed.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from glob import glob
from pathlib import Path

PATIENCE = 60.0
HOST = "127.0.0.1"


class Missing(Exception):
    """A server is not installed."""


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _serving(command: list[str], ready: str, ended_by: signal.Signals, log: Path, owner: str | None = None) -> Iterator[None]:
    """The server, from the line that says that it is ready. What it says is kept in `log`."""
    options = {} if owner is None else {"user": owner, "group": pwd.getpwnam(owner).pw_gid, "extra_groups": []}
    is_ready = threading.Event()
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", start_new_session=True, **options  # type: ignore[call-overload]
    ) as process:

        def listen() -> None:
            with log.open("w", encoding="utf-8") as file:
                for line in process.stdout:
                    said.append(line)
                    file.write(line)
                    file.flush()
                    if ready in line:
                        is_ready.set()
            is_ready.set()  # it ended

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            if not is_ready.wait(PATIENCE) or process.poll() is not None:
                raise RuntimeError(f"{command[0]} did not start:\n{''.join(said)}")
            yield
        finally:
            process.send_signal(ended_by)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            listener.join(PATIENCE)


def make_certificates(directory: Path) -> None:
    """A certificate authority of the job's own and a certificate for loopback."""
    try:
        import trustme
    except ImportError:
        raise Missing("the package trustme is missing (pip install trustme)") from None
    directory.mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", HOST)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(directory / "server.key"))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(directory / "server.pem"), append=number > 0)


def _postgres_program(name: str) -> str:
    """Debian keeps the server's programs out of the path, one directory for each version; the newest is taken."""
    found = sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda path: int(path.split("/")[4])) or [shutil.which(name) or ""]
    if not found[-1]:
        raise Missing("PostgreSQL's server is missing (apt-get install postgresql)")
    return found[-1]


@contextmanager
def postgres(directory: Path, certificates: Path | None, log: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL: plain TCP, a Unix socket, and TLS for who asks. As root it runs as the user ``postgres``: it refuses root."""
    initdb, server = _postgres_program("initdb"), _postgres_program("postgres")
    owner = None
    directory.mkdir()
    data = directory / "data"
    if os.geteuid() == 0:
        owner = "postgres"
        shutil.chown(directory, owner)
    options: dict[str, object] = {} if owner is None else {"user": owner, "group": pwd.getpwnam(owner).pw_gid, "extra_groups": []}
    subprocess.run(
        [initdb, "-D", data, "-U", "plait", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **options,  # type: ignore[call-overload]
    )  # fmt: skip
    port = free_port()
    settings = {"listen_addresses": HOST, "port": port, "unix_socket_directories": directory, "fsync": "off", "max_connections": 100}
    if certificates is not None:
        for name in ("server.pem", "server.key"):
            copy = shutil.copy(certificates / name, data / name)
            os.chmod(copy, 0o600)
            if owner is not None:
                shutil.chown(copy, owner)
        settings |= {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}
    command = [server, "-D", str(data), *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]
    # SIGINT: connections are cut, the data is left in order.
    with _serving(command, "ready to accept connections", signal.SIGINT, log, owner):
        yield {"ECOSYSTEM_POSTGRES": f"{HOST}:{port}", "ECOSYSTEM_POSTGRES_SOCKETS": str(directory)}


@contextmanager
def redis(directory: Path, certificates: Path | None, log: Path) -> Iterator[dict[str, str]]:
    """Redis: plain TCP, a Unix socket, and TLS on a port of its own."""
    server = shutil.which("redis-server")
    if server is None:
        raise Missing("redis-server is missing (apt-get install redis-server)")
    directory.mkdir()
    port, tls_port, path = free_port(), free_port(), directory / "redis.sock"
    settings: dict[str, object] = {"bind": HOST, "port": port, "unixsocket": path, "dir": directory, "save": "", "appendonly": "no"}
    if certificates is not None:
        settings |= {"tls-port": tls_port, "tls-auth-clients": "no", "tls-cert-file": certificates / "server.pem"}
        settings |= {"tls-key-file": certificates / "server.key", "tls-ca-cert-file": certificates / "ca.pem"}
    command = [server, *(part for name, value in settings.items() for part in (f"--{name}", str(value)))]
    with _serving(command, "Ready to accept connections", signal.SIGTERM, log):
        yield {"ECOSYSTEM_REDIS": f"{HOST}:{port}", "ECOSYSTEM_REDIS_TLS": f"{HOST}:{tls_port}", "ECOSYSTEM_REDIS_SOCKET": str(path)}


@contextmanager
def all_servers(directory: Path, logs: Path, wanted: set[str]) -> Iterator[dict[str, str]]:
    """Everything that can be started; the environment that the programs find it by, or by which they learn what is missing."""
    environment: dict[str, str] = {}
    directory.chmod(0o755)  # PostgreSQL's user has to pass
    certificates: Path | None = directory / "certificates"
    try:
        make_certificates(certificates)
        environment["ECOSYSTEM_CERTIFICATES"] = str(certificates)
    except Missing as error:
        environment["ECOSYSTEM_CERTIFICATES_MISSING"] = str(error)
        certificates = None
    wrk = shutil.which("wrk")
    if wrk is None:
        environment["ECOSYSTEM_WRK_MISSING"] = "wrk is missing (apt-get install wrk)"
    else:
        environment["ECOSYSTEM_WRK"] = wrk
    with ExitStack() as stack:
        for name, start in (("postgres", postgres), ("redis", redis)):
            if name not in wanted:
                continue
            try:
                environment |= stack.enter_context(start(directory / name, certificates, logs / f"{name}.log"))
            except (Missing, OSError, KeyError, RuntimeError, subprocess.CalledProcessError) as error:
                # Or it is installed and does not run here: no user "postgres" in a bare container, no right to become it.
                reason = str(error) if isinstance(error, Missing) else f"{name} did not start: {error}"
                environment |= {f"ECOSYSTEM_{name.upper()}{place}_MISSING": reason for place in ("", "_SOCKETS", "_SOCKET", "_TLS")}
        yield environment
