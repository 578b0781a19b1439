# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash

# For run.sh here and in examples/: what must be on the machine, by the names of Debian's packages.

has_header() { echo "#include <$1>" | g++ -E -x c++ - -o /dev/null 2>/dev/null; }
links_with() { echo "int main() {}" | g++ -x c++ - "$1" -o /dev/null 2>/dev/null; }
clang_links_with() { echo "int main() {}" | clang++ "$1" -x c++ - -o /dev/null 2>/dev/null; }

has() {
    case $1 in
    g++ | cmake) command -v "$1" >/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    clang) command -v clang++ >/dev/null ;;
    doxygen) command -v doxygen >/dev/null ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    libclang-rt-dev) clang_links_with -fsanitize=thread ;;
    libomp-dev) clang_links_with -fopenmp ;;
    libopenblas-dev) has_header cblas.h && links_with -lopenblas ;;
    nlohmann-json3-dev) has_header nlohmann/json.hpp ;;
    libpcre2-dev) links_with -lpcre2-8 ;;
    libutf8proc-dev) has_header utf8proc.h ;;
    libopenmpi-dev) command -v mpicxx >/dev/null ;;
    openmpi-bin) command -v mpirun >/dev/null ;;
    bible-kjv) command -v bible >/dev/null ;;
    doctest-dev) has_header doctest/doctest.h ;;
    libbenchmark-dev) has_header benchmark/benchmark.h ;;
    *) echo "packages.sh does not know $1" >&2 && exit 1 ;;
    esac
}

# need PACKAGE...: installs what is missing (on Debian and its like, as root), or lists it and ends.
need() {
    local missing=() package
    for package in "$@"; do
        has "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        echo "installing: ${missing[*]}"
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "missing, by the names of Debian's packages: ${missing[*]}" >&2
        exit 1
    fi
}

# need_tools FOLDER: creates a virtual environment with what tests/house/requirements.txt pins, which Debian lacks.
# Without Python's registry the tests that use it are skipped.
need_tools() {
    [ -x "$1/bin/pip" ] || python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --requirement tests/house/requirements.txt ||
        echo "not installed: $(tail -n +3 tests/house/requirements.txt | tr '\n' ' '); its tests are skipped" >&2
}

# fetch_nvcc FOLDER: brings nvcc from Python's registry (tests/cuda/requirements.txt, 350 MB) into a virtual
# environment. Sets fetched_nvcc to it, or to nothing if it can't be had.
fetch_nvcc() {
    [ -x "$1/bin/pip" ] || python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --requirement tests/cuda/requirements.txt ||
        echo "not installed: nvcc" >&2
    fetched_nvcc=$(find "$(realpath "$1")" -path "*/bin/nvcc" -print -quit)
}

# need_nvcc FOLDER: does that where there is no nvcc, unless UNMASK_FETCH_NVCC=0. Without one, CUDA is left out.
need_nvcc() {
    fetched_nvcc=
    if [ -z "${CUDACXX:-}" ] && ! command -v nvcc >/dev/null && [ "${UNMASK_FETCH_NVCC:-1}" != 0 ]; then
        echo "there is no nvcc: NVIDIA's is brought into $1 (UNMASK_FETCH_NVCC=0 prevents that)"
        fetch_nvcc "$1"
    fi
}
