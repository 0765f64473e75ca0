"""Help while a spec is written: what is wrong with a text, what a word means, what may stand at a place.

Pure but for reading the specs that one uses. `archc lsp` gives this to editors.
"""
