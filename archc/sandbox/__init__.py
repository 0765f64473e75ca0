"""Where model-written code runs: behind the kernel's walls, with the verdict decided outside it.

`pool.Sandbox` is the door. `walls` says what this machine has, `worker` holds one process behind them, `zygote` and
`child` are the programs in there, and `filters` are the system calls that untrusted code may make.
"""
