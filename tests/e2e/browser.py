"""The person, and the browser before them."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.chrome.service import Service

from until import until


@dataclass(frozen=True)
class Person:
    """Someone whom the demo's identity provider knows."""

    number: int
    oid: str


ADA = Person(0, "0a1c0de0-0000-4000-8000-000000000001")
BEN = Person(1, "0a1c0de0-0000-4000-8000-000000000002")
ZOE = Person(2, "0a1c0de0-0000-4000-8000-000000000003")


class Browser:
    """Chromium without a window. Elements are found by what they are, never by where they stand."""

    def __init__(self, profile: Path):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in (
            "--headless",
            # The sandbox needs what root and many containers lack; all pages are this machine's own.
            "--no-sandbox",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        # A driver that is named is used; otherwise Selenium would go and download one.
        self._chrome = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
        self._chrome.set_page_load_timeout(30)

    def quit(self) -> None:
        self._chrome.quit()

    def sign_in(self, authorize_url: str, person: Person, client: str, resource: str) -> None:
        """Reads the consent page, allows, signs in as this person and lands where the client listens."""
        self.read_consent(authorize_url, client, resource)
        self.decide("approve")
        self.choose(person)
        self.land(authorize_url)

    def read_consent(self, authorize_url: str, client: str, resource: str) -> None:
        """Opens the client's URL. The page has to say who asks, for what, and where the answer goes."""
        self._chrome.get(authorize_url)
        page = self.text()
        host = redirect_uri(authorize_url).hostname
        assert client in page, f"the consent page does not name the client {client!r}:\n{page}"
        assert resource in page, f"the consent page does not name the resource {resource}:\n{page}"
        # An element of its own: `localhost` stands in the resource as well.
        assert self._find(By.XPATH, f'//*[normalize-space()="{host}"]'), f"no redirect host {host!r}:\n{page}"

    def decide(self, decision: str) -> None:
        """`approve` or `deny`."""
        self._press(f"button[name=decision][value={decision}]")

    def choose(self, person: Person) -> None:
        """Picks a person on the identity provider's page."""
        self._press(f'form:has(input[name=person][value="{person.number}"]) button')

    def cancel(self) -> None:
        """Gives up on the identity provider's page."""
        self._press("form:has(input[name=cancel]) button")

    def land(self, authorize_url: str) -> None:
        """Waits for the client's own callback."""
        callback = redirect_uri(authorize_url).geturl()
        until(f"{callback} in the browser", lambda: self._chrome.current_url.startswith(callback))

    def text(self) -> str:
        """What the page says."""
        return self._chrome.find_element(By.TAG_NAME, "body").text

    def source_with(self, text: str) -> str:
        """What the page is written in, once it says this."""
        until(f"{text} on the page", lambda: text in self._chrome.page_source)
        return self._chrome.page_source

    def _find(self, by: str, what: str) -> list:
        return self._chrome.find_elements(by, what)

    def _press(self, button: str) -> None:
        until(f"{button} on the page", lambda: self._find(By.CSS_SELECTOR, button))
        self._chrome.find_element(By.CSS_SELECTOR, button).click()


def redirect_uri(authorize_url: str):
    """Where the client of this request wants its answer."""
    return urlsplit(parse_qs(urlsplit(authorize_url).query)["redirect_uri"][0])
