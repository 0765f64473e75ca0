"""Ask one question through the Python API, with the embedded model, and look at what it cost.

python examples/ask.py
"""

import archc

plan = archc.compile("specs/quickstart.yaml")
print(archc.explain(plan))

run = archc.run_sync(plan, "A box has 5 pens. How many pens do 2 boxes have?", journal=archc.default_journal())
print("answer:", run.answer)
print("bought:", run.spent.calls, "calls,", run.spent.tokens, "tokens; from the journal:", run.cached)
