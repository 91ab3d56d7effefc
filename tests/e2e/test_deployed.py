"""The released program and the sample, as `azd up` deploys them, with people, clients and trouble."""

import json
import subprocess

import pytest

from azure import Azure
from browser import ADA
from browser import BEN
from browser import ZOE

# Zoe, who is one here.
GUEST = ZOE
ADDED = {"date": "2026-11-20", "cents": 1250, "currency": "EUR", "category": "travel", "note": "Tram"}


@pytest.fixture
def deployed(pytestconfig, tmp_path):
    """Starts the stand-ins for Azure, with these options of main.bicep."""
    started = []

    def deployed(**options: str) -> Azure:
        refused = subprocess.run([pytestconfig.getoption("released"), "demo"], stderr=subprocess.PIPE, text=True)
        assert "unrecognized subcommand" in refused.stderr, "what is released has no demo"
        programs = pytestconfig.getoption("entrada"), pytestconfig.getoption("released")
        started.append(Azure(*programs, tmp_path, **options))
        return started[-1]

    yield deployed
    for azure in started:
        azure.stop()


def call(start, tools, url: str, *calls: tuple[str, dict]):
    """The Python SDK, which signs in and calls these tools."""
    program = str(tools / "clients" / "python_sdk.py")
    return start("python", program, url, "step_up", "auto", *map(json.dumps, calls))


def test_signs_people_in_and_keeps_what_they_do_apart(deployed, browser, start, tools, show):
    azure = deployed()
    url = f"{azure.issuer}/mcp"
    azure.start_sample()
    # A role that has been assigned a moment ago does not count yet. The program ends, and is started again.
    azure.tell("vault", "forbidden")
    azure.start_entrada()
    assert azure.ended() == 4
    assert "Key Vault Secrets Officer" in azure.log("entrada").read_text()
    azure.start_entrada()
    azure.ready()
    assert azure.tell("vault", "versions") == [[1, True]]

    # Nor does a federated credential at once: the program asks again, and the person does not notice.
    azure.tell("entra", "token", "700213", "2")
    client = call(start, tools, url, ("add_expense", ADDED), ("list_expenses", {}), ("whoami", {}))
    browser.sign_in(client.authorize_url(), ADA, "Python SDK", url)
    assert "Tram" in client.result(1)["said"]
    assert json.loads(client.result(2)["said"])["count"] == 1
    assert client.ended() == 0, client.errors()
    assert azure.tell("entra", "left") == 0
    said = json.loads(client.result(3)["said"])
    assert (said["oid"], said["tid"]) == (ADA.oid, azure.tenant)

    other = call(start, tools, url, ("list_expenses", {}))
    browser.sign_in(other.authorize_url(2), BEN, "Python SDK", url)
    assert json.loads(other.result(1)["said"])["count"] == 0, "whose expenses they are, decides"
    assert other.ended() == 0, other.errors()

    (stored,) = azure.tell("cosmos", "expenses")
    assert stored["sub"] == f"{azure.tenant}:{ADA.oid}"
    assert (stored["scope"], stored["client_id"]) == ("mcp.read mcp.write", said["client_id"])
    assert azure.tell("cosmos", "grants") > 0
    completed = [event for event in azure.events() if event["event"] == "signin.completed"]
    assert len(completed) == 2
    show("as deployed: two people sign in by the managed identity, and keep expenses in Cosmos DB")


@pytest.mark.parametrize("guests", ["deny", "allow"])
def test_people_of_several_tenants_sign_in_where_that_is_the_option(guests, deployed, browser, start, tools):
    tenants = "11111111-2222-3333-4444-555555555555, 22222222-3333-4444-5555-666666666666"
    several = {"ENTRA_SIGN_IN_AUDIENCE": "AzureADMultipleOrgs", "ENTRA_ALLOWED_TENANTS": tenants}
    azure = deployed(ENTRA_GUESTS=guests, **several)
    url = f"{azure.issuer}/mcp"
    azure.start_sample()
    azure.start_entrada()
    azure.ready()
    client = call(start, tools, url, ("whoami", {}))
    browser.read_consent(client.authorize_url(), "Python SDK", url)
    browser.decide("approve")
    browser.choose(GUEST)
    if guests == "allow":
        assert json.loads(client.result(1)["said"])["oid"] == GUEST.oid
    else:
        assert "guest_not_allowed" in browser.source_with("upstream.guests")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (65001, "adminconsent?client_id="),
        (90094, "adminconsent?client_id="),
        (50105, "assign"),
        (50020, "guest"),
        (53003, "policy"),
    ],
)
def test_who_is_kept_out_reads_why(number, words, deployed, browser, start, tools):
    azure = deployed()
    azure.start_entrada()
    azure.ready()
    azure.tell("entra", "sign-in", str(number))
    url = f"{azure.issuer}/mcp"
    client = call(start, tools, url, ("whoami", {}))
    browser.read_consent(client.authorize_url(), "Python SDK", url)
    browser.decide("approve")
    assert words in browser.source_with(f"AADSTS{number}")


def test_groups_that_a_token_has_no_room_for_come_from_microsoft_graph(deployed, browser, start, tools, show):
    """What an operator changes in entrada.bicep to let in one group of many."""
    azure = deployed()
    url = f"{azure.issuer}/mcp"
    azure.start_sample()
    resource = azure.environment("entrada")["ENTRADA_RESOURCE"]
    group = '", allowed_groups=["0e0a9b1c-0000-4000-8000-00000000012b"], scopes='
    azure.start_entrada(ENTRADA_RESOURCE=resource.replace('", scopes=', group))
    azure.ready()
    client = call(start, tools, url, ("whoami", {}))
    browser.read_consent(client.authorize_url(), "Python SDK", url)
    browser.decide("approve")
    browser.choose(BEN)
    assert "adminconsent?client_id=" in browser.source_with("User.Read")
    azure.tell("entra", "consent")
    client.stop()
    client = call(start, tools, url, ("whoami", {}))
    browser.sign_in(client.authorize_url(2), BEN, "Python SDK", url)
    assert json.loads(client.result(1)["said"])["oid"] == BEN.oid
    show("as deployed, for one group: who is in 300 signs in by Microsoft Graph")
