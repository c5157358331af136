"""What a browser complains of while a page is used, and which complaints a test expects."""

from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Request

# Before any script of the page: a violation is an event of the document, not an error of a script.
LISTENER = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`));"""
OWN_SCHEMES = ("data:", "blob:", "about:")
# A page that stops what it asked for is no failure; nor is what ends with a page that is left.
STOPPED = "net::ERR_ABORTED"


@dataclass
class Watch:
    """Complaints about one page; all of them must be expected, and all that is expected must come.

    Errors and warnings of the console, exceptions, requests that fail, requests to other origins,
    and what the content security policy refuses. `expected` are parts of complaints.
    """

    origin: str
    expected: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watch a page from before it is opened."""
        page.add_init_script(LISTENER)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"exception: {error}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._asked)

    def problems(self) -> list[str]:
        """Complaints that nobody expects, and expected ones that did not come."""
        unexpected = [one for one in self.found if not any(part in one for part in self.expected)]
        missing = [part for part in self.expected if not any(part in one for one in self.found)]
        return [*unexpected, *(f"expected, but it did not come: {part}" for part in missing)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "").removeprefix(self.origin)
            self.found.append(f"{message.type}: {message.text} [{where}]")

    def _failed(self, request: Request) -> None:
        if request.failure != STOPPED:
            self.found.append(f"failed: {request.failure} {request.url}")

    def _asked(self, request: Request) -> None:
        is_own = request.url == self.origin or request.url.startswith(f"{self.origin}/")
        if not (is_own or request.url.startswith(OWN_SCHEMES)):
            self.found.append(f"another origin: {request.url}")
