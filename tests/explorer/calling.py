"""Functions of the page's modules, called where they run: in a browser."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

VALUE = """import(`/explorer/js/${arguments[0]}.js`).then((module) => {
  const found = module[arguments[1]];
  return typeof found === "function" ? found(...arguments[2]) : found;
})"""


@dataclass(frozen=True)
class Code:
    """The modules of a page that is open."""

    page: Page

    def __call__(self, module: str, name: str, *arguments: object) -> Any:
        """What a function of a module returns, or a constant of it."""
        return self.run(VALUE, module, name, arguments)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script with `arguments` comes to."""
        return self.page.evaluate(f"(arguments) => {script}", arguments)
