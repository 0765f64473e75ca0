"""Programs that try to get out, to harm, or to stay. One that gets through prints ESCAPED; an error is a wall."""

from __future__ import annotations

HEAD = """
import ctypes, os, signal, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"
def call(x86, arm, *args):
    result = libc.syscall(ctypes.c_long(arm if ARM else x86), *(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
SECRET = "/tmp/archc-sandbox-secret"
"""

TAIL = '\nprint("ESCAPED")\n'

TRIES: dict[str, str] = {
    # processes
    "fork": "os.fork()",
    "posix fork": "import posix; posix.fork()",
    "fork by system call": "call(57, 220, 17, 0, 0, 0, 0)",
    "vfork": "call(58, 220, 0x4111, 0, 0, 0, 0)",
    "clone without thread": "call(56, 220, 0x100 | 17, 0, 0, 0, 0)",
    "clone3": "call(435, 435, ctypes.create_string_buffer(88), 88)",
    "forkpty": "os.forkpty()",
    "subprocess": "import subprocess; subprocess.run(['/bin/sh', '-c', 'true'])",
    "os.system": "assert os.system('true') == 0",
    "posix_spawn": "os.posix_spawn('/bin/sh', ['sh'], {})",
    "exec sh": "os.execv('/bin/sh', ['sh', '-c', 'echo ESCAPED'])",
    "execveat": "call(322, 281, -100, b'/bin/sh', 0, 0, 0)",
    "multiprocessing": "import multiprocessing; multiprocessing.Process(target=print).start()",
    "daemon by setsid": "os.setsid()\nif os.fork() == 0:\n    time.sleep(60)",
    "new user namespace": "call(272, 97, 0x10000000)",
    "new mount namespace": "call(272, 97, 0x00020000)",
    "join a namespace": "call(308, 268, 0, 0)",
    # signals and other processes
    "kill the zygote": "os.kill(os.getppid(), signal.SIGKILL)",
    "kill everything": "os.kill(-1, signal.SIGKILL)",
    "kill the group": "os.killpg(0, signal.SIGKILL)",
    "tgkill the zygote": "call(234, 131, os.getppid(), os.getppid(), 9)",
    "queue a signal": "call(129, 138, os.getppid(), 9, ctypes.create_string_buffer(128))",
    "pidfd": "os.pidfd_open(os.getppid())",
    "signal by F_SETOWN": "import fcntl; fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())",
    "signal by FIOSETOWN": "import fcntl, struct; fcntl.ioctl(1, 0x8901, struct.pack('i', os.getppid()))",
    "ptrace": "call(101, 117, 16, os.getppid(), 0, 0)",
    "write another's memory": "call(311, 271, os.getppid(), 0, 0, 0, 0, 0)",
    "read another's memory": "call(310, 270, os.getppid(), 0, 0, 0, 0, 0)",
    "limits of another": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "own limits": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))",
    "priority": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "stay after the parent": "call(157, 167, 1, 0, 0, 0, 0)",
    "be dumpable again": "call(157, 167, 4, 1, 0, 0, 0)",
    "become root": "os.setuid(0); os.setgid(0)",
    # files
    "read a secret": "print(open(SECRET).read())",
    "read through a link": "os.symlink(SECRET, '/tmp/link'); print(open('/tmp/link').read())",
    "read /etc/shadow": "open('/etc/shadow').read()",
    "read /etc/passwd": "open('/etc/passwd').read()",
    "environment of the parent": "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "memory of the parent": "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
    "own memory by /proc": "open('/proc/self/mem', 'r+b')",
    "score of the memory killer": "open('/proc/self/oom_score_adj', 'w').write('-1000')",
    "list the home": "os.listdir('/root') and os.listdir('/home')",
    "list the work": "os.listdir('/work')",
    "write a file": "open('/tmp/mark', 'w').write('x')",
    "write in shared memory": "open('/dev/shm/mark', 'w').write('x')",
    "write into Python": "open(os.__file__, 'a')",
    "plant a .pth": "open(os.path.join(os.path.dirname(os.__file__), 'site-packages', 'x.pth'), 'w').write('import os')",
    "nameless file": "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
    "openat2": "call(437, 437, -100, SECRET.encode(), ctypes.create_string_buffer(24), 24)",
    "make a folder": "os.mkdir('/tmp/folder')",
    "make a pipe file": "os.mkfifo('/tmp/fifo')",
    "link": "os.link(SECRET, '/tmp/hard')",
    "rename": "os.rename(SECRET, SECRET + '2')",
    "remove": "os.unlink(SECRET)",
    "truncate": "os.truncate(SECRET, 0)",
    "change the mode": "os.chmod(SECRET, 0o777)",
    "change the times": "os.utime(SECRET)",
    "change the owner": "os.chown(SECRET, 0, 0)",
    "mount": "call(165, 40, b'none', b'/tmp', b'tmpfs', 0, 0)",
    "chroot": "os.chroot('/tmp')",
    "memory as a file": "os.memfd_create('x')",
    "write on stdin": "os.ftruncate(0, 1 << 30)",
    "more on stdin": "os.write(0, b'x' * 100)",
    "open the device of memory": "open('/dev/mem', 'rb')",
    "inherited files": "assert any(os.fstat(fd) for fd in range(3, 100) if not call(32, 23, fd) < 0)",
    # network and kernel
    "TCP": "import socket; socket.socket().connect(('127.0.0.1', 22))",
    "UDP": "import socket; socket.socket(type=socket.SOCK_DGRAM)",
    "unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "abstract socket": "import socket; socket.socketpair()",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "vsock": "import socket; socket.socket(40)",
    "io_uring": "call(425, 425, 8, ctypes.create_string_buffer(120))",
    "userfaultfd": "call(323, 282, 1)",
    "bpf": "call(321, 280, 0, ctypes.create_string_buffer(64), 64)",
    "perf": "call(298, 241, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "keyctl": "call(250, 219, 0, -3, 1)",
    "shared memory of System V": "call(29, 194, 0, 1 << 20, 0o1666)",
    "message queue": "call(68, 186, 0, 0o1666)",
    "semaphores": "call(64, 190, 0, 1, 0o1666)",
    "POSIX message queue": "call(240, 180, b'/x', 0o102, 0o666, 0)",
    "inotify": "call(294, 26, 0)",
    "pipe": "os.pipe()",
    "32-bit calls": "call(0x40000000 + 39, 0x40000000 + 172)",
    "another filter": "call(317, 277, 0, 0, 0)",
    "personality": "call(135, 92, 0x0040000)",
    "reboot": "call(169, 142, 0xFEE1DEAD, 672274793, 0)",
    "name of the machine": "call(170, 161, b'x', 1)",
    "load a module": "call(175, 105, 0, 0, b'')",
    "clock": "time.clock_settime(time.CLOCK_REALTIME, 0)",
    "secret in the environment": "assert any('KEY' in name or 'TOKEN' in name for name in os.environ)",
    "mark between tests: write": "import math; math.mark = 1; sys.modules['mark'] = sys; raise ValueError",
    "mark between tests: read": "import math; assert hasattr(math, 'mark') or 'mark' in sys.modules",
}
"""What must be refused."""

