"""Ask one question through the Python API, with the embedded model, and look at what it cost.

python examples/ask.py
"""

import archc

plan = archc.compile("specs/quickstart.yaml")
print(archc.explain(plan))

run = archc.run_sync(
    plan, "Tom has 3 apples and buys 4 more. How many apples does Tom have now?", journal=archc.default_journal()
)
print("answer:", run.answer)
print("bought:", run.spent.calls, "calls,", run.spent.tokens, "tokens; from the journal:", run.cached)
