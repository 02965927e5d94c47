"""Runs a program under two secrets and compares its paths.

usage: path.py PROGRAM ARGUMENT...

The number of the secret, 1 or 2, becomes the last argument. The program marks the parts that matter
with a breakpoint instruction, always the same, before and behind. There it runs step by step. Its
two paths are one if they have the same instructions in the same order with the same addresses of
memory, and if instructions whose time depends on numbers get the same numbers.

Prints a line for each part. Exit code 77: programs may not be followed here.
"""

import concurrent.futures
import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys

TRACEME, CONT, SINGLESTEP, GETREGS, SETOPTIONS = 0, 7, 9, 12, 0x4200
KILL_ON_EXIT = 0x100000
ADDR_NO_RANDOMIZE = 0x40000
# As in struct user_regs_struct, 8 bytes each.
REGISTERS = """r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip
    cs eflags rsp ss fs_base gs_base ds es fs gs""".split()
STEP, RIP = 8 * len(REGISTERS), REGISTERS.index("rip")
# Instructions whose time depends on numbers, at least on some processors.
SLOW = re.compile(r"i?div |p(dep|ext) ")

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, process, data=None):
    if libc.ptrace(request, process, None, data) == -1:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")


def start(command):
    """Starts `command`, stopped, with memory at fixed addresses."""
    process = os.fork()
    if process == 0:
        try:
            # Containers may forbid either.
            if libc.personality(ADDR_NO_RANDOMIZE) != -1:
                if libc.ptrace(TRACEME, 0, None, None) != -1:
                    os.execv(command[0], command)
        finally:
            os._exit(1)
    if not os.WIFSTOPPED(os.waitpid(process, 0)[1]):
        print("programs may not be followed here", file=sys.stderr)
        sys.exit(77)
    ptrace(SETOPTIONS, process, KILL_ON_EXIT)
    return process


def go_on(process, how):
    """Whether the program stops again; if not, it has ended as it should."""
    ptrace(how, process)
    status = os.waitpid(process, 0)[1]
    if os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP:
        return True
    if status != 0:
        sys.exit(f"the program ended or stopped with status {status:#x}")
    return False


def walk(command, processor):
    """For each part, the registers at every step, one behind the other; and the memory map."""
    # A step is two switches between this script and the program. If they were on two processors,
    # each switch would wake the other one up, which takes three times as long.
    os.sched_setaffinity(0, [processor])
    process, parts, maps = start(command), [], ""
    registers = (ctypes.c_uint64 * len(REGISTERS))()
    place = ctypes.addressof(registers)
    while go_on(process, CONT):
        with open(f"/proc/{process}/maps") as file:
            maps = file.read()
        ptrace(GETREGS, process, place)
        first, steps = registers[RIP], bytearray(registers)
        while len(steps) == STEP or registers[RIP] != first:
            go_on(process, SINGLESTEP)
            ptrace(GETREGS, process, place)
            steps += registers
        parts.append(steps)
    return parts, maps


def walk_both(command):
    """Under both secrets at once, each on a processor of its own if there are two."""
    processors = (sorted(os.sched_getaffinity(0)) * 2)[:2]
    forks = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=forks) as pool:
        return list(pool.map(walk, [[*command, "1"], [*command, "2"]], processors))


def cut(part):
    """The steps of a part."""
    return (part[n : n + STEP] for n in range(0, len(part), STEP))


def register(step, name):
    place = 8 * REGISTERS.index(name)
    return int.from_bytes(step[place : place + 8], "little")


def at(step):
    return register(step, "rip")


def read_code(maps, wanted):
    """The instruction and the function at each of the addresses."""
    starts, code = {}, {}
    for line in maps.splitlines():
        fields = line.split()
        if fields[-1].startswith("/"):
            starts.setdefault(fields[-1], int(fields[0].split("-")[0], 16))
    for file, start in starts.items():
        command = ["objdump", "-dC", "-Mintel", "--no-show-raw-insn", file]
        function = ""
        for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
            if line.endswith(">:"):
                function = line[line.index("<") + 1 : -2]
            elif found := re.match(r" *([0-9a-f]+):\t(.*)", line):
                address = start + int(found[1], 16)
                if address in wanted:
                    code[address] = (found[2].split("#")[0].strip(), function)
    return code


def whole(name):
    """The register that `name` is a part of."""
    name = re.sub(r"^(r\d+)[bwd]$", r"\1", name)
    name = re.sub(r"^([abcd])[xhl]$", r"r\1x", name)
    return re.sub(r"^e?([abcd]x|[sd]i|[sb]p)l?$", r"r\1", name)


def what_matters(text):
    """The registers that decide which memory is touched and how long it takes."""
    names = ["rsp", "rip"]
    if not re.match(r"lea |(\w+ )*nop", text):
        names += re.findall(r"\w+", "".join(re.findall(r"\[.*?\]", text)))
    if text.startswith("rep"):
        names.append("rcx")
    if SLOW.match(text):
        names += ["rax", "rdx", *re.findall(r"\w+", text)]
    if any(re.match("[xyz]mm", name) for name in names):
        return None
    return [name for name in map(whole, names) if name in REGISTERS]


def compare(one, other, code):
    """The verdict on a part."""
    matters, different = {}, 0
    for number, (a, b) in enumerate(zip(cut(one), cut(other))):
        if a == b:
            continue
        different += 1
        if at(a) not in matters:
            matters[at(a)] = what_matters(code[at(a)][0])
        names = matters[at(a)]
        text, function = code[at(a)]
        if names is None or any(register(a, name) != register(b, name) for name in names):
            return f"parted at step {number}: {text} in {function}"
    if len(one) != len(other):
        return "parted at the end"
    return f"one path of {len(one) // STEP} steps; registers differed before {different} of them"


def main():
    (ones, maps), (others, _) = walk_both(sys.argv[1:])
    code = read_code(maps, {at(step) for part in ones for step in cut(part)})
    for one, other in zip(ones, others, strict=True):
        print(compare(one, other, code))


main()