GREEDY: dict[str, str] = {
    "endless loop": "while True: pass",
    "sleep": "time.sleep(1000)",
    "catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "ignores signals": "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    "blocks signals": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(1000)",
    "power": "9 ** 9 ** 9",
    "regular expression": "import re; re.match('(a+)+$', 'a' * 64 + 'b')",
    "memory": "x = bytearray(4 << 30)",
    "memory piece by piece": "x = []\nwhile True: x.append(bytearray(16 << 20))",
    "output": "while True: print('x' * 1000)",
    "errors": "while True: print('x' * 1000, file=sys.stderr)",
    "recursion": "sys.setrecursionlimit(10 ** 9)\ndef f(): f()\nf()",
    "C stack": "import ctypes; ctypes.string_at(0)",
    "threads": "threading.stack_size(32768)\nwhile True: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
    "threads that work on": "for _ in range(4): threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()",
    "descriptors": "while True: os.dup(1)",
    "exits while a thread goes on": "threading.Thread(target=time.sleep, args=(1000,)).start()\nraise SystemExit",
    "closes its output": "os.close(1); os.close(2)\nwhile True: pass",
    "endless at exit": "import atexit\n@atexit.register\ndef f():\n    while True: pass",
}
"""What must come to an end without having come to its own."""
