"""A person says no: the client fails in words, and there is no grant."""

import pytest


def on_the_consent_page(browser):
    browser.decide("deny")


def at_the_identity_provider(browser):
    browser.decide("approve")
    browser.cancel()


@pytest.mark.parametrize("say_no", [on_the_consent_page, at_the_identity_provider])
def test_client_says_so(say_no, demo, browser, start, tools):
    client = start("python", str(tools / "clients" / "fastmcp_client.py"), demo.url)
    url = client.authorize_url()
    browser.read_consent(url, "FastMCP Client", demo.url)
    say_no(browser)
    browser.land(url)

    assert client.ended() == 1
    assert "Access was denied by the authorization server." in client.errors()
    assert client.output() == ""
    assert "signin.completed" not in demo.events()
