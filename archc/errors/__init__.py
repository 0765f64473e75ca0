"""The catalogue: every diagnostic of archc, one class each, in files by where it is found, with its page beside it.

Wording: lower case, one sentence, no full stop; the headline stands alone; the help is something to paste.
"""

from archc.errors.bench import *
from archc.errors.choices import *
from archc.errors.conditions import *
from archc.errors.foreign import *
from archc.errors.form import *
from archc.errors.meaning import *
from archc.errors.running import *
from archc.errors.search import *
