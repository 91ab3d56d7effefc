"""What every test starts from: an Entrada of its own, a browser of its own, servers and clients that end with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from browser import Browser
from client import Client
from demo import Demo
from entrada import Entrada
from ports import Port
from server import Server

SHOWN = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--entrada", type=Path, required=True, help="the built program")
    parser.addoption("--released", type=Path, required=True, help="the program as it is released")
    parser.addoption("--tools", type=Path, required=True, help="where the clients are installed")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SHOWN] = []


@pytest.fixture
def tools(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.getoption("tools")


@pytest.fixture
def demo(pytestconfig: pytest.Config, tmp_path: Path):
    running = Demo(pytestconfig.getoption("entrada"), tmp_path)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def entrada(pytestconfig: pytest.Config, tmp_path: Path):
    """Where it will be is known. The test says what it serves."""
    configured = Entrada(pytestconfig.getoption("entrada"), tmp_path)
    yield configured
    configured.stop()


@pytest.fixture
def port():
    """Hands out ports that a server can be told to listen at."""
    ports = []

    def port() -> Port:
        ports.append(Port())
        return ports[-1]

    yield port
    for kept in ports:
        kept.release()


@pytest.fixture
def run(tools: Path, tmp_path: Path):
    """Runs a server until the test ends. It is told its port by `PORT`."""
    servers = []

    def run(name: str, port: Port, *command: str, **settings: str) -> Server:
        servers.append(Server(name, list(command), port, tools, tmp_path, settings))
        servers[-1].wait_until_ready()
        return servers[-1]

    yield run
    for server in servers:
        server.stop()


@pytest.fixture
def browser(tmp_path: Path):
    chromium = Browser(tmp_path / "profile")
    yield chromium
    chromium.quit()


@pytest.fixture
def start(tools: Path, tmp_path: Path):
    """Starts a client. What it keeps, a later one of the same test finds."""
    clients = []

    def start(*command: str, **settings: str) -> Client:
        clients.append(Client(list(command), tools, tmp_path, settings))
        return clients[-1]

    yield start
    for client in clients:
        client.stop()


@pytest.fixture
def show(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """A line for the end of the run."""
    return pytestconfig.stash[SHOWN].append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A failure brings along what the demo and the client wrote."""
    report = yield
    if report.failed and (directory := item.funcargs.get("tmp_path")):
        for log in sorted(directory.glob("*.log")):
            report.sections.append((log.name, log.read_text(errors="replace")))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("clients")
    for line in config.stash[SHOWN]:
        terminalreporter.write_line(line)
