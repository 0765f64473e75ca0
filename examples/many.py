"""Answer many questions at once in one session, each as soon as it is done. The simulated models need no download.

python examples/many.py
"""

import asyncio

import archc

SPEC = """
models:
  small: {backend: simulated, model: small, skill: 0.55}
  big: {backend: simulated, model: big, judgement: 0.9}
budget: {calls: 32}
pipeline:
  - generate: {model: small, n: 8}
  - score: {model: big}
  - select: {by: score}
"""


async def main() -> None:
    plan = archc.compile(archc.Source("many", SPEC))
    async with archc.session(plan) as session:
        work = [asyncio.ensure_future(session.answer(f"question number {i}", id=str(i))) for i in range(10)]
        for done in asyncio.as_completed(work):
            run = await done
            print(run.id, run.status, run.spent.calls, "calls:", (run.text or "").splitlines()[-1])


if __name__ == "__main__":
    asyncio.run(main())
