"""Fleet: servers on this machine: which ones a spec wants, starting and watching them, measuring them."""
