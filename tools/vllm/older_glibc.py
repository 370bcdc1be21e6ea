"""Lets vLLM's compiled kernels, which ask for glibc 2.38, load with glibc 2.36 (Debian 12).

usage: older_glibc.py PATH/vllm/_C.abi3.so

What they need of the newer one are the C23 names of strtol and its sisters. A small library beside the file gives them, and the
file's demands for newer versions are marked weak, so that the loader no longer insists on them."""
import os
import struct
import subprocess
import sys
import tempfile

from elftools.elf.elffile import ELFFile

SYMBOLS = """
#include <stdlib.h>
long __isoc23_strtol(const char *s, char **e, int b) { return strtol(s, e, b); }
unsigned long __isoc23_strtoul(const char *s, char **e, int b) { return strtoul(s, e, b); }
long long __isoc23_strtoll(const char *s, char **e, int b) { return strtoll(s, e, b); }
unsigned long long __isoc23_strtoull(const char *s, char **e, int b) { return strtoull(s, e, b); }
"""
NEWEST = 36  # GLIBC_2.x that the loader has
WEAK = 2     # VER_FLG_WEAK


def add_symbols(library):
    name = "libisoc23.so"
    with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
        source.write(SYMBOLS)
        source.flush()
        subprocess.check_call(["gcc", "-O2", "-shared", "-fPIC", "-o", os.path.join(os.path.dirname(library), name), source.name])
    subprocess.check_call(["patchelf", "--add-needed", name, "--add-rpath", "$ORIGIN", library])


def weaken(library):
    with open(library, "r+b") as f:
        elf = ELFFile(f)
        needs = elf.get_section_by_name(".gnu.version_r")
        names = elf.get_section(needs["sh_link"])
        at = needs["sh_offset"]
        for _ in range(needs["sh_info"]):
            f.seek(at)
            _, versions, _, first, following = struct.unpack("<HHIII", f.read(16))
            version = at + first
            for _ in range(versions):
                f.seek(version)
                _, _, _, name, after = struct.unpack("<IHHII", f.read(16))
                text = names.get_string(name)
                if text.startswith("GLIBC_2.") and int(text.split(".")[1]) > NEWEST:
                    f.seek(version + 4)
                    f.write(struct.pack("<H", WEAK))
                version += after
            at += following


if __name__ == "__main__":
    add_symbols(sys.argv[1])
    weaken(sys.argv[1])
