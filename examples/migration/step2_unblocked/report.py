"""The nightly report: what each show has taken in. A script: no server, no loop."""

from . import models
from .context import request_id


def main() -> None:
    request_id.set("nightly report")
    for show in models.takings():
        print(f"{show['title']:10} {show['seats']:8} {show['euros']:12.2f} EUR")


if __name__ == "__main__":
    main()
