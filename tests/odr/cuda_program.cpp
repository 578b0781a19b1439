// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <cstdio>

#include "cuda_unit.hpp"

namespace {

bool expect(bool condition, const char* what) {
    if (!condition) {
        std::fprintf(stderr, "failed: %s\n", what);
    }
    return condition;
}

} // namespace

int main() {
    bool good = expect(same_first.abi_namespace.ends_with("_cuda_800"), "the namespace names the architecture");
    good &= expect(same_first.abi_namespace == same_second.abi_namespace, "same architecture, same namespace");
    good &= expect(same_first.function == same_second.function, "same architecture, same function");
    good &=
        expect(more_architectures.abi_namespace.ends_with("_cuda_800900"), "the namespace names both architectures");
    good &= expect(same_first.function != more_architectures.function, "more architectures, another function");
    good &= expect(same_first.kernel != more_architectures.kernel, "more architectures, another kernel");
    return good ? 0 : 1;
}
