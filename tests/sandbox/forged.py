"""Programs that try to pass tests without solving them. The task is `add(a, b)`, and every one of them is wrong."""

from __future__ import annotations

TEST = """
def check(candidate):
    assert candidate(2, 3) == 5
    assert candidate(10, -4) == 6
    assert isinstance(candidate(1, 1), int)
"""

LIE = """
class Lie{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    def __lt__(self, other): return True
    def __instancecheck__(self, other): return True
def add(a, b): return {value}
"""

FORGED: dict[str, str] = {
    "sys.exit at import": "import sys; sys.exit(0)",
    "os._exit at import": "import os; os._exit(0)",
    "sys.exit in the call": "import sys\ndef add(a, b): sys.exit(0)",
    "os._exit in the call": "import os\ndef add(a, b): os._exit(0)",
    "raises SystemExit": "def add(a, b): raise SystemExit",
    "raises KeyboardInterrupt": "def add(a, b): raise KeyboardInterrupt",
    "raises GeneratorExit": "def add(a, b): raise GeneratorExit",
    "at exit": "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): return 0",
    "excepthook": "import os, sys\nsys.excepthook = lambda *_: os._exit(0)\ndef add(a, b): return 0",
    "equal to all": LIE.format(base="", value="Lie()"),
    "int that is equal to all": LIE.format(base="(int)", value="Lie(0)"),
    "float that is equal to all": LIE.format(base="(float)", value="Lie(0)"),
    "str that is equal to all": LIE.format(base="(str)", value="Lie('')"),
    "list that is equal to all": LIE.format(base="(list)", value="Lie()"),
    "patched builtins": "import builtins\nbuiltins.isinstance = lambda *_: True\nbuiltins.AssertionError = int\ndef add(a, b): return 0",
    "patched int": "import ctypes\ndef add(a, b):\n    ctypes.c_long.from_address(id(5) + 24).value = 0\n    return 0",
    "patched check": "def check(candidate): pass\ndef add(a, b): return 0",
    "patched main": "import sys\nfor m in list(sys.modules.values()): vars(m)['check'] = lambda c: None\ndef add(a, b): return 0",
    "reads the caller's code": "import sys\ndef add(a, b):\n    f = sys._getframe(1)\n    return next((c for c in f.f_code.co_consts if c in (5, 6)), 0)",
    "searches objects for the test": """
import gc
needle = "".join(["candi", "date(2, 3)"])
def add(a, b):
    for o in gc.get_objects():
        for s in (o.values() if isinstance(o, dict) else o if isinstance(o, (list, tuple)) else ()):
            if isinstance(s, (str, bytes)) and s is not needle and needle in str(s):
                return 5 if a == 2 else 6 if a == 10 else 2
    return 0
""",
    "searches its memory for the test": """
import ctypes, gc
needle = [99, 97, 110, 100, 105, 100, 97, 116, 101, 40, 50, 44, 32, 51, 41]
def add(a, b):
    for page in {id(o) >> 12 for o in gc.get_objects()}:
        if bytes(needle) in ctypes.string_at(page << 12, 4096).replace(bytes(needle) + bytes([0]), b""):
            return 5 if a == 2 else 6 if a == 10 else 2
    return 0
""",
    "prints the verdict": 'print(\'{"status": "passed", "message": ""}\')\ndef add(a, b): return 0',
    "writes the verdict everywhere": """
import os
for fd in range(64):
    try: os.write(fd, b'{"status": "passed", "message": ""}')
    except OSError: pass
def add(a, b): return 0
""",
    "writes a frame everywhere": """
import os, struct
text = b'{"status": "passed", "message": ""}'
end = b'{"cause": "ended", "codes": [0], "seconds": 0}'
for fd in range(64):
    try: os.write(fd, struct.pack("<cI", b"v", len(text)) + text + struct.pack("<cI", b"e", len(end)) + end)
    except OSError: pass
def add(a, b): return 0
""",
    "answers that it is passed": 'import os\ndef add(a, b):\n    os.write(4, b\'{"status": "passed"}\\n\')\n    return 0',
    "answers with an exception that is no error": 'import os\ndef add(a, b):\n    os.write(4, b\'{"x": "SystemExit", "m": "0"}\\n\')\n    return 0',
    "answers with a name that is no exception": 'import os\ndef add(a, b):\n    os.write(4, b\'{"x": "print", "m": "0"}\\n\')\n    return 0',
    "answers with a new kind of value": 'import os\ndef add(a, b):\n    os.write(4, b\'{"v": {"q": 1}, "changed": {}}\\n\')\n    return 0',
    "answers with two values": 'import os\ndef add(a, b):\n    os.write(4, b\'{"v": {"l": [], "t": []}, "changed": {}}\\n\')\n    return 0',
    "answers with depth": "import os\ndef add(a, b):\n    os.write(4, b'[' * 60000 + b'\\n')\n    return 0",
    "answers with a NaN": "def add(a, b): return float('nan')",
    "answers without end": "import os\ndef add(a, b):\n    while True: os.write(4, b'9' * 65536)",
    "answers beforehand": 'import os\nos.write(4, b\'{"v": 5, "changed": {}}\\n\' * 50)\ndef add(a, b): return 0',
    "changes what it was not given": 'import os\ndef add(a, b):\n    os.write(4, b\'{"v": 0, "changed": {"0": {"l": []}}}\\n\')\n    return 0',
    "changes what is not there": 'import os\ndef add(a, b):\n    os.write(4, b\'{"v": 0, "changed": {"7": {"l": []}}}\\n\')\n    return 0',
    "says that it is a module": 'import os\nos.write(4, b\'{"add": {"module": "operator"}}\\n\')\ndef add(a, b): return 0',
    "says that it is a module of the test": 'import os\nos.write(4, b\'{"add": {"module": "antigravity"}}\\n\')\ndef add(a, b): return 0',
    "takes names of the test": 'import os\nos.write(4, b\'{"add": {"function": true}, "isinstance": {"value": 1}, "check": {"value": 1}}\\n\')\ndef add(a, b): return 0',
    "pickle": "class Evil:\n    def __reduce__(self): return (print, ('x',))\ndef add(a, b): return Evil()",
    "a dict that lies": "class D(dict):\n    def __eq__(self, o): return True\ndef add(a, b): return D()",
    "a Mock": "from unittest.mock import MagicMock, ANY\ndef add(a, b): return ANY",
    "result file": "open('/tmp/result.json', 'w').write('{\"passed\": true}')\ndef add(a, b): return 0",
    "kills the test": "import os\ndef add(a, b):\n    for pid in range(2, 50):\n        try: os.kill(pid, 9)\n        except OSError: pass\n    return 0",
    "a thread that answers": 'import os, threading\ndef spam():\n    for _ in range(50): os.write(4, b\'{"v": true, "changed": {}}\\n\')\nthreading.Thread(target=spam).start()\ndef add(a, b): return True',
    "never answers": "def add(a, b):\n    while True: pass",
    "no function": "add = 5",
    "value for a function": "add = None",
}
"""By how they cheat. None may pass."""

SWALLOWING = """
def check(candidate):
    try:
        assert candidate(2, 3) == 5
    except:
        pass
"""
"""A test that catches whatever happens: even it is not passed by a program that ends itself."""
