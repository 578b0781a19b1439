// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: wrong rank: view\(pointer, all extents...\)
#include <vector>

#include <unmask/attention/tensors.hpp>

unmask::attention_tensors<float> misuse(const std::vector<float>& query) {
    return unmask::attention_tensors<float>{.query = unmask::view(query), .key = {}, .value = {}, .output = {}};
}
