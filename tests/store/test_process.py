import os
import subprocess
import sys
from dataclasses import replace

from interlingua.store.process import is_gone, this_process

SAY_WHO = (
    "from interlingua.store.process import *; print(repr(this_process()), flush=True); input()"
)


def child():
    """A process that waits, and its identity."""
    process = subprocess.Popen(
        [sys.executable, "-c", SAY_WHO],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    import interlingua.store.process as module

    return process, eval(process.stdout.readline(), vars(module))


def test_a_living_process_is_not_gone():
    assert not is_gone(this_process())
    process, identity = child()
    assert not is_gone(identity)
    process.communicate("\n")


def test_a_killed_process_is_gone_before_and_after_it_is_reaped():
    process, identity = child()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(identity), "a zombie writes nothing any more"
    process.communicate()
    assert is_gone(identity)


def test_a_reused_pid_is_another_process():
    assert is_gone(replace(this_process(), start_ticks=this_process().start_ticks - 1))


def test_a_process_of_another_boot_or_container_cannot_be_judged():
    process, identity = child()
    process.communicate("\n")
    assert is_gone(identity)
    assert not is_gone(replace(identity, boot_id="another"))
    assert not is_gone(replace(identity, pid_namespace="pid:[1]"))


def test_without_a_boot_id_nothing_is_known():
    process, identity = child()
    process.communicate("\n")
    assert not is_gone(replace(identity, boot_id="", pid_namespace=""))


def test_a_process_of_another_user_lives():
    assert not is_gone(replace(this_process(), pid=1, start_ticks=start_ticks_of(1)))


def start_ticks_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])
