"""What the fixtures of these tests leave out of what a program prints."""

from __future__ import annotations

REMARKED = """
import asyncio

async def main():
    asyncio.get_running_loop().slow_callback_duration = -1.0
    await asyncio.sleep(0)
    print("Executing it took {} seconds", flush=True)

asyncio.run(main(), debug=True)
"""


def test_remarks_of_a_slow_machine(run_program):
    """Every callback is a slow one here, and remarked on; only that is left out."""
    assert run_program(REMARKED) == "Executing it took {} seconds\n"
